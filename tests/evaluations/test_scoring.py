"""Every criterion of the table, what it says of good and bad answers, and that no text can upset one."""

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluations.scoring import (
    CRITERIA,
    Answer,
    Criterion,
    Score,
    as_json,
    judged,
    read_criteria,
    score,
    sentence,
    total,
)
from evaluations.scoring.criteria import MAX_TEXT
from promptforge.lib.errors import DomainError
from tests.plugin import ROOT

PERSON = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}}}
# (criterion, what passes, what fails)
TABLE = [
    ({"type": "equals", "value": "Yes."}, "Yes.", "Yes. "),
    ({"type": "equals", "value": {"a": 1, "b": [True]}}, '{"b": [true], "a": 1.0}', '{"b": [1], "a": 1}'),
    ({"type": "contains", "value": "refund"}, "Your refund.", "Your Refund."),
    ({"type": "icontains", "value": "STRASSE"}, "Die Straße.", "Die Gasse."),
    ({"type": "contains-any", "value": ["tea", "coffee"]}, "coffee", "water"),
    ({"type": "contains-all", "value": ["tea", "coffee"]}, "coffee, tea", "coffee"),
    ({"type": "icontains-any", "value": ["tea", "coffee"]}, "Coffee", "water"),
    ({"type": "icontains-all", "value": ["tea", "coffee"]}, "Coffee, TEA", "TEA"),
    ({"type": "starts-with", "value": "Dear"}, "Dear Ann", "My dear Ann"),
    ({"type": "regex", "value": r"order \d{4}\b"}, "order 1234", "order 12345"),
    ({"type": "is-json"}, " [1, 2] ", "[1, 2"),
    ({"type": "is-json", "value": PERSON}, '{"name": "Ann"}', '{"name": "ann"}'),
    ({"type": "contains-json", "value": PERSON}, 'Here: {"x": 1}, {"name": "Ann"}!', 'Here: {"name": 4}'),
    ({"type": "levenshtein", "value": "refund", "threshold": 2}, "refunds!", "returned goods"),
    ({"type": "latency", "threshold": 500}, Answer("", latency_ms=500), Answer("", latency_ms=501)),
    ({"type": "cost", "threshold": 0.01}, Answer("", cost_usd=0.01), Answer("", cost_usd=0.02)),
    ({"type": "word-count", "value": 3}, "one two three", "one two"),
    ({"type": "word-count", "value": {"min": 2, "max": 3}}, "one two", "one two three four"),
    ({"type": "length-ratio"}, Answer("a " * 12, baseline_words=10), Answer("a " * 30, baseline_words=10)),
    ({"type": "is-refusal"}, "I’m sorry, but I can't help with that.", "The refund takes five days."),
    ({"type": "is-refusal"}, Answer("", finish_reason="content_filter"), Answer("", finish_reason="stop")),
    ({"type": "finish-reason", "value": "stop"}, Answer("", finish_reason="STOP"), Answer("", finish_reason="length")),
    ({"type": "no-pii"}, "Write to help@example.com.", "Write to ann.smith@gmail.com."),
    ({"type": "no-pii", "value": ["card number"]}, "4111 1111 1111 1112", "Card 4111 1111 1111 1111."),
    ({"type": "no-secret"}, "Set your key.", "Use ghp_" + "a1B2" * 9),
    ({"type": "language", "value": "en"}, "The refund takes five days.", "Le remboursement prendra cinq jours."),
    ({"type": "tone", "value": {"feature": "exclamations", "max": 0}}, "Fine.", "Fine!"),
    (
        {"type": "assert-set", "threshold": 0.5, "value": [{"type": "contains", "value": w} for w in "abc"]},
        "a b",
        "a",
    ),
]  # fmt: skip
EVERY = [row[0] for row in TABLE] + [{"type": "llm-rubric", "value": "It is kind."}]


def read(raw: dict) -> Criterion:
    return read_criteria([raw], "")[0]


def said(raw: dict, given: str | Answer, expected: str | None = None, **variables: object) -> Score:
    return score(read(raw), given if isinstance(given, Answer) else Answer(given), expected, variables)


def test_the_tests_know_every_type() -> None:
    assert {raw["type"] for raw in EVERY} == set(CRITERIA)


