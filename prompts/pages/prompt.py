"""One prompt: where its channels stand, what it says, its versions and releases, and promoting and rolling back."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import F, Func, IntegerField
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.module_loading import import_string

from accounts.pages.door import ProjectPage
from accounts.policies import held
from promptforge.lib.errors import DomainError
from prompts.actions.releases import promote, rollback
from prompts.checks import lines, status
from prompts.models import Channel, Head, Promotion, Prompt, PromptVersion
from prompts.pages.listing import LONG
from prompts.pages.timeline import activity, timeline
from prompts.reading import find_channel, find_prompt, find_version
from prompts.standing import standings

TABS = {
    "text": "Text",
    "variables": "Variables",
    "config": "Config",
    "tests": "Tests",
    "use": "Use it",
    "activity": "Activity",
}
_TARGET = Func(
    F("prompt_id"), F("channel_id"), function="public.promptforge_rollback_target", output_field=IntegerField()
)


@dataclass(frozen=True)
class Card:
    """A channel as its card shows it: what is live, what may be done, and where a rollback leads."""

    channel: Channel
    head: Head
    newest: int
    back_to: int | None
    may_move: bool
    may_roll_back: bool

    @property
    def purpose(self) -> str:
        return "what customers get" if self.channel.name == "stable" else "your own tests"

    @property
    def is_protected(self) -> bool:
        return self.channel.policy is not None and self.channel.policy.protects

    @property
    def is_behind(self) -> bool:
        return self.head.version is None or self.head.version.number < self.newest

    @property
    def behind(self) -> int:
        return self.newest - (0 if self.head.version is None else self.head.version.number)


class PromptPage(ProjectPage):
    place = "prompts"

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        prompt = find_prompt(self.principal, name)
        may = held(self.principal.user, self.principal.project, prompt)
        cards = self._cards(prompt, may)
        version, because = self._shown(request, prompt, cards)
        tab = request.GET.get("show", "text")
        tab = tab if tab in TABS else "text"
        return self.show(
            "prompts/prompt.html",
            {
                "prompt": prompt,
                "may": may,
                "cards": cards,
                "version": version,
                "because": because,
                "variables": version.variable_list,
                "tab": tab,
                "tabs": list(TABS.items()),
                "timeline": timeline(prompt, before=whole(request.GET.get("before"))),
                "live": {card.head.version.number for card in cards if card.head.version is not None},
                "promotions": self._promotions(prompt),
                "confirm": self._confirmation(request, cards),
                "told": activity(self.principal.project, prompt) if tab == "activity" else [],
                "tests": import_string(settings.PROMPT_TESTS_PART)(self.principal, prompt) if tab == "tests" else None,
                "address": f"{request.scheme}://{request.get_host()}",
            },
            part="answer",
        )

    def post(self, request: HttpRequest, name: str) -> HttpResponse:
        prompt = find_prompt(self.principal, name)
        channel = find_channel(self.principal, request.POST.get("channel", ""))
        asked: dict[str, Any] = {
            "by": self.principal,
            "prompt": prompt,
            "channel": channel,
            "version": find_version(prompt, whole(request.POST.get("version")) or 0),
            "reason": request.POST.get("reason", ""),
            "expected_revision": whole(request.POST.get("revision")),
        }
        here = reverse("prompt", args=(self.principal.project.name, prompt.name))
        if request.POST.get("act") == "promote":
            release = promote(**asked)
            return self.done(
                here, f"Version {release.version.number} is live in {channel}.", "The next request gets it."
            )
        if request.POST.get("act") == "roll-back":
            release = rollback(**asked)
            return self.done(
                here,
                f"Version {release.version.number} is live in {channel} again.",
                "The next request gets it. Your reason stands in the history.",
            )
        raise DomainError("bad_value", "The form does not say whether to promote or to roll back.")

    def _cards(self, prompt: Prompt, may: dict[str, bool]) -> list[Card]:
        heads: list[Any] = list(
            Head.objects.filter(prompt=prompt)
            .select_related("channel__policy", "version", "release__actor")
            .defer(*(f"version__{text}" for text in LONG))
            .annotate(target=_TARGET)
            .order_by("channel__position", "channel__pk")
        )
        targets = {head.target for head in heads if head.target is not None}
        numbers = dict(PromptVersion.objects.filter(pk__in=targets).values_list("pk", "number"))
        roles = set(self.membership.roles)
        return [
            Card(
                channel=head.channel,
                head=head,
                newest=prompt.next_number - 1,
                back_to=numbers.get(head.target),
                may_move=may["release"],
                may_roll_back=may["release"]
                or (head.channel.policy is not None and bool(roles & set(head.channel.policy.rollback_roles))),
            )
            for head in heads
        ]

    @staticmethod
    def _shown(request: HttpRequest, prompt: Prompt, cards: list[Card]) -> tuple[PromptVersion, str]:
        """The version whose text is shown, and why this one."""
        versions = PromptVersion.objects.select_related("author")
        if (number := whole(request.GET.get("version"))) is not None:
            version = versions.filter(prompt=prompt, number=number).first()
            if version is None:
                raise DomainError("version_not_found", "There is no such version.")
            return version, ""
        for card in cards:
            if card.head.version_id is not None:
                return versions.get(pk=card.head.version_id), f"Shown because it is live in {card.channel}"
        newest = versions.get(prompt=prompt, number=prompt.next_number - 1)
        return newest, "Shown because it is the newest; nothing is live yet"

    @staticmethod
    def _promotions(prompt: Prompt) -> list[dict[str, Any]]:
        found = Promotion.objects.filter(prompt=prompt, state=Promotion.State.OPEN).order_by("-pk")[:5]
        return [{"promotion": each.promotion, "status": status(each, lines(each))} for each in standings(found)]

    def _confirmation(self, request: HttpRequest, cards: list[Card]) -> dict[str, Any] | None:
        """What is asked before a channel moves: from the link that was followed, or the form that was refused."""
        given = self.typed or request.GET
        act, channel = given.get("act"), given.get("channel")
        card = next((card for card in cards if card.channel.name == channel), None)
        if card is None or act not in ("promote", "roll-back"):
            return None
        number = whole(given.get("version")) or (card.newest if act == "promote" else card.back_to)
        return None if number is None else {"act": act, "card": card, "number": number}


def whole(text: str | None) -> int | None:
    """A number of an address or a form; anything else is none."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else None
