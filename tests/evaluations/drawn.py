"""Cases and criteria as Hypothesis draws them, and what readers of files said."""

import string

from hypothesis import strategies as st

from evaluations.formats.records import Imported, read_case
from evaluations.scoring import as_json, read_criteria


def told(read: Imported) -> list[tuple[int | None, str]]:
    return [tuple(problem) for problem in read.problems]


def criteria(*raw: dict) -> list[dict]:
    return [as_json(criterion) for criterion in read_criteria(list(raw), "")]


NAMES = st.text(string.ascii_letters, min_size=1, max_size=8)
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)
LABELS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
WORDS = st.lists(TEXTS.filter(bool), min_size=1, max_size=3)
PLAIN = st.one_of(
    st.builds(lambda v: {"type": "contains", "value": v}, TEXTS.filter(bool)),
    st.builds(lambda v: {"type": "equals", "value": v}, TEXTS.filter(bool) | st.lists(JSONS, max_size=2)),
    st.builds(lambda v: {"type": "icontains-any", "value": v}, WORDS),
    st.builds(lambda v: {"type": "regex", "value": v}, st.sampled_from([r"\d+", "^a|b$", "{{q}}", "yes", "12:30"])),
    st.builds(lambda v: {"type": "llm-rubric", "value": v}, TEXTS.filter(bool)),
    st.builds(lambda t: {"type": "cost", "threshold": t}, st.floats(0, 1000)),
    st.builds(lambda t: {"type": "levenshtein", "threshold": t}, st.integers(0, 100)),
    st.sampled_from(
        [
            {"type": "is-json", "value": {"type": "object", "required": ["a"]}},
            {"type": "contains-json"},
            {"type": "no-pii", "value": ["e-mail address"]},
            {"type": "tone", "value": {"feature": "hedges", "max": 1.5}},
            {"type": "word-count", "value": {"min": 1, "max": 9}},
            {"type": "equals"},
            {"type": "length-ratio", "threshold": 1.1},
            {"type": "is-refusal"},
            {"type": "language", "value": ["en", "fr"]},
        ]
    ),
)
CRITERIA = st.builds(
    lambda raw, more: {**raw, **more},
    PLAIN | st.builds(lambda v: {"type": "assert-set", "value": v, "threshold": 0.5}, st.lists(PLAIN, min_size=1)),
    st.fixed_dictionaries(
        {}, optional={"not": st.booleans(), "weight": st.floats(0, 10), "name": LABELS.filter(str.strip)}
    ),
)
CASES = st.builds(
    read_case,
    st.fixed_dictionaries(
        {"variables": st.dictionaries(NAMES, JSONS, max_size=3)},
        optional={
            "key": LABELS,
            "expected": TEXTS,
            "tags": st.lists(LABELS.filter(bool), max_size=3),
            "group": LABELS,
            "critical": st.booleans(),
            "criteria": st.lists(CRITERIA, max_size=3),
            "messages": st.dictionaries(
                NAMES,
                st.lists(
                    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": TEXTS}),
                    max_size=2,
                ),
                max_size=1,
            ),
        },
    ),
)
