"""promptfoo's files: what is taken, what is told with its line, and that nothing of them is executed."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluations.formats.promptfoo import read_promptfoo
from evaluations.formats.promptfoo_table import read_promptfoo_csv
from evaluations.formats.promptfoo_writing import write_promptfoo
from evaluations.formats.records import number_keys, read_case
from evaluations.scoring import read_criteria
from promptforge.lib.errors import DomainError
from tests.evaluations.drawn import CASES, CRITERIA, TEXTS, criteria, told

EXAMPLES = Path(__file__).parent / "promptfoo"


def test_what_promptfoo_init_writes_is_taken_as_far_as_it_can_be() -> None:
    read = read_promptfoo((EXAMPLES / "init-compare.yaml").read_bytes())
    assert [case["variables"] for case in read.cases] == [
        {"topic": "bananas"}, {"topic": "avocado toast"}, {"topic": "new york city"},
    ]  # fmt: skip
    assert [criterion["type"] for case in read.cases for criterion in case["criteria"]] == ["icontains", "llm-rubric"]
    (problem,) = told(read)
    line = (EXAMPLES / "init-compare.yaml").read_text().splitlines().index("      - type: javascript") + 1
    assert problem == (line, "A test: javascript is code, and PromptForge runs no code that is imported.")
    rag = read_promptfoo((EXAMPLES / "init-rag.yaml").read_bytes())
    assert len(rag.cases) == 1
    assert [sentence for _, sentence in told(rag) if "file://context.py" in sentence]


def test_every_assertion_is_taken_or_told_with_its_line() -> None:
    text = (EXAMPLES / "every-assertion.yaml").read_text()
    read = read_promptfoo(text.encode())
    lines = text.splitlines()
    assert [criterion["type"] for criterion in read.criteria] == ["cost", "llm-rubric"]
    assert read.criteria[1]["weight"] == 2
    first, *middle, judged, left_out = read.cases
    assert [criterion["type"] for criterion in first["criteria"]] == [
        "equals", "equals", "contains", "icontains", "contains-any", "contains-all", "icontains-any", "icontains-all",
        "starts-with", "regex", "is-json", "contains-json", "is-json", "levenshtein", "latency", "word-count",
        "finish-reason", "is-refusal", "contains", "is-refusal",
    ]  # fmt: skip
    assert first["variables"] == {"language": "English", "question": "What is 6 × 7?"}
    assert first["criteria"][0]["value"] == "42"
    assert first["criteria"][4]["value"] == ["42", "forty-two"]
    assert (first["criteria"][18]["name"], first["criteria"][18]["weight"], first["criteria"][18]["not"]) == (
        "manner",
        0,
        True,
    )
    assert [case["variables"]["question"] for case in middle] == ["yes", "12:30", "2024-01-01"], "as YAML 1.2 has them"
    (outer,) = middle[0]["criteria"]
    assert (outer["type"], outer["threshold"]) == ("assert-set", 0.5)
    assert (outer["value"][0]["type"], outer["value"][0]["name"]) == ("assert-set", "parts")
    assert [criterion["type"] for criterion in judged["criteria"]] == ["llm-rubric"] * 4
    assert left_out["criteria"] == []
    begin = lines.index("  - description: left out")
    asserted = {n + 1 for n, line in enumerate(lines) if n > begin and line.startswith("      - {type")}
    assert {line for line, _ in told(read)} >= asserted - {None}
    # One that is no mapping, and the two members of the set.
    assert read.met - read.taken == sum("assert-set" not in lines[line - 1] for line in asserted) + 3
    sentences = [sentence for _, sentence in told(read)]
    assert all(sentence.endswith(".") for sentence in sentences)
    for words in (
        "file://secret.txt",
        "file://questions.txt",
        "file://vars.yaml",
        "file://more.yaml",
        "tests.py:make",
        "user.name",
    ):
        assert any(words in sentence for sentence in sentences), words


def outer_sets(found: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(criterion, sort_keys=True) for criterion in found)


@settings(max_examples=25, deadline=None)
@given(TEXTS, st.lists(CRITERIA, max_size=3), st.lists(CASES, max_size=3))
def test_a_written_config_is_read_back_the_same(description: str, raw: list, cases: list) -> None:
    numbered = number_keys(cases)
    read = read_promptfoo(write_promptfoo("core", description, criteria(*raw), numbered))
    assert told(read) == []
    assert outer_sets(read.criteria) == outer_sets(criteria(*raw))
    for case, again in zip(numbered, read.cases, strict=True):
        assert {**again, "criteria": outer_sets(again["criteria"])} == {
            **case,
            "criteria": outer_sets(case["criteria"]),
        }


def test_a_written_config_gives_promptfoo_nothing_to_follow() -> None:
    case = read_case(
        {"key": "a", "variables": {"f": "file:///etc/passwd", "t": "{{ env.KEY }}", "l": ["exec:rm"], "q": "x"}}
    )
    body = write_promptfoo("core", "", criteria({"type": "no-pii"}, {"type": "contains", "value": "x"}), [case])
    config = yaml.safe_load(body)
    assert config["tests"][0]["vars"] == {"q": "x"}
    assert config["defaultTest"]["assert"] == [{"type": "contains", "value": "x"}]
    assert read_promptfoo(body).cases == [case]


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "body",
    [
        BOMB + "tests: *i\n",
        "tests: &t [*t]\n",
        "tests: &t {a: *t}\n",
        "tests: " + "[" * 100_000,
        "tests:\n" + "".join(" " * n + "a:\n" for n in range(1, 2_000)),
        "tests: !!python/object/apply:os.system ['touch /tmp/owned']\n",
        "tests: !custom x\n",
        "tests: {[1]: 2}\n",
        "tests: [a\n",
        "\x00",
        "- 1\n--- \n- 2\n",
        "prompts: [a]\n",
        "just text",
        "",
        "x" * (2 * 1024 * 1024 + 1),
    ],
    ids=range(15),
)
def test_hostile_files_are_refused_soon_and_run_nothing(body: str) -> None:
    started = time.process_time()
    with pytest.raises(DomainError):
        read_promptfoo(body.encode())
    assert time.process_time() - started < 2


def test_anchors_that_people_use_are_followed() -> None:
    body = (
        b"tests:\n- vars: &v {q: a}\n  assert: &a [{type: contains, value: x}]\n- vars: {<<: *v, r: b}\n  assert: *a\n"
    )
    assert [case["variables"] for case in read_promptfoo(body).cases] == [{"q": "a"}, {"q": "a", "r": "b"}]


def test_a_matrix_is_written_out_and_never_without_end() -> None:
    body = {"tests": [{"vars": {name: list(range(30)) for name in "abcdef"}}]}
    read = read_promptfoo(json.dumps(body).encode())
    assert len(read.cases) == 10_000
    assert "729,000,000 combinations" in told(read)[0][1]
    scenario = {
        "scenarios": [
            {
                "config": [{"vars": {"l": "fr"}}, {"vars": {"l": "de"}}],
                "tests": [{"vars": {"q": 1}}, {"vars": {"q": 2}}],
            }
        ]
    }
    assert len(read_promptfoo(json.dumps(scenario).encode()).cases) == 4


FIELDS = ["vars", "assert", "type", "value", "threshold", "options", "metadata", "promptforge", "criteria", "config"]
FIELDS += ["variables", "tests", "description", "$ref", "weight", "metric", "key", "tags", "q"]


@settings(max_examples=80, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["file://x", "contains", "assert-set"]),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=4,
        ),
        max_leaves=12,
    ),
    st.sampled_from(["tests", "defaultTest", "scenarios", "assertionTemplates"]),
)  # fmt: skip
def test_no_config_upsets_the_reader(value: Any, field: str) -> None:
    read = read_promptfoo(json.dumps({"tests": [], field: value}).encode())
    for case in read.cases:
        assert read_case(case) == case
    read_criteria(read.criteria, "")


def test_promptfoos_table() -> None:
    body = (
        "topic,__expected,__expected2,__description,__metadata:tags[],__threshold,__config:__expected:threshold,"
        "user name,__prefix\n"
        'cats,contains:cat,"contains-any:a,b",First,"x,y",0.5,,n,\n'
        "dogs,dog,grade: is kind,,,,,,\n"
        "cows,fn:output.length > 3,not-icontains:moo,,,,,,\n"
        "owls,levenshtein(3):owl,cost(0.1),,,,2,,\n"
        'eels,"text: with a colon",python:1,,,,,,\n'
    )
    read = read_promptfoo_csv(body.encode())
    kinds = [[(c["type"], c["value"], c["threshold"], c["not"]) for c in case["criteria"]] for case in read.cases]
    assert kinds[0][0][0] == "assert-set"
    assert kinds[1:] == [
        [("equals", "dog", None, False), ("llm-rubric", "is kind", None, False)],
        [("icontains", "moo", None, True)],
        [("levenshtein", "owl", 2, False), ("cost", None, 0.1, False)],
        [("equals", "text: with a colon", None, False)],
    ]
    assert (read.cases[0]["key"], read.cases[0]["tags"]) == ("First", ["x", "y"])
    assert [line for line, _ in told(read)] == [1, 4, 6]
    assert (read.met, read.taken) == (10, 8)