@pytest.mark.parametrize(("raw", "good", "bad"), TABLE, ids=[f"{n}-{row[0]['type']}" for n, row in enumerate(TABLE)])
def test_good_and_bad_answers(raw: dict, good: str | Answer, bad: str | Answer) -> None:
    assert said(raw, good).passed is True
    assert said(raw, bad).passed is False
    negated = raw | {"type": f"not-{raw['type']}"}
    assert said(negated, good).passed is False
    assert said(raw | {"not": True}, bad).passed is True
    assert said(negated | {"not": True}, good).passed is True, "not not"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"type": "contains", "value": "refund"}, "must contain “refund”"),
        ({"type": "not-contains-any", "value": ["a", "b"]}, "must not contain one of “a”, “b”"),
        ({"type": "cost", "threshold": 0.01}, "must cost at most $0.01"),
        ({"type": "equals"}, "must be exactly the expected answer"),
        ({"type": "word-count", "value": {"max": 80}}, "must have at most 80 words"),
        ({"type": "tone", "value": {"feature": "hedges", "max": 2}}, "must have hedges of at most 2"),
    ],
)
def test_each_says_what_it_asks(raw: dict, words: str) -> None:
    assert sentence(read(raw)) == words


@pytest.mark.parametrize(
    ("raw", "given"),
    [
        ({"type": "cost", "threshold": 1}, Answer("x")),
        ({"type": "latency", "threshold": 1}, Answer("x")),
        ({"type": "length-ratio"}, Answer("x")),
        ({"type": "finish-reason", "value": "stop"}, Answer("x")),
        ({"type": "llm-rubric", "value": "kind"}, Answer("x")),
        ({"type": "equals"}, Answer("x")),
        ({"type": "assert-set", "value": [{"type": "cost", "threshold": 1}]}, Answer("x")),
    ],
)
def test_what_is_not_known_is_neither_pass_nor_fail_even_when_negated(raw: dict, given: Answer) -> None:
    for each in (raw, raw | {"not": True}):
        found = score(read(each), given, None, {})
        assert (found.value, found.passed) == (None, None)
        assert found.explanation


def test_the_expected_answer_stands_in_for_a_value() -> None:
    assert said({"type": "equals"}, "42", expected="42").passed
    assert said({"type": "icontains"}, "It is PARIS.", expected="Paris").passed
    assert not said({"type": "levenshtein"}, "It is Paris.", expected="Rome").passed


def test_variables_are_filled_into_values_as_text_and_never_as_a_pattern() -> None:
    assert said({"type": "contains", "value": "Dear {{ name }},"}, "Dear A.B,", name="A.B").passed
    assert not said({"type": "regex", "value": "^{{name}}$"}, "AxB", name="A.B").passed
    assert said({"type": "regex", "value": "^{{name}}$"}, "A.B", name="A.B").passed
    assert said({"type": "contains", "value": "{{a}}"}, "{{b}}", a="{{b}}", b="no").passed
    assert said({"type": "contains-any", "value": ["{{n}}"]}, "1.5", n=1.5).passed


def test_a_judgement_answers_a_rubric_also_inside_a_set() -> None:
    rubric = {"type": "llm-rubric", "value": "It is kind."}
    criteria = read_criteria([rubric, {"type": "assert-set", "value": [rubric]}], "")
    names = [criterion.name for criterion in judged(criteria)]
    assert len(set(names)) == 2, "two judges of the same words are told apart"
    answers = {name: Score(1.0, True, "It is.") for name in names}
    assert [score(c, Answer("x"), None, {}, answers).passed for c in criteria] == [True, True]


