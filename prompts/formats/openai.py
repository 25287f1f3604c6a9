"""OpenAI's stored prompts as JSON: `id`, `version`, and the text as `instructions`, `messages` or both.

The stored form that the Responses API names by `{"prompt": {"id", "version", "variables"}}`. `instructions` come first,
as a developer's message; alone they are a text prompt. Settings such as `model` travel along as config.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.json import kind_of
from prompts.formats.records import Batch, PromptRecord, Unreadable, VersionRecord, text_of, why_of

type Item = tuple[str, dict[str, Any]]

CONFIG = (
    "model",
    "temperature",
    "top_p",
    "max_output_tokens",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "reasoning",
)
_KNOWN = (*CONFIG, "id", "name", "version", "object", "created_at", "variables", "instructions", "messages")
_TEXT_PARTS = ("input_text", "output_text", "text")
_DECLARED = ("type", "required", "default", "description", "max_length", "enum")


def is_item(value: object) -> bool:
    """Whether a JSON value is a stored prompt, or the reference to one."""
    if not isinstance(value, dict):
        return False
    reference = value.get("prompt")
    return ("id" in value and bool({"messages", "instructions"} & set(value))) or (
        isinstance(reference, dict) and "id" in reference
    )


def read(batch: Batch, items: Iterable[Item]) -> None:
    """Take the prompts; several versions of one `id` become its history."""
    grouped: dict[str, list[Item]] = {}
    for where, item in items:
        if isinstance(item.get("prompt"), dict):
            batch.leave(where, f"It names the stored prompt {shorten(item['prompt']['id'], 60)} without its text.")
            continue
        name = item.get("name") or item["id"]
        if not isinstance(name, str):
            batch.leave(where, f"name is {kind_of(name)}; a string is expected.")
            continue
        grouped.setdefault(name, []).append((where, item))
    for name, group in grouped.items():
        where = group[0][0]
        try:
            versions = [_version(batch, where, item) for where, item in _ordered(batch, name, group)]
            batch.prompts.append(PromptRecord(name, versions, is_history=len(versions) > 1, where=where))
        except (Unreadable, DomainError) as refusal:
            batch.leave(where, why_of(refusal))


def _ordered(batch: Batch, name: str, group: list[Item]) -> list[Item]:
    """The versions of one prompt, oldest first."""
    ordered = sorted(((_number(item), where, item) for where, item in group), key=lambda row: row[0])
    numbers = [number for number, _, _ in ordered]
    if len(set(numbers)) < len(numbers):
        raise Unreadable(f"{shorten(name)} has two objects of one version.")
    if len(numbers) > 1 and numbers[-1] != len(numbers):
        batch.note(ordered[0][1], f"Its {len(numbers)} versions are numbered up to {numbers[-1]}: counted again.")
    return [(where, item) for _, where, item in ordered]


def _number(item: Mapping[str, Any]) -> int:
    given = item.get("version", 1)
    if isinstance(given, str) and given.isascii() and given.isdecimal() and len(given) < 10:
        given = int(given)
    if type(given) is not int or given < 1:
        raise Unreadable(f"version is {shorten(given, 40)}; a whole number from 1 is expected.")
    return given


def _version(batch: Batch, where: str, item: Mapping[str, Any]) -> VersionRecord:
    for field in item:
        if field not in _KNOWN:
            batch.note(where, f"The field {shorten(field, 40)} was not taken.")
    instructions, messages = item.get("instructions"), item.get("messages")
    content: Any = text_of(instructions, "instructions")
    if messages is not None:
        if not isinstance(messages, list):
            raise Unreadable(f"messages is {kind_of(messages)}; a list is expected.")
        first = [{"role": "developer", "content": content}] if content else []
        content = first + [_message(message, number) for number, message in enumerate(messages, start=1)]
    return VersionRecord(
        content=content,
        config={key: item[key] for key in CONFIG if key in item},
        variables=_variables(batch, where, item.get("variables")),
        created_at=_created(item.get("created_at")),
        where=where,
    )


def _message(message: object, number: int) -> object:
    """A message with its text as one string; parts that are no text, or several of them, have no exact form here."""
    if not isinstance(message, dict):
        return message
    kept = {key: value for key, value in message.items() if key not in {"type", "id", "status"}}
    parts = kept.get("content")
    if isinstance(parts, list):
        part = parts[0] if len(parts) == 1 else None
        if not isinstance(part, dict) or part.get("type") not in _TEXT_PARTS or not isinstance(part.get("text"), str):
            raise Unreadable(
                f"The content of message {number} is not one part of text; images and files are not taken."
            )
        kept["content"] = part["text"]
    return kept


def _variables(batch: Batch, where: str, given: object) -> list[dict[str, Any]] | None:
    """Declarations by name. A plain value belongs to one call, so it is no default."""
    if given is None:
        return None
    if isinstance(given, list):
        return [{"name": name} if isinstance(name, str) else name for name in given]
    if not isinstance(given, dict):
        raise Unreadable(f"variables is {kind_of(given)}; an object or a list of names is expected.")
    declared = []
    for name, value in given.items():
        fields = {key: value[key] for key in _DECLARED if key in value} if isinstance(value, dict) else {}
        if not fields and value not in ({}, None):
            batch.note(where, f"The value given for {shorten(name, 40)} belongs to a call and was not taken.")
        declared.append({"name": name, **fields})
    return declared


def _created(given: object) -> datetime | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < 2**33:
        raise Unreadable("created_at is no time in seconds since 1970.")
    return datetime.fromtimestamp(given, UTC)
