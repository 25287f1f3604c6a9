"""Reads criteria as they are sent: every fault told with its place."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from evaluations.scoring.criteria import Criterion, Kind
from evaluations.scoring.table import CRITERIA, label
from promptforge.lib.errors import DomainError, Fault, shorten
from promptforge.lib.json import kind_of

FIELDS = ("type", "value", "threshold", "weight", "not", "name")
MAX_CRITERIA = 100
MAX_NAME = 100
MAX_WEIGHT = 1_000
MAX_FAULTS = 20


def read_criteria(raw: Any, pointer: str) -> tuple[Criterion, ...]:
    """The criteria of `[{"type", "value", "threshold", "weight", "not", "name"}]`; `not-equals` is `equals` with not.

    Names are told apart: a second one of the same gets a number. Raises DomainError with a fault for each place:
    list_expected, object_expected, unknown_field, field_required, bad_criterion.
    """
    faults: list[Fault] = []
    read = _Reader(faults).criteria(raw, pointer)
    if faults:
        shown = faults[:MAX_FAULTS]
        raise DomainError(shown[0].code, f"{shown[0].detail} It stands at {shown[0].pointer or 'the top'}.", shown)
    return tuple(_named(read, set()))


def as_json(criterion: Criterion) -> dict[str, Any]:
    """A criterion as it is sent; reading it again gives the same."""
    value = [as_json(member) for member in criterion.value] if criterion.type == "assert-set" else criterion.value
    body: dict[str, Any] = {
        "type": criterion.type,
        "value": value,
        "threshold": criterion.threshold,
        "weight": criterion.weight,
        "not": criterion.negated,
    }
    return body if criterion.name == label(criterion) else body | {"name": criterion.name}


def judged(criteria: Sequence[Criterion]) -> tuple[Criterion, ...]:
    """Those that a judge has to answer, also inside others."""
    found: list[Criterion] = []
    for criterion in criteria:
        found += judged(criterion.value) if criterion.type == "assert-set" else ()
        found += [criterion] if CRITERIA[criterion.type].judged else []
    return tuple(found)


def _named(criteria: Sequence[Criterion], taken: set[str]) -> Iterator[Criterion]:
    for criterion in criteria:
        if criterion.type == "assert-set":
            criterion = replace(criterion, value=tuple(_named(criterion.value, taken)))  # noqa: PLW2901
        name, number = criterion.name or label(criterion), 2
        while name in taken:
            name, number = f"{criterion.name or label(criterion)} {number}", number + 1
        taken.add(name)
        yield replace(criterion, name=name)


class _Reader:
    """Goes through what was sent and gathers what is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults

    def wrong(self, pointer: str, code: str, detail: str) -> None:
        self.faults.append(Fault(pointer, code, detail))

    def criteria(self, raw: Any, pointer: str, *, depth: int = 0) -> list[Criterion]:
        if not isinstance(raw, list):
            self.wrong(pointer, "list_expected", f"This is {kind_of(raw)}; a list of criteria is expected.")
            return []
        if len(raw) > MAX_CRITERIA:
            self.wrong(pointer, "bad_criterion", f"There are {len(raw):,} criteria; at most {MAX_CRITERIA} are taken.")
            return []
        read = [self.criterion(item, f"{pointer}/{index}", depth) for index, item in enumerate(raw)]
        return [criterion for criterion in read if criterion is not None]

    def criterion(self, raw: Any, pointer: str, depth: int) -> Criterion | None:
        before = len(self.faults)
        if not isinstance(raw, dict):
            self.wrong(pointer, "object_expected", f"This is {kind_of(raw)}; a criterion is an object with a type.")
            return None
        for field in raw:
            if field not in FIELDS:
                detail = f"{shorten(field, 40)} is not known; fields are {', '.join(FIELDS)}."
                self.wrong(f"{pointer}/{shorten(field)}", "unknown_field", detail)
        found = self.type(raw, pointer)
        if found is None:
            return None
        name, negated = found
        kind = CRITERIA[name]
        value = self.value(kind, name, raw.get("value"), pointer, depth)
        threshold = self.threshold(kind, name, raw.get("threshold"), pointer)
        weight = self.number(raw.get("weight", 1), f"{pointer}/weight", "weight", MAX_WEIGHT)
        given = self.name(raw.get("name"), pointer)
        if len(self.faults) > before:
            return None
        return Criterion(name, value, threshold, 1.0 if weight is None else weight, negated, given)

    def type(self, raw: Mapping[str, Any], pointer: str) -> tuple[str, bool] | None:
        given, negated = raw.get("type"), raw.get("not", False)
        if given is None:
            self.wrong(f"{pointer}/type", "field_required", "A criterion has a type.")
            return None
        if not isinstance(negated, bool):
            self.wrong(f"{pointer}/not", "bad_criterion", f"not is {kind_of(negated)}; true or false is expected.")
            return None
        name = given if isinstance(given, str) else ""
        if name not in CRITERIA and name.removeprefix("not-") in CRITERIA:
            name, negated = name.removeprefix("not-"), not negated
        if name not in CRITERIA:
            detail = f"{shorten(given, 40)} is no type of criterion; types are {', '.join(CRITERIA)}."
            self.wrong(f"{pointer}/type", "bad_criterion", detail)
            return None
        return name, negated

    def value(self, kind: Kind, name: str, value: Any, pointer: str, depth: int) -> Any:
        at = f"{pointer}/value"
        if name == "assert-set":
            if depth > 1:
                self.wrong(pointer, "bad_criterion", "An assert-set stands in one other at most.")
                return None
            members = self.criteria(value, at, depth=depth + 1)
            if value == []:
                self.wrong(at, "bad_criterion", "An assert-set holds at least one criterion.")
            return tuple(members)
        if value is None and kind.expects:
            return None
        try:
            return kind.check(value)
        except ValueError as error:
            self.wrong(at, "bad_criterion", f"{name}: {error}")
        except RecursionError:
            self.wrong(at, "bad_criterion", f"{name}: the value is nested too deeply.")
        return None

    def threshold(self, kind: Kind, name: str, value: Any, pointer: str) -> float | None:
        at = f"{pointer}/threshold"
        if value is None:
            if kind.threshold == "required":
                self.wrong(at, "field_required", f"{name} needs a threshold.")
            return None
        if kind.threshold == "none":
            self.wrong(at, "bad_criterion", f"A threshold has no meaning with {name}; leave it out.")
            return None
        return self.number(value, at, "threshold", kind.highest or 1)

    def number(self, value: Any, at: str, what: str, most: float) -> float | None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.wrong(at, "bad_criterion", f"{what} is {kind_of(value)}; a finite number is expected.")
            return None
        if not 0 <= value <= most:
            self.wrong(at, "bad_criterion", f"{what} is {shorten(value, 24)}; it goes from 0 to {most:,g}.")
            return None
        return float(value)

    def name(self, value: Any, pointer: str) -> str:
        if value is None:
            return ""
        if not isinstance(value, str) or not value.strip() or len(value) > MAX_NAME:
            self.wrong(f"{pointer}/name", "bad_criterion", f"name is a text of 1 to {MAX_NAME} characters.")
            return ""
        return value
