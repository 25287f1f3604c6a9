"""Members: who belongs to the project, with which roles, and what each role may do."""

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.actions.members import add_member, remove_member, set_roles
from accounts.models import Membership
from accounts.pages.settings import ActingPage
from accounts.roles import ROLE_PERMISSIONS, Permission, Role
from promptforge.lib.errors import DomainError
from promptforge.lib.ids import decode

PER_PAGE = 50
ROLES_IN_WORDS = {
    Role.VIEWER: "Reads prompts, promotions and history.",
    Role.EDITOR: "Saves versions and asks for their promotion.",
    Role.REVIEWER: "Approves, or asks for changes; never their own work.",
    Role.RELEASE_MANAGER: "Promotes, schedules and rolls back; sets channels and policies.",
    Role.ADMIN: "Manages members and keys; sets channels and policies. Releases nothing.",
}


class MembersPage(ActingPage):
    section = "settings_members"
    needs = Permission.ADMINISTER

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.draw(
            "accounts/members.html",
            {
                "mine": [(Role(role).label, ROLES_IN_WORDS[Role(role)]) for role in self.membership.roles],
                "role_choices": [(role.value, role.label, words) for role, words in ROLES_IN_WORDS.items()],
                "rights": _rights(),
                **(self._members(request) if self.may_change else {}),
            },
        )

    def _members(self, request: HttpRequest) -> dict[str, Any]:
        members = Membership.objects.filter(project=self.principal.project).select_related("user")
        page = Paginator(members.order_by("user__name", "user__email", "pk"), PER_PAGE).get_page(
            request.GET.get("page")
        )
        chosen = self._chosen() if self.act in ("change", "remove") else None
        roles = self.typed.getlist("roles") if self.typed else chosen.roles if chosen else []
        return {"page": page, "chosen": chosen, "roles_chosen": roles, "label_of": dict(Role.choices)}

    def _chosen(self) -> Membership:
        pk = decode("mem", self.given.get("member", ""), "not_found")
        found = Membership.objects.filter(project=self.principal.project, pk=pk).select_related("user", "project")
        if (member := found.first()) is None:
            raise DomainError("not_found", "There is no such member within reach.")
        return member

    def add(self) -> HttpResponse:
        sent = self.request.POST
        email = sent.get("email", "").strip()
        name, roles = sent.get("name", "").strip(), sent.getlist("roles")
        add_member(by=self.principal, email=email, name=name, roles=roles)
        # By the address alone: what somebody is called in another project is not told by adding them.
        return self._back(f"{email} is a member now.", "They see the project from their next request on.")

    def change(self) -> HttpResponse:
        member = self._chosen()
        roles = self.request.POST.getlist("roles")
        set_roles(project=self.principal.project, user=member.user, roles=roles, by=self.principal)
        return self._back(f"{member.user} has other roles now.", "They count from the next request on.")

    def remove(self) -> HttpResponse:
        member = self._chosen()
        remove_member(membership=member, by=self.principal)
        return self._back(
            f"{member.user} is no longer a member.", "The next request is refused. What they wrote and decided stays."
        )

    def _back(self, sentence: str, then: str) -> HttpResponse:
        return self.done(reverse("settings_members", args=(self.principal.project.name,)), sentence, then)

    acts = {"add": add, "change": change, "remove": remove}


def _rights() -> list[tuple[str, list[tuple[str, bool]]]]:
    """Each right in words, and which role has it."""
    return [
        (str(right.label), [(str(role.label), right in ROLE_PERMISSIONS[role]) for role in Role])
        for right in Permission
    ]
