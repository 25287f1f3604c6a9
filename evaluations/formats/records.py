"""What a reader brings, whatever the form was, and what a case may be."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from evaluations.scoring import as_json, read_criteria
from promptforge.lib.errors import DomainError, Fault, shorten
from promptforge.lib.json import canonical_json, kind_of
from prompts import templating
from prompts.templating.contents import check_messages, refused

MAX_BYTES = 10 * 1024 * 1024
MAX_CASES = 10_000
MAX_VALUES = 256 * 1024  # bytes of one case's variables and messages
MAX_EXPECTED = 20_000
MAX_LABEL = 100
MAX_TAGS, MAX_TAG = 20, 50
MAX_PROBLEMS = 1_000
FIELDS = ("key", "variables", "messages", "expected", "tags", "group", "critical", "criteria")

type Case = dict[str, Any]


class Problem(NamedTuple):
    """Something that was not taken, or that a person should know: the line it stands on, and a sentence."""

    line: int | None
    sentence: str


@dataclass
class Imported:
    """Cases and criteria as they can be saved, and all that could not be taken, line by line.

    `assertions` counts the criteria that were met and those of them that were taken.
    """

    cases: list[Case] = field(default_factory=list)
    criteria: list[dict[str, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    name: str = ""
    description: str = ""
    met: int = 0
    taken: int = 0

    def problem(self, line: int | None, sentence: str) -> None:
        self._say(self.problems, line, sentence)

    def note(self, line: int | None, sentence: str) -> None:
        self._say(self.notes, line, sentence)

    @staticmethod
    def _say(said: list[Problem], line: int | None, sentence: str) -> None:
        if len(said) < MAX_PROBLEMS and Problem(line, sentence) not in said[-20:]:
            said.append(Problem(line, sentence))
        elif len(said) == MAX_PROBLEMS:
            said.append(Problem(None, f"There is more of this; the first {MAX_PROBLEMS:,} are told."))

    def add(self, raw: Any, line: int | None, where: str = "") -> bool:
        """Take a case if it can be saved, else say why not."""
        if len(self.cases) >= MAX_CASES:
            self.problem(line, f"Only {MAX_CASES:,} cases are taken; this one and those behind it are not.")
            return False
        try:
            self.cases.append(read_case(raw))
        except DomainError as refusal:
            place = refusal.faults[0].pointer if refusal.faults else ""
            sentence = refusal.faults[0].detail if refusal.faults else refusal.detail
            self.problem(line, f"{where}{place.removeprefix('/').replace('/', '.')}: {sentence}")
            return False
        return True

    @property
    def is_full(self) -> bool:
        return len(self.cases) >= MAX_CASES


def read_case(raw: Any, pointer: str = "") -> Case:
    """A case with every field, checked.

    Raises DomainError whose faults stand below `pointer`: object_expected, unknown_field, bad_value and the codes of
    variables' names, messages and criteria.
    """
    if not isinstance(raw, dict):
        raise refused("object_expected", pointer, f"A case is an object; this is {kind_of(raw)}.")
    for name in raw:
        if name not in FIELDS:
            detail = f"{shorten(name, 40)} is not known; fields are {', '.join(FIELDS)}."
            raise refused("unknown_field", f"{pointer}/{shorten(name)}", detail)
    case = {
        "key": _label(raw.get("key"), f"{pointer}/key", "key"),
        "variables": _variables(raw.get("variables"), f"{pointer}/variables"),
        "messages": _messages(raw.get("messages"), f"{pointer}/messages"),
        "expected": _expected(raw.get("expected"), f"{pointer}/expected"),
        "tags": _tags(raw.get("tags"), f"{pointer}/tags"),
        "group": _label(raw.get("group"), f"{pointer}/group", "group"),
        "critical": _flag(raw.get("critical"), f"{pointer}/critical"),
        "criteria": [as_json(c) for c in read_criteria(raw.get("criteria") or [], f"{pointer}/criteria")],
    }
    if (size := len(canonical_json([case["variables"], case["messages"]]).encode())) > MAX_VALUES:
        detail = f"Variables and messages have {size:,} bytes; at most {MAX_VALUES:,} are taken."
        raise refused("bad_value", f"{pointer}/variables", detail)
    return case


def number_keys(cases: list[Case], taken: Iterator[str] | tuple[str, ...] = ()) -> list[Case]:
    """The same cases, each with a key of its own: `case-7` for the seventh without one, `name-2` for a second name."""
    known = set(taken)
    numbered = []
    for place, case in enumerate(cases, start=1):
        base = case["key"] or f"case-{place}"
        key, count = base, 2
        while key in known:
            ending = f"-{count}"
            key, count = base[: MAX_LABEL - len(ending)] + ending, count + 1
        known.add(key)
        numbered.append({**case, "key": key})
    return numbered


def duplicates(cases: list[Case]) -> list[tuple[int, int]]:
    """Places of cases that ask the same as an earlier one, with that one's place: they count double and add nothing."""
    first: dict[str, int] = {}
    found = []
    for place, case in enumerate(cases):
        earlier = first.setdefault(canonical_json([case["variables"], case["messages"]]), place)
        if earlier != place:
            found.append((place, earlier))
    return found


def _text(value: Any, pointer: str, what: str, most: int) -> str:
    if not isinstance(value, str):
        raise refused("string_expected", pointer, f"{what} is {kind_of(value)}; a text is expected.")
    if len(value) > most:
        raise refused("bad_value", pointer, f"{what} has {len(value):,} characters; at most {most:,} are taken.")
    if "\0" in value:
        raise refused("nul_not_allowed", pointer, f"{what} holds the NUL character; remove it.")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise refused("invalid_unicode", pointer, f"{what} holds half of a surrogate pair; send both halves.")
    return value


def _label(value: Any, pointer: str, what: str) -> str:
    text = _text("" if value is None else value, pointer, what, MAX_LABEL)
    if any(character < " " or character == "\x7f" for character in text):
        raise refused("bad_value", pointer, f"{what} is one line without control characters.")
    return text


def _variables(value: Any, pointer: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refused("object_expected", pointer, f"Variables are values by name; this is {kind_of(value)}.")
    for name, item in value.items():
        try:
            templating.check_name(name)
        except DomainError as error:
            shown = f"{pointer}/{shorten(name)}"
            raise DomainError(error.code, error.detail, [Fault(shown, error.code, error.detail)]) from None
        if isinstance(item, str):
            _text(item, f"{pointer}/{name}", name, MAX_VALUES)
    return value


def _messages(value: Any, pointer: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refused("object_expected", pointer, f"Messages are lists by placeholder; this is {kind_of(value)}.")
    for name in value:
        templating.check_name(name)
    return {name: check_messages(item, f"{pointer}/{name}") for name, item in value.items()}


def _expected(value: Any, pointer: str) -> str | None:
    return None if value is None else _text(value, pointer, "expected", MAX_EXPECTED)


def _tags(value: Any, pointer: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise refused("list_expected", pointer, f"Tags are a list of texts; this is {kind_of(value)}.")
    tags = [_text(tag, f"{pointer}/{index}", "A tag", MAX_TAG) for index, tag in enumerate(value)]
    if not all(tags) or len(tags) > MAX_TAGS:
        raise refused("bad_value", pointer, f"Tags are at most {MAX_TAGS}, and none is empty.")
    return list(dict.fromkeys(tags))


def _flag(value: Any, pointer: str) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise refused("bad_value", pointer, f"critical is {kind_of(value)}; true or false is expected.")
    return value
