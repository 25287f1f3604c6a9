"""What an importer brings, whatever the form it was written in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.instants import parse_instant
from promptforge.lib.json import kind_of

LONGEST_TAG = 50


@dataclass(frozen=True)
class VersionRecord:
    """One version as it was written elsewhere.

    `created_at` is None when the form does not tell; `variables` is None when nothing is declared; `pins` holds the
    numbers that `{{> name }}` stood for when it was saved; `where` names the place that a refusal points at.
    """

    content: Any
    config: Any = field(default_factory=dict)
    variables: Any = None
    message: str = ""
    created_at: datetime | None = None
    author: str = ""
    pins: Mapping[str, int] = field(default_factory=dict)
    where: str = ""


@dataclass(frozen=True)
class ReleaseRecord:
    """Where a channel pointed from a moment on; `version` counts the prompt's versions from 1.

    `kind` is what the release was in the project that it comes from; `at` is None when the form does not tell.
    """

    channel: str
    version: int
    at: datetime | None = None
    reason: str = ""
    kind: str = "import"


@dataclass
class PromptRecord:
    """A prompt with its versions, oldest first, and its releases in the order in which they were decided.

    `is_history` says that the versions are all there were, from the first on; otherwise the one version is how the
    prompt stands now. `has_ledgers` says the same of the releases; otherwise each names where a channel stands now.
    """

    name: str
    versions: list[VersionRecord]
    releases: list[ReleaseRecord] = field(default_factory=list)
    description: str = ""
    tags: list[str] = field(default_factory=list)
    type: str | None = None
    created_at: datetime | None = None
    archived_at: datetime | None = None
    is_history: bool = False
    has_ledgers: bool = False
    where: str = ""


@dataclass(frozen=True)
class Said:
    """One line of a report: a place and a sentence about it."""

    where: str
    why: str


@dataclass
class Batch:
    """Everything that was read: what can be taken, what was left and why, and what a person should know."""

    prompts: list[PromptRecord] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    left: list[Said] = field(default_factory=list)
    notes: list[Said] = field(default_factory=list)

    def leave(self, where: str, why: str) -> None:
        self.left.append(Said(where, why))

    def note(self, where: str, why: str) -> None:
        self.notes.append(Said(where, why))


class Unreadable(Exception):
    """An item cannot be taken; the text is the sentence that says why."""


def text_of(value: object, what: str, default: str = "") -> str:
    """A short text of an item, `default` when it is null."""
    if value is None:
        return default
    if not isinstance(value, str):
        raise Unreadable(f"{what} is {_kind(value)}; a string is expected.")
    if "\0" in value:
        raise Unreadable(f"{what} holds the NUL character (U+0000).")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise Unreadable(f"{what} holds half of a surrogate pair, which is no character.")
    return value


def instant_of(item: Mapping[str, Any], field: str) -> datetime | None:
    """The moment under this name, None when it is null or empty."""
    given = text_of(item.get(field), field)
    return parse_instant(given, field) if given else None


def tags_of(value: object) -> list[str]:
    """The tags of an item, each once."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unreadable(f"tags is {_kind(value)}; a list of strings is expected.")
    tags = [text_of(tag, "a tag") for tag in value]
    if long := next((tag for tag in tags if len(tag) > LONGEST_TAG), None):
        raise Unreadable(f"The tag {shorten(long, 40)} has {len(long)} characters; at most {LONGEST_TAG} are kept.")
    return list(dict.fromkeys(tags))


def why_of(error: DomainError | Unreadable) -> str:
    """The sentence of a refusal."""
    return error.detail if isinstance(error, DomainError) else str(error)


def _kind(value: object) -> str:
    known = value is None or isinstance(value, bool | int | float | str | list | dict)
    return kind_of(value) if known else f"a {type(value).__name__}"
