"""Evaluation sets in other tools' forms and ours: what is taken, what is told, and that nothing is executed."""

import csv
import io
import json
import string
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluations.formats.own import read_document, read_lines, write_document, write_lines
from evaluations.formats.promptfoo import read_promptfoo
from evaluations.formats.promptfoo_table import read_promptfoo_csv
from evaluations.formats.promptfoo_writing import write_promptfoo
from evaluations.formats.records import MAX_BYTES, Imported, duplicates, number_keys, read_case
from evaluations.formats.tables import preview_csv, read_csv, write_csv
from evaluations.scoring import as_json, read_criteria
from promptforge.lib.errors import DomainError

EXAMPLES = Path(__file__).parent / "promptfoo"


def told(read: Imported) -> list[tuple[int | None, str]]:
    return [tuple(problem) for problem in read.problems]


def criteria(*raw: dict) -> list[dict]:
    return [as_json(criterion) for criterion in read_criteria(list(raw), "")]


# --- CSV -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_is_read_whatever_a_spreadsheet_made_of_it(separator: str, encoding: str) -> None:
    text = separator.join(["Question", "expected output", "ID", "Tags", "Group", "Critical"]) + "\r\n"
    text += (
        separator.join(['"Wie heißt ""er""?\r\nSag es, bitte; jetzt"', "Jürgen", "a1", "x|y", "g", "Yes"]) + "\r\n\r\n"
    )
    read = read_csv(text.encode(encoding))
    assert told(read) == []
    assert read.cases == [
        {
            "key": "a1",
            "variables": {"Question": 'Wie heißt "er"?\r\nSag es, bitte; jetzt'},
            "messages": {},
            "expected": "Jürgen",
            "tags": ["x", "y"],
            "group": "g",
            "critical": True,
            "criteria": [],
        }
    ]


def test_columns_are_mapped_and_previewed() -> None:
    body = b"Customer question,Right answer,Noise\nHow?,So.,x\n" * 1 + b"Why?,Because.,y\n" * 30
    mapping = {"Customer question": "variable:q", "Right answer": "expected", "Noise": "skip"}
    preview = preview_csv(body, mapping)
    assert (preview.separator, preview.cases, len(preview.rows), preview.mapping) == (",", 31, 20, mapping)
    assert read_csv(body, mapping).cases[0]["variables"] == {"q": "How?"}
    unmapped = preview_csv(body)
    assert unmapped.mapping["Customer question"] == "skip"
    assert "its name is none of a variable" in unmapped.problems[0].sentence


def test_errors_are_told_by_the_row_they_stand_in() -> None:
    body = b'q,critical,expected\nfine,yes,a\nshort,\n"two\nlines",perhaps,b\nlong,no,c,d\nfine,no,\n"open,no,x\n'
    read = read_csv(body)
    assert [line for line, _ in told(read)] == [8, 3, 4, 6]
    assert [case["variables"]["q"] for case in read.cases] == ["fine", "fine"]
    assert "never closed" in told(read)[0][1]
    assert "2 cells, the header 3" in told(read)[1][1]
    assert "perhaps; yes or no" in told(read)[2][1]


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"", "body_required", "empty"),
        (b"\n\n", "body_required", "empty"),
        (b"a,a\n1,2\n", "bad_value", "stands twice"),
        (b"a\n\xff\n", "invalid_utf8", "Line 2"),
        (b"x" * (MAX_BYTES + 1), "body_too_large", "at most"),
        (",".join(f"c{n}" for n in range(300)).encode(), "bad_value", "at most 250"),
    ],
)
def test_what_is_no_table_is_refused(body: bytes, code: str, words: str) -> None:
    with pytest.raises(DomainError) as refusal:
        read_csv(body)
    assert refusal.value.code == code
    assert words in refusal.value.detail


def test_a_cell_that_is_too_long_costs_its_row_alone() -> None:
    read = read_csv(b"q\n" + b"x" * 200_000 + b"\nfine\n\0nul\n")
    assert [case["variables"]["q"] for case in read.cases] == ["fine"]
    assert [line for line, _ in told(read)] == [2, 4]


