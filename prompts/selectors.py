"""How a caller names a version: a number, `latest`, or a channel."""

import re
from dataclasses import dataclass

from promptforge.lib.errors import DomainError, shorten

LARGEST_NUMBER = 2_147_483_647
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_CHANNEL = re.compile(r"[a-z][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class Selector:
    """Exactly one of the three: `number`, `channel`, or neither for `latest`."""

    number: int | None = None
    channel: str | None = None

    @property
    def word(self) -> str:
        """What a key must reach to use it: the channel's name, `latest` or `pinned`."""
        return "pinned" if self.number is not None else self.channel or "latest"


def parse_selector(text: str) -> Selector:
    """Read `stable`, `latest` or `8`; anything else is refused as bad_version."""
    if text == "latest":
        return Selector()
    if _NUMBER.fullmatch(text) and int(text) <= LARGEST_NUMBER:
        return Selector(number=int(text))
    if _CHANNEL.fullmatch(text) and text != "pinned":
        return Selector(channel=text)
    raise DomainError(
        "bad_version",
        f"{shorten(text)} names no version: write a channel such as stable, latest, "
        f"or a number from 1 to {LARGEST_NUMBER}.",
    )


def parse_reference(text: str) -> tuple[str, Selector]:
    """Read `support/greeting@8` (or `@stable`, `@latest`) into the prompt's name and the selector."""
    name, at, selector = text.rpartition("@")
    if not at:
        raise DomainError(
            "bad_version",
            f"{shorten(text)} is no reference: write the prompt's name, @ and a number, channel or latest.",
        )
    return name, parse_selector(selector)
