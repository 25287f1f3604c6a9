"""Langfuse's API for prompts, as far as it reads: what its clients ask, and the objects that they get.

A label is a channel: `production` is the project's `stable`, unless a channel has that name, and `latest` is whatever
is newest. Field names are Langfuse's; what is ours besides stands under `promptforge`.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from accounts.policies import Principal
from delivery.fetching import STABLE, Written, receipt_of
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.ids import encode
from promptforge.lib.instants import format_instant
from promptforge.lib.json import canonical_json
from promptforge.lib.verdicts import require
from prompts.models import Prompt, PromptVersion
from prompts.models.prompts import PromptType
from prompts.resolving import Live, Resolved, Sight, stands_for
from prompts.selectors import LARGEST_NUMBER, Selector, parse_selector
from prompts.shapes import digest_text

PARAMETERS = ("version", "label", "resolve")
PRODUCTION, LATEST = "production", "latest"


class Standing(Sight, Protocol):
    """One prompt as it stands, with all its channels."""

    @property
    def prompt(self) -> Prompt: ...

    @property
    def newest(self) -> PromptVersion | None: ...

    @property
    def channels(self) -> Mapping[str, Live]: ...


class Asked(NamedTuple):
    """The query of a fetch. With `resolve` false the source is sent as it was typed, includes and all."""

    selector: Selector = Selector(channel=PRODUCTION)
    resolve: bool = True


def read_query(pairs: Iterable[tuple[str, str]]) -> Asked:
    """The parameters of a fetch, each given once; version and label exclude each other."""
    given: dict[str, str] = {}
    for name, text in pairs:
        if name not in PARAMETERS:
            raise DomainError(
                "unknown_parameter", f"{shorten(name)} is not a parameter here. Known: {', '.join(PARAMETERS)}."
            )
        if name in given:
            raise DomainError("unknown_parameter", f"{name} stands twice in the address. Give it once.")
        given[name] = text
    if "version" in given and "label" in given:
        raise DomainError("bad_version", "version and label exclude each other. Give one of them.")
    if given.get("resolve", "true") not in ("true", "false"):
        raise DomainError("bad_value", f"resolve is true or false, not {shorten(given['resolve'])}.")
    selector = Asked().selector
    if "version" in given:
        selector = _numbered(given["version"])
    elif "label" in given:
        selector = _labelled(given["label"])
    return Asked(selector, given.get("resolve") != "false")


def _numbered(text: str) -> Selector:
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and 1 <= int(text) <= LARGEST_NUMBER):
        raise DomainError("bad_version", f"version is a whole number from 1 to {LARGEST_NUMBER}, not {shorten(text)}.")
    return Selector(number=int(text))


def _labelled(label: str) -> Selector:
    """What a label selects. A label of digits is no number, and no channel has such a name."""
    selector = None
    with suppress(DomainError):
        selector = parse_selector(label)
    if selector is None or selector.number is not None:
        raise DomainError(
            "channel_not_found",
            f"There is no label {shorten(label)} here: labels are the project's channels, production and latest.",
        )
    return selector


def choose(principal: Principal, selector: Selector, standing: Standing) -> Resolved:
    """The version that a number or label of this prompt stands for, if the principal may select it.

    Raises DomainError: key_scope, version_not_found, channel_not_found, channel_empty.
    """
    if selector.channel == PRODUCTION and standing.live(PRODUCTION) is None:
        selector = STABLE
    require(principal.may_select(selector.word))
    return stands_for(standing.prompt, selector, standing)


def labels_of(number: int, standing: Standing) -> list[str]:
    """The labels of one version: the channels whose head it is, `production` for the stable one, `latest`."""
    labels = [name for name, live in standing.channels.items() if _is_head(live, number)]
    if "stable" in labels and PRODUCTION not in standing.channels:
        labels.append(PRODUCTION)
    if standing.newest is not None and number == standing.newest.number:
        labels.append(LATEST)
    return sorted(labels)


def updated_at(version: PromptVersion, standing: Standing) -> datetime:
    """When a version was saved, or last became a channel's head."""
    heads = [live for live in standing.channels.values() if _is_head(live, version.number)]
    moved = [live.release.at for live in heads if live.release is not None]
    return max([version.created_at, *moved])


def _is_head(live: Live, number: int) -> bool:
    return live.version is not None and live.version.number == number


def write(resolved: Resolved, standing: Standing, *, resolve: bool = True) -> Written:
    """A version with all its fields, and a prompt with its tags, as Langfuse's clients read them."""
    version, prompt, channel = resolved.version, resolved.prompt, resolved.channel
    labels = labels_of(version.number, standing)
    body = {
        "id": encode("ver", version.pk),
        "projectId": encode("prj", prompt.project_id),
        "name": prompt.name,
        "version": version.number,
        "type": version.type,
        "prompt": _prompt(version, version.served_content if resolve else version.typed_source),
        "config": version.config_object,
        "labels": labels,
        "tags": prompt.tags,
        "commitMessage": version.message or None,
        "createdBy": encode("usr", version.author_id),
        "createdAt": format_instant(version.created_at),
        "updatedAt": format_instant(updated_at(version, standing)),
        "isActive": PRODUCTION in labels,
        "resolutionGraph": None,
        "promptforge": {
            "channel": None if channel is None else channel.name,
            "revision": resolved.revision,
            "digest": digest_text(version.digest),
            "receipt": receipt_of(resolved),
        },
    }
    return Written(resolved, canonical_json(body).encode(), pinned=False)


def _prompt(version: PromptVersion, content: Any) -> Any:
    return [_message(message) for message in content] if version.type == PromptType.CHAT else content


def _message(message: Mapping[str, str]) -> dict[str, str]:
    if "placeholder" in message:
        return {"type": "placeholder", "name": message["placeholder"]}
    return {"type": "chatmessage", **message}
