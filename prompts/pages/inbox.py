"""The inbox: what waits for the person who looks, what went wrong, and what is live now."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from accounts.pages.door import ProjectPage
from promptforge.lib.errors import DomainError
from promptforge.lib.ids import decode
from prompts.actions.releases import ratify
from prompts.models import Draft, Promotion, Prompt, Release
from prompts.pages import waiting
from prompts.pages.waiting import Row, Waiting

_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")
INCIDENTS = 5


class InboxPage(ProjectPage):
    place = "inbox"

    def get(self, request: HttpRequest) -> HttpResponse:
        user, project, now = self.principal.user, self.principal.project, timezone.now()
        visible = Prompt.objects.visible_to(self.principal)
        still_open = Promotion.objects.filter(prompt__in=visible, state=Promotion.State.OPEN)
        mine = waiting.waits_for(self.principal)
        lists = waiting.rows(user, still_open, mine, may_release=self.may["release"])
        glass = list(waiting.unratified(visible)[:INCIDENTS])
        drafts = Draft.objects.filter(user=user, prompt__in=visible)
        return self.show(
            "prompts/inbox.html",
            {
                **lists,
                "waiting": mine,
                "title": _title(mine, lists),
                "says": _says(lists["reviews"], still_open.count() - mine.total),
                "oldest": lists["reviews"][0] if lists["reviews"] else None,
                "glass": glass,
                "incidents": waiting.incidents(self.principal),
                "missed": list(waiting.missed(still_open, now)[:INCIDENTS]),
                "freezes": list(waiting.freezes(project, now)),
                "webhooks": list(waiting.failing_webhooks(project)[:INCIDENTS]) if self.may["configure"] else [],
                "drafts": drafts.select_related("prompt").order_by("-updated_at")[:3],
                "live": waiting.live_now(visible, now.date()),
                "confirm": self._confirmation(glass),
            },
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        if request.POST.get("act") != "ratify":
            raise DomainError("bad_value", "The form does not say what to do.")
        pk = decode("rel", request.POST.get("release", ""), "not_found")
        release = waiting.unratified(Prompt.objects.visible_to(self.principal)).filter(pk=pk).first()
        if release is None:
            raise DomainError("not_found", "Nothing of that kind waits for a second person any more.")
        ratify(by=self.principal, release=release, note=request.POST.get("note", ""))
        said = f"You ratified version {release.version.number} of {release.prompt} in {release.channel}."
        return self.done(reverse("inbox", args=(self.principal.project.name,)), said, "It stands in the history.")

    def _confirmation(self, glass: Sequence[Release]) -> Release | None:
        """The release that is asked about before somebody stands for it."""
        given = self.typed or self.request.GET
        try:
            pk = decode("rel", given.get("release", ""), "not_found")
        except DomainError:
            return None
        return next((release for release in glass if release.pk == pk and self.may["release"]), None)


def _title(mine: Waiting, lists: Mapping[str, Sequence[Row]]) -> str:
    if mine.total:
        return f"{_counted(mine.total)} wait{'s' if mine.total == 1 else ''} for you"
    if ready := len(lists["ready"]):
        return f"{_counted(ready)} {'is' if ready == 1 else 'are'} ready"
    return "Nothing waits for you"


def _says(reviews: Sequence[Row], others: int) -> dict[str, Any]:
    """The sentence below the title: since when the oldest has waited, and how much waits for others."""
    return {
        "since": reviews[0].promotion.opened_at if reviews else None,
        "others": f"{_counted(others)} wait{'s' if others == 1 else ''} for other people." if others > 0 else "",
    }


def _counted(number: int) -> str:
    word = _NUMBERS[number] if number < len(_NUMBERS) else str(number)
    return f"{word} promotion{'' if number == 1 else 's'}"
