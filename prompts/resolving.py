"""Which version a selector stands for: decided here alone, wherever the rows come from."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from accounts.policies import SCOPE_OF_PERMISSION, Principal
from accounts.roles import Permission, Scope
from promptforge.lib.errors import DomainError, shorten
from prompts.models import Channel, Prompt, PromptVersion, Release
from prompts.selectors import Selector


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a selector stands for. `channel` and `revision` are None for a number and for `latest`."""

    prompt: Prompt
    version: PromptVersion
    channel: Channel | None = None
    revision: int | None = None
    release: Release | None = None


class Live(NamedTuple):
    """The state of one channel of a prompt; `version` is None while nothing is live there."""

    channel: Channel
    revision: int
    version: PromptVersion | None
    release: Release | None = None


class Sight(Protocol):
    """One prompt as it stands: read from the database, or from what a serving process holds in memory."""

    def version(self, number: int | None) -> PromptVersion | None:
        """One version by its number, or the newest."""

    def live(self, channel: str) -> Live | None:
        """What is live on a channel of the project; None when the project has no such channel."""


def within_reach(
    principal: Principal,
    prompt: Prompt | None,
    name: str,
    permission: Permission = Permission.READ,
    scope: Scope | None = None,
) -> Prompt:
    """The prompt, if the principal may read it; one out of reach answers exactly as one that does not exist.

    A key that may write but not read reaches the prompts of its patterns by the scope of what it does: `scope`, or that
    of `permission`.
    """
    needed = scope or SCOPE_OF_PERMISSION[permission]
    if prompt is not None and (
        principal.may(Permission.READ, prompt).allowed
        or (principal.key is not None and principal.may_with_scope(permission, needed, prompt).allowed)
    ):
        return prompt
    raise DomainError("prompt_not_found", f"There is no prompt {shorten(name)} within reach.")


def stands_for(prompt: Prompt, selector: Selector, sight: Sight) -> Resolved:
    """The version that a selector of this prompt stands for now."""
    if selector.channel is None:
        version = sight.version(selector.number)
        if version is None:
            raise version_not_found(prompt, selector.number)
        return Resolved(prompt, version)
    live = sight.live(selector.channel)
    if live is None:
        raise DomainError("channel_not_found", f"There is no channel {selector.channel} in this project.")
    if live.version is None:
        raise DomainError("channel_empty", f"{prompt} has nothing live on {live.channel} yet.")
    return Resolved(prompt, live.version, live.channel, live.revision, live.release)


def version_not_found(prompt: Prompt, number: int | None) -> DomainError:
    return DomainError("version_not_found", f"{prompt} has no version {number or 'yet'}.")