@pytest.mark.parametrize(
    ("criteria", "pointer", "code", "words"),
    [
        ({"type": "contains"}, "", "list_expected", "list of criteria"),
        (["contains"], "/0", "object_expected", "a string"),
        ([{"value": "x"}], "/0/type", "field_required", "has a type"),
        ([{"type": "javascript", "value": "1"}], "/0/type", "bad_criterion", "types are equals"),
        ([{"type": "contains", "values": "x"}], "/0/values", "unknown_field", "fields are type"),
        ([{"type": "contains", "value": 5}], "/0/value", "bad_criterion", "a text"),
        ([{"type": "contains-any", "value": "a,b"}], "/0/value", "bad_criterion", "list of 1 to 200"),
        ([{"type": "regex", "value": "(?=a)"}], "/0/value", "bad_criterion", "RE2 looks neither ahead"),
        ([{"type": "regex", "value": r"(a)\1"}], "/0/value", "bad_criterion", "RE2"),
        ([{"type": "regex", "value": "((a{1000}){1000})"}], "/0/value", "bad_criterion", "RE2"),
        ([{"type": "is-json", "value": {"$ref": "https://x.test/s"}}], "/0/value", "bad_criterion", "leads out"),
        ([{"type": "is-json", "value": {"a": [{"$ref": "file:///etc/passwd"}]}}], "/0/value", "bad_criterion", "leads"),
        ([{"type": "is-json", "value": {"type": "objekt"}}], "/0/value", "bad_criterion", "schema is none"),
        ([{"type": "is-json", "value": {"pattern": "(?<=a)"}}], "/0/value", "bad_criterion", "RE2"),
        ([{"type": "cost"}], "/0/threshold", "field_required", "needs a threshold"),
        ([{"type": "cost", "threshold": -1}], "/0/threshold", "bad_criterion", "from 0 to 1,000"),
        ([{"type": "cost", "threshold": True}], "/0/threshold", "bad_criterion", "a boolean"),
        ([{"type": "contains", "value": "x", "threshold": 1}], "/0/threshold", "bad_criterion", "no meaning"),
        ([{"type": "contains", "value": "x", "weight": float("nan")}], "/0/weight", "bad_criterion", "finite"),
        ([{"type": "contains", "value": "x", "weight": 1001}], "/0/weight", "bad_criterion", "from 0 to 1,000"),
        ([{"type": "contains", "value": "x", "not": "yes"}], "/0/not", "bad_criterion", "true or false"),
        ([{"type": "contains", "value": "x", "name": " "}], "/0/name", "bad_criterion", "1 to 100"),
        ([{"type": "latency", "value": 3, "threshold": 3}], "/0/value", "bad_criterion", "leave it out"),
        ([{"type": "word-count", "value": {"min": 5, "max": 2}}], "/0/value", "bad_criterion", "more than max"),
        ([{"type": "language", "value": "klingon"}], "/0/value", "bad_criterion", "two letters"),
        ([{"type": "tone", "value": {"feature": "joy", "max": 1}}], "/0/value", "bad_criterion", "features are"),
        ([{"type": "no-pii", "value": ["shoe size"]}], "/0/value", "bad_criterion", "e-mail address"),
        ([{"type": "assert-set", "value": [{"type": "regex", "value": "("}]}], "/0/value/0/value", "bad_criterion", ""),
        ([{"type": "assert-set", "value": []}], "/0/value", "bad_criterion", "at least one"),
        (
            [{"type": "assert-set", "value": [{"type": "assert-set", "value": [{"type": "assert-set", "value": []}]}]}],
            "/0/value/0/value/0",
            "bad_criterion",
            "in one other at most",
        ),
        ([{"type": "is-json"}] * 101, "", "bad_criterion", "at most 100"),
    ],
)  # fmt: skip
def test_each_bad_criterion_is_told_with_its_place(criteria: object, pointer: str, code: str, words: str) -> None:
    with pytest.raises(DomainError) as refusal:
        read_criteria(criteria, "/criteria")
    fault = refusal.value.faults[0]
    assert (fault.pointer, fault.code) == (f"/criteria{pointer}", code)
    assert words in fault.detail


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(DomainError) as refusal:
        read_criteria([{"type": "x"}, {"type": "is-json"}, {"type": "regex", "value": "("}], "/c")
    assert [fault.pointer for fault in refusal.value.faults] == ["/c/0/type", "/c/2/value"]


@pytest.mark.parametrize("raw", EVERY, ids=[f"{n}-{raw['type']}" for n, raw in enumerate(EVERY)])
def test_a_criterion_written_and_read_again_is_the_same(raw: dict) -> None:
    for each in (raw, raw | {"not": True, "weight": 0}, raw | {"name": "one"}):
        criteria = read_criteria([each, each], "")
        assert read_criteria([as_json(criterion) for criterion in criteria], "") == criteria
        assert criteria[0].name != criteria[1].name


CRITERIA_READ = read_criteria(EVERY, "")


@settings(max_examples=30, deadline=None)
@given(
    st.one_of(
        st.text(),
        st.text(alphabet=st.characters(exclude_categories=())),  # lone surrogates too
        st.text(alphabet='{}[]",:\\0129 eE+-'),
        st.lists(st.sampled_from(["{", "[", '"', "a", "😀", "\0", "@", "4111", "GB", "!", "\n"])).map("".join),
    ),
    st.one_of(st.none(), st.text()),
)
def test_no_text_upsets_a_scorer(text: str, expected: str | None) -> None:
    answer = Answer(text, finish_reason=text[:5], latency_ms=1, cost_usd=0.0, baseline_words=1.0)
    for criterion in CRITERIA_READ:
        found = score(criterion, answer, expected, {"n": text})
        assert (found.value is None) == (found.passed is None)
        assert found.value is None or 0 <= found.value <= 1
        assert found.explanation
        assert found.explanation.isprintable() or "\n" not in found.explanation


