"""The two sides of a comparison: a version by its number or by a channel that holds it, or one's own draft."""

from dataclasses import dataclass
from typing import Any

from accounts.policies import Principal
from promptforge.lib.errors import DomainError, shorten
from prompts.actions.drafts import own_draft
from prompts.models import Head, Prompt, PromptVersion
from prompts.pages.lint import look_at
from prompts.pages.listing import LONG
from prompts.pages.typed import Typed

LISTED = 30
DRAFT, NEWEST = "draft", "latest"
STABLE = "stable"


@dataclass(frozen=True)
class Side:
    """One side: what addresses call it, and everything of it that is compared."""

    key: str
    title: str
    number: int | None
    content: Any
    variables: list[dict[str, Any]]
    config: Any
    includes: list[dict[str, Any]]
    trouble: str = ""  # why a draft is compared as it was typed, and not as it would be served

    def compared(self) -> dict[str, Any]:
        return {
            "content": self.content,
            "variables": self.variables,
            "config": self.config,
            "includes": self.includes,
        }


@dataclass(frozen=True)
class Choice:
    """An entry of the menus that choose a side."""

    key: str
    number: int | None
    words: str
    channel: str = ""


class Sides:
    """Reads what can be compared of one prompt, in a fixed number of questions."""

    def __init__(self, principal: Principal, prompt: Prompt) -> None:
        self.principal = principal
        self.prompt = prompt
        heads = Head.objects.filter(prompt=prompt, version__isnull=False).select_related("channel", "version")
        heads = heads.defer(*(f"version__{text}" for text in LONG)).order_by("channel__position")
        self.live = {head.channel.name: head.version.number for head in heads if head.version is not None}
        self.draft = own_draft(principal, prompt)

    @property
    def newest(self) -> int:
        return self.prompt.next_number - 1

    def choices(self) -> list[Choice]:
        """The draft, and the newest versions, each with the channel that holds it and who wrote it."""
        found = [] if self.draft is None else [Choice(DRAFT, None, "your draft", DRAFT)]
        channels = {number: channel for channel, number in reversed(self.live.items())}
        for version in self.prompt.versions.select_related("author").defer(*LONG).order_by("-number")[:LISTED]:
            channel = channels.get(version.number, "")
            where = f"live in {channel}" if channel else "newest" if version.number == self.newest else ""
            author = str(version.author).split()[0]
            words = ", ".join(filter(None, [str(version.number), where, f"by {author}"]))
            found.append(Choice(str(version.number), version.number, words, channel))
        return found

    def number(self, asked: str) -> int | None:
        """The version that a side names; None for the draft."""
        if asked == DRAFT:
            return None
        if asked == NEWEST:
            return self.newest
        if (number := self.live.get(STABLE if asked == "live" else asked)) is not None:
            return number
        if asked == "live":
            raise DomainError("channel_empty", f"Nothing of {self.prompt} is live in {STABLE} yet.")
        if asked.isascii() and asked.isdecimal() and len(asked) < 10:
            return int(asked)
        raise DomainError("version_not_found", f"{shorten(asked)} is no version, no draft and no channel with one.")

    def read(self, *asked: str) -> list[Side]:
        """The sides that were asked for, by one question for their versions and one for what these include."""
        numbers = [self.number(each) for each in asked]
        rows = self.prompt.versions.filter(number__in=[number for number in numbers if number is not None])
        versions = {version.number: version for version in rows}
        for number in numbers:
            if number is not None and number not in versions:
                raise DomainError("version_not_found", f"{self.prompt} has no version {number}.")
        pinned = {pk for version in versions.values() for pk in version.includes}
        names = {
            row.pk: {"prompt": row.prompt.name, "version": row.number}
            for row in PromptVersion.objects.filter(pk__in=pinned).select_related("prompt").defer(*LONG)
        }
        return [self._drafted() if number is None else _saved(versions[number], names) for number in numbers]

    def _drafted(self) -> Side:
        if self.draft is None:
            raise DomainError("version_not_found", f"You have no draft of {self.prompt}.")
        seen = look_at(Typed.of_draft(self.draft), self.principal)
        trouble = seen.refusals[0].detail if seen.refusals else ""
        return Side(DRAFT, "your draft", None, seen.content, seen.variables, seen.config, seen.includes, trouble)


def _saved(version: PromptVersion, names: dict[int, dict[str, Any]]) -> Side:
    return Side(
        key=str(version.number),
        title=f"version {version.number}",
        number=version.number,
        content=version.served_content,
        variables=version.variable_list,
        config=version.config_object,
        includes=[names[pk] for pk in version.includes],
    )
