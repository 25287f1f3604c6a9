"""Prompt text as people read it: variables, includes and hidden characters stand out, and nothing is markup."""

import json
import re
from collections.abc import Iterator
from typing import Any

from django import template
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from promptforge.lib.page_tags import icon
from prompts.hidden_text import decode_tags, find_hidden
from prompts.models import Release
from prompts.pages import timeline
from prompts.pages.lines import Line, Piece
from prompts.pages.waiting import Waiting, waits_for

type Hidden = dict[int, dict[str, Any]]

register = template.Library()
# What stands between the tags of the page itself.
_BETWEEN_TAGS = re.compile(r"(?<=>)[^<]+|^[^<]+")
_TAG = re.compile(r"(?<!\\)\{\{[ \t]*(?P<include>>?)[^{}\r\n]*\}\}")


@register.filter
def prompt_text(text: str) -> SafeString:
    """The text with a chip for each variable and for each character that does not show."""
    return written(text, unseen(text), 0, len(text))


@register.filter
def rendered_text(text: str) -> SafeString:
    """Text as a model gets it: braces in it are braces; a character that does not show has its chip."""
    return mark_safe("".join(_plain(text, 0, len(text), unseen(text))))  # noqa: S308  each is escaped


def unseen(text: str) -> Hidden:
    """What does not show in a text as it is stored, by place; what writing needs is left alone."""
    return {found["offset"]: found for found in find_hidden(text) if not found["usual"]}


def written(text: str, hidden: Hidden, start: int, end: int) -> SafeString:
    """A part of a text as people read it."""
    return mark_safe("".join(_pieces(text, hidden, start, end)))  # noqa: S308  each is escaped or made by format_html


def _pieces(text: str, hidden: Hidden, start: int, end: int) -> Iterator[str]:
    done = start
    for match in _TAG.finditer(text, start, end):
        yield from _plain(text, done, match.start(), hidden)
        kind = "include" if match["include"] else "variable"
        inside = "".join(_plain(text, match.start(), match.end(), hidden))
        yield f'<span class="{kind}">{inside}</span>'
        done = match.end()
    yield from _plain(text, done, end, hidden)


def _plain(text: str, start: int, end: int, hidden: Hidden) -> Iterator[str]:
    if not hidden:
        yield escape(text[start:end])
        return
    done = start
    for offset in sorted(place for place in hidden if start <= place < end):
        if offset < done:  # within a run of tags that has its chip
            continue
        yield escape(text[done:offset])
        done = offset + 1
        if hidden[offset]["kind"] != "tag":
            yield hidden_chip(hidden[offset])
            continue
        while done < end and done in hidden and hidden[done]["kind"] == "tag":
            done += 1
        yield _tags_chip(text[offset:done])
    yield escape(text[done:end])


def _tags_chip(run: str) -> SafeString:
    """Characters that show nothing at all and that a model reads: how many, and what they spell."""
    spelled = decode_tags(run)
    says = f" that spell “{spelled}”" if spelled else ""
    return format_html(
        '<span class="hidden-char">{}{} hidden tag character{}{}</span>',
        icon("eye"),
        len(run),
        "" if len(run) == 1 else "s",
        says,
    )


def hidden_chip(found: dict[str, Any]) -> SafeString:
    """A character that does not show, by its name and code point."""
    return format_html(
        '<span class="hidden-char">{}{} <code>{}</code></span>',
        icon("eye"),
        found["name"].lower(),
        found["codepoint"],
    )


@register.simple_tag(takes_context=True)
def waits(context: template.Context) -> int:
    """How many promotions wait for the person who looks: what stands beside Inbox on every page."""
    found: Waiting = context.get("waiting") or waits_for(context["principal"])
    return found.total


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


@register.simple_tag
def words(line: Line, shows_spaces: bool = False) -> SafeString:  # noqa: FBT001, FBT002  a tag's arguments
    """A line of a comparison: what was added and removed marked, for eyes and for ears."""
    return format_html_join("", "{}", ((_fate(piece, shows_spaces=shows_spaces),) for piece in line.pieces))


def _fate(piece: Piece, *, shows_spaces: bool) -> SafeString | str:
    shown = written(piece.text, piece.hidden, 0, len(piece.text))
    if shows_spaces:
        shown = mark_safe(_BETWEEN_TAGS.sub(_with_signs, shown))  # noqa: S308  signs in the place of blanks
    if piece.ends and (piece.is_break or shows_spaces):
        shown = format_html("{}{}", shown, mark_safe('<span class="space" aria-hidden="true">↵</span>'))
    if piece.op == "equal" or not shown:
        return shown
    tag, word = ("ins", "added") if piece.op == "insert" else ("del", "removed")
    return format_html('<{}><span class="visually-hidden">{}: </span>{}</{}>', tag, word, shown, tag)


def _with_signs(match: re.Match[str]) -> str:
    return match[0].replace(" ", "·<wbr>").replace("\u00a0", "⍽").replace("\t", "⇥\t")


@register.filter
def heading(part: dict[str, Any]) -> str:
    """What a compared text is called."""
    role = part["role"]
    if role is None:
        return "Text"
    was, now = role["before"], role["after"]
    if was is None and now is None:
        return "Messages that the caller sends"
    return f"{(now or was).capitalize()} message" + (f", was {was}" if was and now and was != now else "")


@register.filter
def setting(row: dict[str, Any], side: str) -> str:
    """A value of the config, or which versions of another prompt are included; JSON where a text could be mistaken."""
    value = row[side]
    is_plain = row["same"] or str(row["was"]) != str(row["now"])
    return value if isinstance(value, str) and is_plain else as_json(value)
