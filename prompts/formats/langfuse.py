"""Langfuse's prompts: one object for each version, by the field names of its public API.

A version's labels say where channels stand now. `production` is our `stable`, and `latest` is no channel but whatever
is newest. Numbers are kept where they begin with 1 and have no gap; otherwise the versions are counted again.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.json import kind_of
from prompts.formats.records import (
    Batch,
    PromptRecord,
    ReleaseRecord,
    Unreadable,
    VersionRecord,
    instant_of,
    tags_of,
    text_of,
    why_of,
)

type Item = tuple[str, dict[str, Any]]

CHANNEL_OF_LABEL: Mapping[str, str] = {"production": "stable"}
_COMPOSED = re.compile(r"@@@langfusePrompt:(.*?)@@@")
_NUMBERED = re.compile(r"name=([^|@]+)\|version=([1-9][0-9]{0,9})")
_CHANNEL = re.compile(r"[a-z][a-z0-9-]{0,62}")


def is_item(value: object) -> bool:
    """Whether a JSON value is a version, or an entry of the list, as Langfuse writes them."""
    return (
        isinstance(value, dict)
        and "name" in value
        and ("versions" in value if "prompt" not in value else "version" in value)
    )


def read(batch: Batch, items: Iterable[Item]) -> None:
    """Take the prompts that these version objects make up; each is taken whole or left."""
    grouped: dict[str, list[Item]] = {}
    for where, item in items:
        if not isinstance(item["name"], str):
            batch.leave(where, f"name is {kind_of(item['name'])}; a string is expected.")
        elif "prompt" not in item:
            batch.leave(where, f"{shorten(item['name'])} is an entry of the list, without texts; get each version.")
        else:
            grouped.setdefault(item["name"], []).append((where, item))
    numbers = {name: _numbers(group) for name, group in grouped.items()}
    for name, group in grouped.items():
        try:
            batch.prompts.append(_prompt(batch, name, group, numbers))
        except (Unreadable, DomainError) as refusal:
            batch.leave(_where(refusal, name), why_of(refusal))


class _InVersion(Unreadable):
    """A refusal of one version, whose place is known."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(why)
        self.where = where


def _where(refusal: Exception, name: str) -> str:
    return refusal.where if isinstance(refusal, _InVersion) else shorten(name)


def _numbers(group: list[Item]) -> dict[int, int]:
    """Langfuse's numbers to ours, 1, 2, 3 …; what is no number is told when the prompt is read."""
    given = {item["version"] for _, item in group if type(item["version"]) is int and item["version"] > 0}
    return {number: place for place, number in enumerate(sorted(given), start=1)}


def _prompt(batch: Batch, name: str, group: list[Item], numbers: Mapping[str, Mapping[int, int]]) -> PromptRecord:
    seen: dict[int, str] = {}
    for where, item in group:
        number = item["version"]
        if type(number) is not int or number < 1:
            raise _InVersion(where, f"version is {shorten(number, 40)}; a whole number from 1 is expected.")
        if number in seen:
            raise _InVersion(where, f"Version {number} stands twice, also at {seen[number]}.")
        seen[number] = where
    ordered = sorted(group, key=lambda pair: pair[1]["version"])
    kinds = {_kind(item) for _, item in ordered}
    if len(kinds) > 1:
        raise _InVersion(ordered[-1][0], f"{shorten(name)} is text in one version and chat in another.")
    prompt = PromptRecord(name, [], type=kinds.pop(), is_history=True, where=ordered[0][0])
    for where, item in ordered:
        try:
            _version(batch, prompt, where, item, numbers)
        except (Unreadable, DomainError) as refusal:
            raise _InVersion(where, why_of(refusal)) from None
    if (last := ordered[-1][1]["version"]) != len(ordered):
        batch.note(prompt.where, f"{name} has {len(ordered)} versions numbered up to {last}: they are counted again.")
    prompt.tags = tags_of(ordered[-1][1].get("tags"))
    prompt.created_at = prompt.versions[0].created_at
    return prompt


def _kind(item: Mapping[str, Any]) -> str:
    return text_of(item.get("type"), "type", default="chat" if isinstance(item["prompt"], list) else "text")


def _version(
    batch: Batch, prompt: PromptRecord, where: str, item: Mapping[str, Any], numbers: Mapping[str, Mapping[int, int]]
) -> None:
    created, updated = instant_of(item, "createdAt"), instant_of(item, "updatedAt")
    author = text_of(item.get("createdBy"), "createdBy")
    version = VersionRecord(
        content=_content(item["prompt"], numbers),
        config={} if item.get("config") is None else item["config"],
        message=text_of(item.get("commitMessage"), "commitMessage"),
        created_at=created,
        author="" if author == "API" else author,
        where=where,
    )
    prompt.versions.append(version)
    labels = item.get("labels") or []
    if not isinstance(labels, list):
        raise Unreadable(f"labels is {kind_of(labels)}; a list of strings is expected.")
    for label in labels:
        channel = CHANNEL_OF_LABEL.get(label, label) if isinstance(label, str) else ""
        if label == "latest":
            continue  # computed
        if not _CHANNEL.fullmatch(channel) or channel == "pinned":
            batch.note(where, f"The label {shorten(label, 40)} is no channel's name and was not taken.")
        elif other := next((r for r in prompt.releases if r.channel == channel), None):
            raise Unreadable(f"The label {label} stands on two versions, also on number {other.version}.")
        else:
            prompt.releases.append(ReleaseRecord(channel, len(prompt.versions), updated or created))


def _content(given: object, numbers: Mapping[str, Mapping[int, int]]) -> object:
    """Text with its compositions as includes; messages without Langfuse's `type`, placeholders in our form."""
    if isinstance(given, str):
        return _included(given, numbers)
    if not isinstance(given, list):
        raise Unreadable(f"prompt is {kind_of(given)}; a string or a list of messages is expected.")
    messages: list[object] = []
    for message in given:
        if not isinstance(message, dict):
            messages.append(message)
        elif message.get("type") == "placeholder":
            messages.append({"placeholder": message.get("name")})
        else:
            kept = {key: value for key, value in message.items() if key != "type"}
            if isinstance(kept.get("content"), str):
                kept["content"] = _included(kept["content"], numbers)
            messages.append(kept)
    return messages


def _included(text: str, numbers: Mapping[str, Mapping[int, int]]) -> str:
    def include(composed: re.Match[str]) -> str:
        exact = _NUMBERED.fullmatch(composed[1])
        if exact is None:
            raise Unreadable(
                f"{shorten(composed[0])} follows a label: what it stands for changes without a new version. "
                "Name a version in it."
            )
        name, number = exact[1], int(exact[2])
        ours = numbers.get(name, {}).get(number)
        if ours is None:
            raise Unreadable(f"{shorten(composed[0])} names a version that the export does not hold.")
        return f"{{{{> {name}@{ours} }}}}"

    return _COMPOSED.sub(include, text)
