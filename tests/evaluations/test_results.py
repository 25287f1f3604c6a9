"""Results for other programs: every reader can read them, and nothing hostile in them comes alive."""

import csv
import io
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from evaluations.formats.results import GuardrailRow, Report, Row, ScoreRow, write_comment, write_junit, write_long

HOSTILE = "=cmd|' /C calc'!A0 <b>|`x`\x00\ud800 @everyone [a](javascript:1) ]]> & \n#"


UNKNOWN = ScoreRow("cost", None, None)


def rows(case: str, passes: str, arm: str = "candidate") -> list[Row]:
    """`p` passed, `f` failed, `u` unscored."""
    return [
        Row(
            case, arm, n, "unscored" if c == "u" else "done", None if c == "u" else c == "p",
            () if c == "u" else (ScoreRow("contains", float(c == "p"), c == "p", "Missing: “refund”."), UNKNOWN),
            "rate_limited" if c == "u" else "",
        )
        for n, c in enumerate(passes)
    ]  # fmt: skip


REPORT = Report(
    run="run_1", set="core", candidate="support/greeting@9", baseline="support/greeting@8", outcome="PASS",
    sentence="It is no worse.", delta=0.01, interval=(-0.04, 0.06), margin=0.1, cases=3, repeats=2, calls=12,
    cost_usd=None,
    guardrails=(GuardrailRow("length", "PASS", 0.02, (0.0, 0.1), "As long as before."),), advice="Add cases.",
    rows=(*rows("a", "pp"), *rows("a", "pp", "baseline"), *rows("b", "pf"), *rows("b", "pp", "baseline"),
          *rows("c", "pu")),
)  # fmt: skip


def test_the_long_table_has_a_line_for_each_score_and_none_for_what_is_unknown() -> None:
    table = list(csv.DictReader(io.StringIO("".join(write_long(REPORT)))))
    assert len(table) == 9
    assert {tuple(row) for row in table} == {("item", "prompt", "run", "metric", "score")}
    assert {row["prompt"] for row in table} == {"support/greeting@8", "support/greeting@9"}
    assert [row["score"] for row in table if row["item"] == "b" and row["prompt"].endswith("9")] == ["1", "0"]


@pytest.mark.parametrize(
    ("outcome", "tag"),
    [
        ("PASS", None),
        ("FAIL", "failure"),
        ("INCONCLUSIVE", "skipped"),
        ("INCOMPLETE", "error"),
        ("NOT_COMPARABLE", "error"),
    ],
)
def test_junit_tells_the_verdict_and_each_case(outcome: str, tag: str | None) -> None:
    report = replace(REPORT, outcome=outcome, broken=frozenset({"b"}))
    suite = ET.fromstring(write_junit(report))[0]
    tests = {test.get("name"): test for test in suite}
    assert list(tests) == ["verdict", "a", "b", "c"]
    found = [child.tag for child in tests["verdict"]]
    assert found == ["system-out" if tag is None else tag]
    if tag:
        assert tests["verdict"][0].get("message") == f"{outcome}: It is no worse."
    assert tests["a"][0].tag == "system-out"
    assert tests["b"][0].tag == "failure"
    assert "1 of 2" in tests["b"][0].get("message")
    assert tests["c"][0].tag == "error"
    assert "rate_limited" in tests["c"][0].text
    counts = [len(suite.findall(f"testcase/{kind}")) for kind in ("failure", "error", "skipped")]
    assert [suite.get("failures"), suite.get("errors"), suite.get("skipped")] == [str(count) for count in counts]
    assert suite.get("tests") == "4"


def test_a_case_that_failed_now_and_then_is_no_failure_of_its_own() -> None:
    suite = ET.fromstring(write_junit(REPORT))[0]
    assert suite.get("failures") == "0"


def test_the_comment_says_the_sentence_first_and_the_figures() -> None:
    comment = write_comment(replace(REPORT, url="https://pf.example/run_1"))
    assert comment.startswith(
        "### ✅ PASS: support/greeting@\u200b9 against support/greeting@\u200b8 on core\n\nIt is no worse.\n"
    )
    assert "| +1.0 points | -4.0 to +6.0 | 10.0 points | 3 × 2 | 12 | unknown |" in comment
    assert "| length | PASS | +0.02 | As long as before. |" in comment
    assert "| b | 1 of 2 | 2 of 2 | Missing\\: “refund”. |" in comment
    assert "| a | 2 of 2" not in comment
    assert comment.endswith("[The whole run](https://pf.example/run_1)\n")


def test_nothing_hostile_comes_alive() -> None:
    row = Row(HOSTILE, "candidate", 0, "done", False, (ScoreRow(HOSTILE, 0.0, False, HOSTILE),))
    report = replace(
        REPORT, set=HOSTILE, candidate=HOSTILE, baseline=HOSTILE, sentence=HOSTILE, advice=HOSTILE, rows=(row,),
        broken=frozenset({HOSTILE}), guardrails=(GuardrailRow(HOSTILE, "FAIL", None, None, HOSTILE),), outcome="FAIL",
    )  # fmt: skip
    comment = write_comment(report)
    assert "<b>" not in comment
    assert "@everyone" not in comment
    assert "](javascript" not in comment
    assert "\x00" not in comment
    tables = [line for line in comment.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in tables} <= {5, 7}
    suite = ET.fromstring(write_junit(report).encode("utf-8", "strict"))[0]
    assert len(suite) == 2
    table = list(csv.reader(io.StringIO("".join(write_long(report)))))
    assert all(not cell.lstrip().startswith(("=", "@", "+")) for line in table for cell in line)
