"""Texts written for other template languages: what to say about them, and how to keep their tags as characters."""

import re
from typing import Any

from promptforge.lib.errors import DomainError
from prompts import templating

# Refusals of the grammar itself: what `escaped` mends. The rest (an include that is not found) means what it says.
MENDED = ("unclosed_tag", "bad_variable_name", "reserved_name", "confusable_variable", "include_not_found")
_FOREIGN = (
    (re.compile(r"\{%.*?%\}", re.DOTALL), "{% … %}"),
    (re.compile(r"\{#.*?#\}", re.DOTALL), "{# … #}"),
    (re.compile(r"(?<![{$])\{[A-Za-z_]\w*\}(?!\})"), "{name} in single braces"),
    (re.compile(r"\$\{[A-Za-z_]\w*\}"), "${name}"),
)


def escaped(text: str) -> tuple[str, int]:
    r"""The text with `\{{` for each `{{` that opens no tag of ours, and how many those were."""
    pieces: list[str] = []
    rest = text
    while True:
        try:
            templating.parse(rest)
        except DomainError as refusal:
            start = _offset(rest, refusal.extra["line"], refusal.extra["column"])
            pieces.append(rest[:start] + "\\{{")
            rest = rest[start + 2 :]
        else:
            return "".join(pieces) + rest, len(pieces)


def escaped_content(content: Any) -> tuple[Any, int]:
    """The same for a text or for the messages of a chat; what is neither stays, to be refused as it is."""
    if isinstance(content, str):
        return escaped(content)
    if not isinstance(content, list):
        return content, 0
    count, messages = 0, []
    for message in content:
        if isinstance(message, dict) and isinstance(message.get("content"), str):
            text, more = escaped(message["content"])
            messages.append({**message, "content": text})
            count += more
        else:
            messages.append(message)
    return messages, count


def foreign(content: templating.Content) -> list[str]:
    """Which other languages' tags a content holds: they are literal text here."""
    texts = [content] if isinstance(content, str) else [message.get("content", "") for message in content]
    return [shown for form, shown in _FOREIGN if any(form.search(text) for text in texts)]


def _offset(text: str, line: int, column: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = text.index("\n", start) + 1
    return start + column - 1
