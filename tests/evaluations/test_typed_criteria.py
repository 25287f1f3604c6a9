"""Criteria in a form: every type can be typed, and what was typed comes back as it was."""

from typing import Any

import pytest

from evaluations.scoring import CRITERIA, as_json, read_criteria
from evaluations.typed_criteria import GROUPS, KINDS, in_form, read_typed, typed
from promptforge.lib.errors import DomainError

FORMS: list[tuple[dict[str, str], dict[str, Any]]] = [
    ({"type": "icontains", "value": "refund"}, {"value": "refund"}),
    ({"type": "equals", "value": ""}, {"value": None}),
    ({"type": "contains-any", "value": "a\n\n b \n"}, {"value": ["a", "b"]}),
    ({"type": "word-count", "value": "80"}, {"value": 80}),
    ({"type": "word-count", "value": "10-80"}, {"value": {"min": 10, "max": 80}}),
    ({"type": "word-count", "value": "-80"}, {"value": {"max": 80}}),
    ({"type": "word-count", "value": "10-"}, {"value": {"min": 10}}),
    ({"type": "tone", "value": "exclamations 0 to 1"}, {"value": {"feature": "exclamations", "min": 0.0, "max": 1.0}}),
    ({"type": "tone", "value": "exclamations 1"}, {"value": {"feature": "exclamations", "max": 1.0}}),
    ({"type": "language", "value": "en"}, {"value": "en"}),
    ({"type": "language", "value": "en, de"}, {"value": ["en", "de"]}),
    ({"type": "is-json", "value": '{"type": "object"}'}, {"value": {"type": "object"}}),
    ({"type": "no-secret", "not": "yes", "weight": "0"}, {"value": None, "not": True, "weight": 0.0}),
    ({"type": "latency", "threshold": "1500,5", "name": "quick"}, {"threshold": 1500.5, "name": "quick"}),
    ({"type": "no-pii", "value": ""}, {"value": None}),
]


def test_every_type_but_those_that_hold_others_can_be_chosen() -> None:
    assert set(KINDS) == set(CRITERIA) - {"assert-set"}
    assert sum(len(kinds) for kinds in GROUPS.values()) == len(KINDS)
    for name, asked in KINDS.items():
        assert bool(asked.threshold) == (CRITERIA[name].threshold != "none"), name


@pytest.mark.parametrize(("form", "expected"), FORMS, ids=str)
def test_what_is_typed_is_read_and_shown_again(form: dict[str, str], expected: dict[str, Any]) -> None:
    [read] = read_criteria([read_typed(form)], "/criteria")
    stored = as_json(read)
    assert expected.items() <= stored.items()
    assert read_criteria([read_typed(typed(stored))], "/criteria") == (read,)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"type": "rubbish"}, "/type"),
        ({"type": "assert-set"}, "/type"),
        ({"type": "word-count", "value": "many"}, "/value"),
        ({"type": "word-count", "value": "9" * 12}, "/value"),
        ({"type": "tone", "value": "exclamations few to many"}, "/value"),
        ({"type": "is-json", "value": "{"}, "/value"),
        ({"type": "latency", "threshold": "soon"}, "/threshold"),
        ({"type": "contains", "value": "x", "weight": "heavy"}, "/weight"),
    ],
)
def test_what_cannot_be_read_names_its_field(form: dict[str, str], field: str) -> None:
    with pytest.raises(DomainError) as told:
        read_typed(form)
    assert told.value.faults[0].pointer == field


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"type": "regex", "value": "(?=x)"}, "/value"),
        ({"type": "tone", "value": "warmth 1"}, "/value"),
        ({"type": "cost"}, "/threshold"),
        ({"type": "cost", "threshold": "nan"}, "/threshold"),
        ({"type": "contains", "value": "x", "weight": "-1"}, "/weight"),
    ],
)
def test_what_the_criteria_refuse_names_its_field_too(form: dict[str, str], field: str) -> None:
    before = [{"type": "no-secret"}] * 3
    with pytest.raises(DomainError) as told:
        read_criteria([*before, read_typed(form)], "/criteria")
    assert in_form(told.value).faults[0].pointer == field
