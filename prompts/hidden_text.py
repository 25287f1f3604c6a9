"""Characters that a reader of the text does not see, or that make it read otherwise than it is stored.

A model reads them all. Tag characters can spell whole instructions that no screen shows; direction controls show words
in another order; blanks of no width split words that filters look for. Everything found is told with its place, so that
a page can show each as a chip and the approver can acknowledge it.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

# kind → what it is, as ranges of code points. Line feed, carriage return and tab are text.
KINDS: Mapping[str, str] = {
    "tag": "\U000e0000-\U000e007f",
    "bidi": "\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c",
    "zero-width": "\u200b-\u200d\u2060-\u2065\u206a-\u206f\ufeff\u180e\u00ad\u034f\u115f\u1160\u3164\uffa0\u17b4\u17b5",
    "variation": "\ufe00-\ufe0f\U000e0100-\U000e01ef\u180b-\u180d\u180f",
    "control": "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufff9-\ufffb",
    "private": "\ue000-\uf8ff\U000f0000-\U0010ffff",
}
# What blocks a promotion until the approver acknowledges it; the rest informs.
SEVERE = frozenset({"tag", "bidi"})

_HIDDEN = re.compile("|".join(f"(?P<{kind.replace('-', '_')}>[{ranges}])" for kind, ranges in KINDS.items()))
_TAGS = re.compile(f"[{KINDS['tag']}]+")
_WORD = re.compile(r"\w+")
# Scripts whose letters are drawn like Latin ones; the letters that are, as Latin would have them.
_LOOK_ALIKES = str.maketrans(
    "АВЕКМНОРСТУХЅІЈаеорсухѕіјһԁԛԝ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧονικρυ",
    "ABEKMHOPCTYXSIJaeopcyxsijhdqw" + "ABEZHIKMNOPTYXovikpu",
)
_JOINING_SCRIPTS = re.compile("[\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc]")
_EMOJI = re.compile("[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff]")
_FLAG_OF_A_REGION = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f")


def find_hidden(text: str) -> list[dict[str, Any]]:
    """Every hidden character, in order of its place: none is left out, none is told twice.

    Each is `{"line", "column", "offset", "codepoint": "U+200B", "name", "kind", "severe", "decoded"}`: line and column
    from 1, columns and offset in code points; `kind` is a key of KINDS or `confusable` (a letter of another script in a
    Latin word); `severe` asks for acknowledgement. `decoded` is the ASCII text that a run of tag characters spells, at
    the run's first character; else None. What writing needs is not severe and says so in `usual`: a joiner inside an
    emoji or between Persian or Indic letters, a variation selector behind an emoji, the tags of a region's flag.
    """
    confusable = set(_confusable(text))
    if not confusable and not _HIDDEN.search(text):
        return []
    found = {match.start(): str(match.lastgroup).replace("_", "-") for match in _HIDDEN.finditer(text)}
    found |= dict.fromkeys(confusable, "confusable")
    decoded = {run.start(): decode_tags(run[0]) for run in _TAGS.finditer(text)}
    flags = {offset for flag in _FLAG_OF_A_REGION.finditer(text) for offset in range(flag.start(), flag.end())}
    result = []
    line, line_start, counted = 1, 0, 0
    for offset in sorted(found):
        if newlines := text.count("\n", counted, offset):
            line += newlines
            line_start = text.rfind("\n", 0, offset) + 1
        counted = offset
        kind = found[offset]
        usual = offset in flags or _is_usual(text, offset, kind)
        result.append(
            {
                "line": line,
                "column": offset - line_start + 1,
                "offset": offset,
                "codepoint": f"U+{ord(text[offset]):04X}",
                "name": name_of(text[offset]),
                "kind": kind,
                "severe": kind in SEVERE and not usual,
                "usual": usual,
                "decoded": decoded.get(offset),
            }
        )
    return result


def decode_tags(run: str) -> str:
    """The ASCII text that tag characters spell; those that spell nothing are left out."""
    return "".join(chr(ord(c) - 0xE0000) for c in run if 0xE0020 <= ord(c) <= 0xE007E)


def name_of(character: str) -> str:
    """The Unicode name; for control and private characters, which have none, what they are."""
    names = {"\x00": "NULL", "\x08": "BACKSPACE", "\x1b": "ESCAPE", "\x7f": "DELETE", "\x85": "NEXT LINE"}
    fallback = {"Cc": "CONTROL CHARACTER", "Co": "PRIVATE USE CHARACTER"}
    return unicodedata.name(character, names.get(character) or fallback.get(unicodedata.category(character), "UNNAMED"))


def _is_usual(text: str, offset: int, kind: str) -> bool:
    before, after = text[offset - 1 : offset], text[offset + 1 : offset + 2]
    character = text[offset]
    if kind == "variation":
        return character in "\ufe0e\ufe0f" and bool(_EMOJI.match(before) or before in set("0123456789#*"))
    if character == "\u200d":
        # An emoji may carry a skin tone or a variation selector before the joiner.
        joins_emoji = (before == "\ufe0f" or _EMOJI.match(before)) and _EMOJI.match(after)
        return bool(joins_emoji or _JOINING_SCRIPTS.match(before))
    if character == "\u200c":
        return bool(_JOINING_SCRIPTS.match(before) and _JOINING_SCRIPTS.match(after))
    return False


def _confusable(text: str) -> Iterator[int]:
    """Letters drawn like Latin ones, inside words that also hold Latin letters: `pаypal` with a Cyrillic `а`."""
    if text.isascii():
        return
    for word in _WORD.finditer(text):
        if word[0].isascii() or word[0].translate(_LOOK_ALIKES) == word[0]:
            continue
        if any(c.isascii() and c.isalpha() for c in word[0]):
            yield from (word.start() + i for i, c in enumerate(word[0]) if ord(c) in _LOOK_ALIKES)
