"""What PromptForge says when it refuses: one exception, for page, API and command line alike."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from promptforge.lib.codes import CODES

__all__ = ["CODES", "DomainError", "Fault", "about", "shorten", "wrong"]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in a request: where (a JSON pointer), its code, and a sentence."""

    pointer: str
    code: str
    detail: str
    url: str | None = None

    def as_dict(self) -> dict[str, str]:
        body = {"pointer": self.pointer, "code": self.code, "detail": self.detail}
        return body if self.url is None else body | {"url": self.url}


@dataclass
class DomainError(Exception):
    """A refusal that a person or a program can act on.

    `code` is a key of CODES; `detail` says what is wrong, where, the limit and how to mend it; `faults` lists the
    single places when there are several; `extra` is carried in the answer beside them (`head` of a stale_head).
    """

    code: str
    detail: str
    faults: Sequence[Fault] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.detail)

    def __str__(self) -> str:
        return self.detail

    @property
    def status(self) -> int:
        return CODES[self.code].status

    @property
    def title(self) -> str:
        return CODES[self.code].title


def wrong(field: str, detail: str, code: str = "bad_value") -> DomainError:
    """The refusal of what one field says, so that a form can show it there."""
    return DomainError(code, detail, [Fault(f"/{field}", code, detail)])


@contextmanager
def about(field: str) -> Iterator[None]:
    """Whatever is refused inside, and names no place itself, is about this field."""
    try:
        yield
    except DomainError as refusal:
        if refusal.faults:
            raise
        raise DomainError(
            refusal.code, refusal.detail, [Fault(f"/{field}", refusal.code, refusal.detail)], refusal.extra
        ) from refusal


def shorten(text: object, limit: int = 80) -> str:
    """The part of an input that a message may repeat: at most `limit` characters, control characters escaped."""
    if text == "":
        return "an empty text"
    shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in str(text)[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