HOSTILE = {
    "brackets": "[" * MAX_TEXT,
    "objects": '{"a":' * (MAX_TEXT // 5),
    "open strings": '{"' * (MAX_TEXT // 2),
    "long number": "9" * MAX_TEXT,
    "digits": "4111 " * (MAX_TEXT // 5),
    "addresses": "a@" * (MAX_TEXT // 2),
    "dots": "a." * (MAX_TEXT // 2),
    "emoji": "😀" * MAX_TEXT,
    "capitals": "GB29 " * (MAX_TEXT // 5),
    "letters": "a" * MAX_TEXT,
    "words": "good " * (MAX_TEXT // 5),
    "blanks": " " * MAX_TEXT,
    "a list of objects": "[" + '{"a": 1},' * 20_000 + "{}]",
    "50 MB": "no refund " * 5_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_every_scorer_ends_soon_whatever_the_text(name: str) -> None:
    slow = {"type": "is-json", "value": {"uniqueItems": True, "items": {"anyOf": [{"$ref": "#"}, {"type": "object"}]}}}
    answer = Answer(HOSTILE[name], latency_ms=1, cost_usd=0.0, baseline_words=1.0)
    score(read({"type": "language", "value": "en"}), Answer("Its model is read once, before the clock runs."), None, {})
    for criterion in (*CRITERIA_READ, read(slow), read({"type": "regex", "value": "(a*)*(a|aa)+$|(.*){20}b"})):
        started = time.process_time()
        score(criterion, answer, "a" * MAX_TEXT, {})
        assert time.process_time() - started < 1.5, criterion.type


def test_a_schema_that_leads_into_itself_is_unmeasured() -> None:
    endless = {"type": "is-json", "value": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}}
    doubling = {"$defs": {"a0": {"type": "null"}}, "$ref": "#/$defs/a40"}
    doubling["$defs"] |= {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n - 1}"}] * 2} for n in range(1, 41)}
    for raw in (endless, {"type": "is-json", "value": doubling}):
        assert said(raw, "1").passed is None


def test_a_cut_text_says_so() -> None:
    assert "first 200,000 characters" in said({"type": "contains", "value": "x"}, "a" * 200_001).explanation
    assert "first 10,000" in said({"type": "levenshtein", "value": "a"}, "a" * 10_001).explanation
    assert said({"type": "levenshtein", "value": "a" * 10_000}, "a" * 20_000).passed is False


@pytest.mark.parametrize(
    "text",
    [
        "IBAN DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "5500-0000-0000-0004", "+49 30 1234567",
        "call (212) 736-5000 now", "SSN 536-22-1234", "Mail: Ann_Smith+x@mail.co.uk",
    ],
)  # fmt: skip
def test_personal_data_is_found_and_not_repeated(text: str) -> None:
    found = said({"type": "no-pii"}, text)
    assert found.passed is False
    assert not any(word in found.explanation for word in text.split() if any(c.isdigit() or c == "@" for c in word))


@pytest.mark.parametrize(
    "text",
    [
        "IBAN DE89 3704 0044 0532 0130 01", "Order 1234567890123456", "2026-11-26 10:00:00", "version 1.2.3.4",
        "about 1,000,000 people", "call 555-0123", "a@b", "000-12-3456", "4111 1111 1111 1111 0",
    ],
)  # fmt: skip
def test_what_only_looks_like_personal_data_is_left(text: str) -> None:
    assert said({"type": "no-pii"}, text).passed is True


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("I'm sorry, but I can't assist with that request.", True),
        ("As an AI language model, I cannot give medical advice.", True),
        ("I am unable to help with this.", True),
        ("Je ne peux pas vous aider avec cela.", True),
        ("I’m not able to share that.", True),
        ("I'm sorry to hear that your parcel is late. It will be there tomorrow.", False),
        ("I cannot recommend this book enough.", False),
        ("Refunds cannot be made after 30 days. " + "Ask us. " * 40 + "I cannot help with that.", False),
        ("Sure! Here is the recipe.", False),
    ],
)
def test_refusals(text: str, refuses: bool) -> None:
    assert said({"type": "is-refusal"}, text).passed is refuses


def test_weights_and_thresholds() -> None:
    criteria = read_criteria(
        [
            {"type": "contains", "value": "a", "weight": 3},
            {"type": "contains", "value": "b"},
            {"type": "contains", "value": "c", "weight": 0},
        ],
        "",
    )
    scores = [score(criterion, Answer("a"), None, {}) for criterion in criteria]
    assert (total(criteria, scores).value, total(criteria, scores).passed) == (0.75, False)
    assert total(criteria, scores, 0.75).passed is True
    scores[1] = Score(None, None, "unknown")
    assert total(criteria, scores, 0.1).passed is None
    scores[1], scores[2] = Score(1.0, True, ""), Score(None, None, "recorded only")
    assert total(criteria, scores).passed is True


def test_no_heavy_library_comes_with_the_import() -> None:
    heavy = ["re2", "jsonschema", "rapidfuzz", "py3langid", "numpy", "vaderSentiment"]
    code = (
        "import sys, evaluations.scoring, evaluations.tone, evaluations.judging;"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