def test_five_hundred_rows_take_less_than_two_seconds() -> None:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["question", "context", "expected", "tags"])
    for number in range(500):
        writer.writerow([f"Question {number}, please?", "A context. " * 200, f"Answer {number}", "a|b"])
    started = time.process_time()
    read = read_csv(out.getvalue().encode())
    assert time.process_time() - started < 2
    assert (len(read.cases), read.problems) == (500, [])


def test_no_more_than_ten_thousand_cases_are_taken() -> None:
    read = read_csv(b"q\n" + b"x\n" * 10_500)
    assert len(read.cases) == 10_000
    assert told(read) == [(10_002, "Only 10,000 cases are taken; this one and those behind it are not.")]


def test_written_tables_hold_no_formula() -> None:
    case = read_case(
        {"key": "=k", "variables": {"q": "=HYPERLINK(1)", "n": {"a": 1}, "expected": "@x"}, "expected": "-1"}
    )
    rows = list(csv.reader(io.StringIO("".join(write_csv([case])))))
    assert rows[0] == ["key", "q", "n", "variable:expected", "expected", "tags", "group", "critical"]
    assert rows[1] == ["'=k", "'=HYPERLINK(1)", '{"a":1}', "'@x", "-1", "", "", ""]
    assert list(read_csv("".join(write_csv([case])).encode()).cases[0]["variables"]) == ["q", "n", "expected"]


# --- Our own ---------------------------------------------------------------------------------------------------------
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


@settings(max_examples=60, deadline=None)
@given(LABELS, TEXTS, st.lists(CRITERIA, max_size=3), st.lists(CASES, max_size=3))
def test_our_own_document_comes_back_unchanged(name: str, description: str, raw: list, cases: list) -> None:
    body = write_document(name, description, criteria(*raw), cases)
    read = read_document(body)
    assert (read.name, read.description, read.criteria, read.cases) == (name, description, criteria(*raw), cases)
    assert read.problems == read.notes == []
    assert write_document(read.name, read.description, read.criteria, read.cases) == body


@settings(max_examples=40, deadline=None)
@given(st.lists(CASES, max_size=3))
def test_lines_come_back_unchanged(cases: list) -> None:
    read = read_lines(b"".join(write_lines(cases)))
    assert (read.cases, read.problems) == (cases, [])


def test_a_bad_line_costs_itself_alone() -> None:
    body = (
        b'\xef\xbb\xbf{"variables": {"q": 1}}\n\n{"variables": {"q": 1}\n[1]\n{"vars": {}}\n{"key": "\\u0000"}\n'
        b'{"tags": [""]}\r\n{}'
    )
    read = read_lines(body)
    assert len(read.cases) == 2
    assert [line for line, _ in told(read)] == [3, 4, 5, 6, 7]
    assert "vars is not known; fields are key" in told(read)[2][1]


def test_a_document_of_another_form_is_refused_and_a_bad_case_is_not() -> None:
    for body in (b"[]", b"{}", b'{"format": "promptforge-evaluation-set", "revision": 2}'):
        with pytest.raises(DomainError):
            read_document(body)
    good = json.loads(write_document("n", "", [], [read_case({"variables": {"q": 1}})]))
    good["cases"].insert(0, {"variables": {"_q": 1}})
    good["extra"] = 1
    read = read_document(json.dumps(good).encode())
    assert len(read.cases) == len(read.problems) == len(read.notes) == 1
    with pytest.raises(DomainError) as refusal:
        read_document(json.dumps({**good, "criteria": [{"type": "contains"}, {"type": "nope"}]}).encode())
    assert refusal.value.faults[0].pointer == "/criteria/1/type"


def test_keys_are_numbered_and_told_apart() -> None:
    cases = [read_case({"key": key}) for key in ("", "a", "a", "x" * 100, "x" * 100, "case-1")]
    keys = [case["key"] for case in number_keys(cases, ("case-6",))]
    assert len(set(keys)) == 6
    assert all(len(key) <= 100 for key in keys)
    assert keys[:3] == ["case-1", "a", "a-2"]


def test_cases_that_ask_the_same_are_found() -> None:
    cases = [read_case({"variables": {"q": text}, "key": text + key}) for text, key in ("ax", "bx", "ay", "az")]
    assert duplicates(cases) == [(2, 0), (3, 0)]


# --- promptfoo -------------------------------------------------------------------------------------------------------
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
