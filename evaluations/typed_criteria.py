"""Criteria as people type them into a form: which there are, in plain language, and how each one's fields are read."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evaluations import tone
from promptforge.lib.errors import DomainError, Fault, shorten, wrong
from promptforge.lib.json import canonical_json, parse_json


# --- How a value is typed --------------------------------------------------------------------------------------------
def _nothing(_: str) -> Any:
    return None


def _words(text: str) -> Any:
    return text.strip() or None


def _each_line(text: str) -> Any:
    return [line.strip() for line in text.splitlines() if line.strip()] or None


def _document(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return parse_json(text.encode())
    except DomainError as refusal:
        raise wrong("value", f"This is no JSON: {refusal.detail}") from None


def _range(text: str) -> Any:
    """`80`, `10-80`, `10-` for at least, `-80` for at most."""
    least, dash, most = (part.strip() for part in text.partition("-"))
    if not dash:
        return _number(least)
    found = {name: _number(part) for name, part in (("min", least), ("max", most)) if part}
    return found or None


def _number(text: str) -> Any:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise wrong("value", f"{shorten(text, 40)} is no whole number. Write 80, 10-80, 10- or -80.")
    return int(text)


def _shift(text: str) -> Any:
    """`exclamations 0 to 1`: a figure and between what it lies; `exclamations to 1` has no least."""
    name, _, rest = text.strip().partition(" ")
    least, _, most = rest.partition("to") if "to" in rest else ("", "", rest)
    found: dict[str, Any] = {"feature": name}
    for bound, part in (("min", least.strip()), ("max", most.strip())):
        if part:
            try:
                found[bound] = float(part)
            except ValueError:
                raise wrong("value", f"{shorten(part, 40)} is no number. Write: exclamations 0 to 1") from None
    return found


def _codes(text: str) -> Any:
    codes = text.replace(",", " ").split()
    return codes[0] if len(codes) == 1 else codes or None


@dataclass(frozen=True)
class Asked:
    """One type in plain language: what it is called, and what its fields are called ("": it has none of it)."""

    words: str
    says: str
    read: Callable[[str], Any] = _nothing
    value: str = ""
    hint: str = ""
    threshold: str = ""

    @property
    def is_long(self) -> bool:
        return self.read in (_each_line, _document)


_LINES = "One a line."
_FROM_CASE = "Left empty, it is what the case expects."
_IN_CASE = "{{name}} stands for the case’s variable."

# Groups of the picker, in their order. assert-set is read from files alone: several criteria as one are no first step.
GROUPS: Mapping[str, Mapping[str, Asked]] = {
    "What it says": {
        "icontains": Asked("Contains words", "In capitals or not.", _words, "Words", f"{_IN_CASE} {_FROM_CASE}"),
        "contains": Asked("Contains exactly", "Letter by letter.", _words, "Text", f"{_IN_CASE} {_FROM_CASE}"),
        "icontains-any": Asked("Contains one of several", "Any of them will do.", _each_line, "Words", _LINES),
        "icontains-all": Asked("Contains all of several", "None may be missing.", _each_line, "Words", _LINES),
        "contains-any": Asked("Contains exactly one of several", "Letter by letter.", _each_line, "Texts", _LINES),
        "contains-all": Asked("Contains exactly all of several", "Letter by letter.", _each_line, "Texts", _LINES),
        "starts-with": Asked("Begins with", "The first words of the answer.", _words, "Text", _FROM_CASE),
        "equals": Asked("Is exactly", "The whole answer, and nothing else.", _words, "Text", _FROM_CASE),
        "levenshtein": Asked(
            "Is nearly", "But for a few characters.", _words, "Text", _FROM_CASE, "At most so many characters differ"
        ),
        "regex": Asked("Matches a pattern", "For who knows RE2 patterns.", _words, "Pattern", _IN_CASE),
    },
    "What a reader would say": {
        "llm-rubric": Asked(
            "A judge says yes to a question",
            "Another call of a model reads the answer. It advises until it agrees with people.",
            _words,
            "One question",
            "Answered with yes by a good answer: “Does it name the next step?”",
        ),
        "is-refusal": Asked("Declines to help", "The provider or the first words say so."),
    },
    "How it sounds": {
        "tone": Asked(
            "A figure of tone lies between",
            "Counted without any model.",
            _shift,
            "Figure, and between what",
            "Such as: exclamations 0 to 1. Figures are " + ", ".join(tone.FEATURES) + ".",
        ),
        "language": Asked("Is in a language", "", _codes, "Code", "en, or several: en, de"),
    },
    "How long it is": {
        "word-count": Asked("Has so many words", "", _range, "Words", "80, or 10-80, or -80 for at most 80."),
        "length-ratio": Asked(
            "Is not much longer than the live version’s",
            "Compared case by case.",
            threshold="At most so many times as long (1.25)",
        ),
    },
    "Its form": {
        "is-json": Asked("Is JSON", "The whole answer.", _document, "JSON schema", "May be left empty."),
        "contains-json": Asked("Contains JSON", "Somewhere in it.", _document, "JSON schema", "May be left empty."),
        "finish-reason": Asked("Ends for a reason", "", _words, "Reason", "stop, length, content_filter …"),
    },
    "Safety": {
        "no-pii": Asked(
            "Shows no personal data",
            "E-mail addresses, cards, accounts, phone numbers.",
            _each_line,
            "Kinds",
            "One a line. Left empty, all of them.",
        ),
        "no-secret": Asked("Shows no key or password", ""),
    },
    "Time and money": {
        "latency": Asked("Is quick", "", threshold="At most so many milliseconds"),
        "cost": Asked("Is cheap", "", threshold="At most so many US dollars"),
    },
}
KINDS: Mapping[str, Asked] = {name: asked for group in GROUPS.values() for name, asked in group.items()}


def read_typed(form: Mapping[str, str]) -> dict[str, Any]:
    """The criterion of a form, as `read_criteria` takes it. Refusals name the field of the form."""
    name = form.get("type", "")
    if name not in KINDS:
        raise wrong("type", "Choose what is asked of the answer.")
    asked = KINDS[name]
    given: dict[str, Any] = {"type": name, "value": asked.read(form.get("value", "")), "not": bool(form.get("not"))}
    for field in ("threshold", "weight"):
        if text := form.get(field, "").strip().replace(",", "."):
            given[field] = _decimal(field, text)
    if label := form.get("name", "").strip():
        given["name"] = label
    return given


def typed(criterion: Mapping[str, Any]) -> dict[str, str]:
    """A stored criterion as the form shows it."""
    value = criterion.get("value")
    return {
        "type": criterion["type"],
        "value": _shown(criterion["type"], value),
        "not": "yes" if criterion.get("not") else "",
        "threshold": _plain(criterion.get("threshold")),
        "weight": "" if criterion.get("weight", 1) == 1 else _plain(criterion["weight"]),
        "name": criterion.get("name", ""),
    }


def in_form(refusal: DomainError) -> DomainError:
    """A refusal of one criterion among others, about the fields of its form: `/criteria/3/value` becomes `/value`."""
    faults = [Fault(f"/{_field(each.pointer)}", each.code, each.detail) for each in refusal.faults]
    return DomainError(refusal.code, faults[0].detail if faults else refusal.detail, faults, refusal.extra)


def _field(pointer: str) -> str:
    parts = pointer.split("/")
    return parts[3] if len(parts) > 3 else "type"


def _decimal(field: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise wrong(field, f"{shorten(text, 40)} is no number.") from None


def _plain(number: Any) -> str:
    return "" if number is None else f"{number:g}"


def _shown(name: str, value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if name == "tone":
        return f"{value['feature']} {_plain(value.get('min'))} to {_plain(value.get('max'))}"
    if name == "word-count" and isinstance(value, dict):
        return f"{_plain(value.get('min'))}-{_plain(value.get('max'))}"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return (", " if name == "language" else "\n").join(value)
    return json.dumps(value, ensure_ascii=False, indent=2) if KINDS[name].is_long else canonical_json(value)
