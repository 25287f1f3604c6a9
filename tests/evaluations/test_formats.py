"""Evaluation sets as tables and as files of ours: what is taken, what is told, and that it comes back unchanged."""

import csv
import io
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluations.formats.own import read_document, read_lines, write_document, write_lines
from evaluations.formats.records import MAX_BYTES, duplicates, number_keys, read_case
from evaluations.formats.tables import preview_csv, read_csv, write_csv
from promptforge.lib.errors import DomainError
from tests.evaluations.drawn import CASES, CRITERIA, LABELS, TEXTS, criteria, told


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
