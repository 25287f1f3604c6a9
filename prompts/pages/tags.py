"""Prompt text as people read it: variables, includes and hidden characters stand out, and nothing is markup."""

import json
import re
from collections.abc import Iterator
from typing import Any

from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from promptforge.lib.page_tags import icon
from prompts.hidden_text import find_hidden
from prompts.models import Release
from prompts.pages import timeline

register = template.Library()
_TAG = re.compile(r"(?<!\\)\{\{[ \t]*(?P<include>>?)[^{}\r\n]*\}\}")


@register.filter
def prompt_text(text: str) -> SafeString:
    """The text with a chip for each variable and for each character that does not show."""
    hidden = {found["offset"]: found for found in find_hidden(text) if not found["usual"]}
    return mark_safe("".join(_pieces(text, hidden)))  # noqa: S308  each piece is escaped or made by format_html


def _pieces(text: str, hidden: dict[int, dict[str, str]]) -> Iterator[str]:
    done = 0
    for match in _TAG.finditer(text):
        yield from _plain(text, done, match.start(), hidden)
        kind = "include" if match["include"] else "variable"
        inside = "".join(_plain(text, match.start(), match.end(), hidden))
        yield f'<span class="{kind}">{inside}</span>'
        done = match.end()
    yield from _plain(text, done, len(text), hidden)


def _plain(text: str, start: int, end: int, hidden: dict[int, dict[str, str]]) -> Iterator[str]:
    if not hidden:
        yield escape(text[start:end])
        return
    done = start
    for offset in sorted(place for place in hidden if start <= place < end):
        yield escape(text[done:offset])
        yield hidden_chip(hidden[offset])
        done = offset + 1
    yield escape(text[done:end])


def hidden_chip(found: dict[str, str]) -> SafeString:
    """A character that does not show, by its name and code point."""
    return format_html(
        '<span class="hidden-char">{}{} <code>{}</code></span>',
        icon("eye"),
        found["name"].lower(),
        found["codepoint"],
    )


@register.filter
def move(release: Release) -> str:
    """What a release did, in half a sentence behind its channel's name."""
    return timeline.move(release)


@register.filter
def is_release(entry: object) -> bool:
    return isinstance(entry, Release)


@register.filter
def folder_path(name: str) -> list[dict[str, str]]:
    """The folders above a prompt, outermost first."""
    parts = name.split("/")[:-1]
    return [{"name": part, "path": "/".join(parts[: depth + 1])} for depth, part in enumerate(parts)]


@register.filter
def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2 if is_nested(value) else None)


@register.filter
def is_nested(value: Any) -> bool:
    """Whether a setting is long to read: then it is folded."""
    return isinstance(value, dict | list)
