"""The grammar of prompt text: literal text, `{{ variable }}` and `{{> include@3 }}`. Nothing in it evaluates.

- `{{` opens a tag and the next `}}` closes it, on the same line: a tag never spans lines, so that a forgotten `}}` is
  reported where it was forgotten. A tag holds blanks (spaces, tabs), then a name or `>` and a reference, then blanks.
- `\\{{` is a literal `{{`, whatever stands before the backslash. `{x}` and a lone `}}` are literal text.
- Lines end at a line feed. Line and column count from 1, columns in code points, and point at the tag's `{{`.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from promptforge.lib.errors import DomainError, Fault, shorten

VARIABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
PROMPT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
MAX_PROMPT_NAME = 200
MAX_NUMBER = 2**31 - 1

_OPENING = re.compile(r"\\?\{\{")
_TAG = re.compile(r"\{\{((?:(?!\{\{|\}\})[^\r\n])*+)\}\}")
_BLANKS = " \t"
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_WORD = re.compile(r"\w+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that stays. `text` is what rendering writes (`{{` where `\\{{` was typed); offsets are in the source."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    start: int
    end: int
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Include:
    """Another prompt's version; `number` is None for the newest at saving."""

    name: str
    number: int | None
    start: int
    end: int
    line: int
    column: int


type Part = Literal | Variable | Include


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands in a prompt: `message` is None for a text prompt, or counts a chat's messages from 1."""

    message: int | None = None

    @property
    def pointer(self) -> str:
        return "/content" if self.message is None else f"/content/{self.message - 1}/content"

    def refuse(self, code: str, what: str, line: int, column: int) -> DomainError:
        """An error that says where: in words, as `extra` (line, column, message) and as a JSON pointer."""
        where = f"line {line}, column {column}"
        extra: dict[str, Any] = {"line": line, "column": column}
        if self.message is not None:
            where = f"message {self.message}, {where}"
            extra["message"] = self.message
        detail = f"{where[0].upper()}{where[1:]}: {what}"
        return DomainError(code, detail, [Fault(self.pointer, code, detail)], extra)


TEXT = Place()


def parse(text: str, place: Place = TEXT) -> list[Part]:
    """The parts of a text in their order; `text[part.start:part.end]` of all of them together is the text.

    Raises DomainError (422; extra: line, column and, in a chat, message): unclosed_tag, bad_variable_name,
    reserved_name, confusable_variable (letters outside ASCII), include_not_found (no prompt can have that name).
    """
    parts: list[Part] = []
    literal: list[str] = []  # pieces of the literal under way, which began at `begin`
    begin = done = 0
    line, line_start, counted = 1, 0, 0  # newlines before `counted` are in `line`

    def end_literal(end: int) -> None:
        literal.append(text[done:end])
        if end > begin:
            parts.append(Literal("".join(literal), begin, end))
        literal.clear()

    while opening := _OPENING.search(text, done):
        start = opening.start()
        if opening[0][0] == "\\":
            literal += (text[done:start], "{{")
            done = opening.end()
            continue
        end_literal(start)
        if newlines := text.count("\n", counted, start):
            line += newlines
            line_start = text.rfind("\n", 0, start) + 1
        counted = start
        column = start - line_start + 1
        tag = _TAG.match(text, start)
        if tag is None:
            raise place.refuse(
                "unclosed_tag",
                "{{ opens a tag that }} does not close on this line; write \\{{ for the characters.",
                line,
                column,
            )
        begin = done = tag.end()
        parts.append(_tag(tag[1], (start, done, line, column), place))
    end_literal(len(text))
    return parts


def _tag(inner: str, where: tuple[int, int, int, int], place: Place) -> Variable | Include:
    bare = inner.strip(_BLANKS)
    try:
        if bare.startswith(">"):
            return Include(*reference(bare[1:].strip(_BLANKS)), *where)
        check_name(bare)
    except DomainError as error:
        raise place.refuse(error.code, error.detail, where[2], where[3]) from None
    return Variable(bare, *where)


def check_name(name: str) -> None:
    """Whether a variable or placeholder may have this name: `[A-Za-z][A-Za-z0-9_]{0,63}`.

    Raises DomainError: reserved_name (a leading `_`: those names are the API's own), confusable_variable (a word with
    letters outside ASCII, such as the Cyrillic `а`), bad_variable_name (anything else: `a.b`, `a[0]`, `a|f`, `a()`).
    """
    if VARIABLE_NAME.fullmatch(name):
        return
    shown = shorten(name, 40)
    if not name:
        raise DomainError("bad_variable_name", "the tag is empty; a variable has a name: {{name}}.")
    if len(name) > 64 and _WORD.fullmatch(name):
        raise DomainError("bad_variable_name", f"{shown} has {len(name)} characters; a variable's name has at most 64.")
    if name[0] == "_" and _WORD.fullmatch(name):
        raise DomainError(
            "reserved_name", f"{shown} begins with _; such names belong to PromptForge. Begin with a letter."
        )
    odd = next((c for c in name if not c.isascii()), None)
    if odd is not None and all(
        c == "_" or unicodedata.category(c)[0] in "LMN" or unicodedata.category(c) == "Cf" for c in name
    ):
        raise DomainError(
            "confusable_variable",
            f"{shown} holds {describe(odd)}, which can be mistaken for another; names are made of a-z, A-Z, 0-9, _.",
        )
    raise DomainError(
        "bad_variable_name",
        f"{shown} is not a name: a letter a-z or A-Z, then letters, digits and _. Tags hold names only and evaluate "
        "nothing; write \\{{ for the characters.",
    )


def describe(character: str) -> str:
    """A character in words: `U+0430 CYRILLIC SMALL LETTER A`."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()


def reference(text: str) -> tuple[str, int | None]:
    """The prompt's name and version number of `name@3`, or of `name` (None: the newest at saving)."""
    name, at, number = text.partition("@")
    if not PROMPT_NAME.fullmatch(name) or len(name) > MAX_PROMPT_NAME:
        raise DomainError(
            "include_not_found", f"{shorten(name, 40) or 'nothing'} is not a prompt's name: {{{{> folder/name@3}}}}."
        )
    if not at:
        return name, None
    if not _NUMBER.fullmatch(number) or int(number) > MAX_NUMBER:
        raise DomainError(
            "include_not_found",
            f"{shorten(number, 40) or 'nothing'} is not a version number; write {shorten(name)}@3, or no @.",
        )
    return name, int(number)


def meaning(parts: Iterable[Part]) -> list[str | tuple[str]]:
    """What parts say, however they are cut: literal texts joined, variables as 1-tuples."""
    said: list[str | tuple[str]] = []
    for part in parts:
        if isinstance(part, Literal):
            if said and isinstance(said[-1], str):
                said[-1] += part.text
            else:
                said.append(part.text)
        else:
            said.append((part.name,))
    return said
