"""Channels: what each demands in sentences, changing it with a second person, and freezing it."""

from typing import Any

from django.db.models import F, Prefetch
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from accounts.pages.settings import ActingPage, instant, whole
from accounts.roles import Permission, Role
from promptforge.lib.errors import DomainError
from promptforge.lib.ids import decode
from prompts.actions.channels import add_channel, approve_policy_change, change_policy, freeze_channel, lift_freeze
from prompts.actions.projects import PRESETS
from prompts.models import Channel, FreezeWindow, PolicyChange
from prompts.pages import policy_words
from prompts.reading import find_channel

LONGEST_REASON, MOST_REVISIONS = 2000, 100_000_000


class ChannelsPage(ActingPage):
    section = "settings_channels"
    needs = Permission.CONFIGURE

    def get(self, request: HttpRequest) -> HttpResponse:
        standing = FreezeWindow.objects.filter(lifted_at=None, ends_at__gt=timezone.now()).select_related("created_by")
        channels: list[Any] = list(
            Channel.objects.filter(project=self.principal.project)
            .select_related("policy__author", "policy__approved_by")
            .prefetch_related(Prefetch("freezes", standing.order_by("starts_at"), to_attr="standing_freezes"))
            .order_by("position", "pk")
        )
        changes = list(self._proposals().select_related("author", "base").order_by("pk"))
        policies = [channel.policy for channel in channels if channel.policy is not None]
        names = policy_words.names_of([*policies, *changes])
        waiting: dict[int, list[dict[str, Any]]] = {}
        for change in changes:
            told = {"change": change, "differs": policy_words.differences(change.base, change, names)}
            waiting.setdefault(change.channel_id, []).append(told)
        return self.draw(
            "prompts/channels.html",
            {
                "rows": [
                    {
                        "channel": channel,
                        "says": policy_words.sentences(channel.policy, names),
                        "preset": policy_words.PRESETS_IN_WORDS.get(policy_words.preset_of(channel.policy), ("",))[0],
                        "waiting": waiting.get(channel.pk, []),
                    }
                    for channel in channels
                    if channel.policy is not None
                ],
                "now": timezone.now(),
                **self._form(channels),
            },
        )

    def _form(self, channels: list[Channel]) -> dict[str, Any]:
        """What the open form is about, as it stands or as it was typed."""
        chosen = next((each for each in channels if each.name == self.given.get("channel")), None)
        if self.act not in ("change", "freeze", "lift") or not self.may_change:
            return {}
        if chosen is None or chosen.policy is None:
            raise DomainError("channel_not_found", "There is no such channel in this project.")
        if self.act != "change":
            return {"chosen": chosen, "freeze": self._freeze() if self.act == "lift" else None}
        emails = policy_words.emails_of(self.principal.project) if chosen.policy.review_groups else {}
        typed = self.typed
        return {
            "chosen": chosen,
            "filled": typed or policy_words.filled(chosen.policy, emails),
            "checks_chosen": typed.getlist("required_checks") if typed else chosen.policy.required_checks,
            "roles_chosen": typed.getlist("rollback_roles") if typed else chosen.policy.rollback_roles,
            "check_choices": policy_words.check_choices(),
            "role_choices": [(role.value, role.label, "") for role in Role if role != Role.RELEASE_MANAGER],
        }

    def _proposals(self) -> Any:
        """The changes that can still act: on the policy that stands."""
        mine = PolicyChange.objects.filter(channel__project=self.principal.project)
        return mine.filter(base_id=F("channel__policy_id"))

    def _freeze(self) -> FreezeWindow:
        pk = decode("frz", self.given.get("freeze", ""), "not_found")
        mine = FreezeWindow.objects.filter(channel__project=self.principal.project, pk=pk)
        if (freeze := mine.select_related("channel").first()) is None:
            raise DomainError("not_found", "There is no such freeze window within reach.")
        return freeze

    def _channel(self) -> Channel:
        return find_channel(self.principal, self.request.POST.get("channel", ""))

    def add(self) -> HttpResponse:
        name = self.request.POST.get("name", "").strip()
        add_channel(by=self.principal, name=name, policy=PRESETS["solo"])
        return self._back(f"{name} is there.", "It begins without rules: change its policy when it should be careful.")

    def change(self) -> HttpResponse:
        sent, channel = self.request.POST, self._channel()
        changed = change_policy(
            by=self.principal,
            channel=channel,
            fields=policy_words.read(sent, self.principal.project),
            reason=sent.get("reason", "")[:LONGEST_REASON],
            expected_revision=whole(sent, "revision", 1, MOST_REVISIONS),
        )
        if isinstance(changed, PolicyChange):
            return self._back(
                f"Your change of {channel} waits for a second person.",
                "Nothing has changed yet. Whoever may set policies can confirm it, but for you.",
            )
        return self._back(f"The policy of {channel} is changed.", "It holds from the next promotion on.")

    def confirm(self) -> HttpResponse:
        pk = decode("pol", self.request.POST.get("policy_change", ""), "not_found")
        mine = PolicyChange.objects.filter(channel__project=self.principal.project, pk=pk)
        if (change := mine.select_related("channel").first()) is None:
            raise DomainError("not_found", "There is no such policy change within reach.")
        approve_policy_change(by=self.principal, change=change)
        return self._back(
            f"The policy of {change.channel} is changed.", "Promotions that are open are asked for it again."
        )

    def freeze(self) -> HttpResponse:
        sent, channel = self.request.POST, self._channel()
        starts, ends = instant(sent, "from"), instant(sent, "to")
        reason = sent.get("reason", "")[:LONGEST_REASON]
        freeze_channel(by=self.principal, channel=channel, starts_at=starts, ends_at=ends, reason=reason)
        return self._back(f"{channel} is to be frozen.", "Nothing moves forward meanwhile. A rollback still does.")

    def lift(self) -> HttpResponse:
        freeze = self._freeze()
        lift_freeze(by=self.principal, freeze=freeze)
        return self._back(f"The freeze of {freeze.channel} is lifted.", "It moves forward again.")

    def _back(self, sentence: str, then: str) -> HttpResponse:
        here = reverse("settings_channels", args=(self.principal.project.name,))
        return self.done(here, sentence[:1].upper() + sentence[1:], then)

    acts = {"add": add, "change": change, "confirm": confirm, "freeze": freeze, "lift": lift}
