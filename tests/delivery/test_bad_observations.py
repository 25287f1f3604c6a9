"""Observations that do not fit: each is named by its place, and costs no other."""

import json
from datetime import timedelta
from typing import Any

import pytest

from delivery.intake import FIELDS, LARGEST_CALL, LARGEST_WHOLE, LONGEST_CONTENT, LONGEST_NOTE
from delivery.models import Observation
from tests.api.conftest import body_of, problem_of
from tests.delivery.conftest import NAME, Served, stored
from tests.delivery.test_report_observations import NOW

WHOLE = f"A whole number from {{}} to {LARGEST_WHOLE:,} is expected here."
BAD: list[tuple[str, Any, str]] = [
    ("id", "x", "bad_value"),
    ("id", "{0198c0de-7a5e-7000-8000-0123456789ab}", "bad_value"),
    ("id", 7, "bad_value"),
    ("receipt", 7, "string_expected"),
    ("receipt", "x" * 501, "content_too_large"),
    ("receipt", "rc1.k1.W10.AAAA", "bad_receipt"),
    ("receipt", "", "field_required"),
    ("prompt", 7, "string_expected"),
    ("prompt", "none", "prompt_not_found"),
    ("prompt", "SUPPORT/GREETING", "prompt_not_found"),
    ("prompt", "x" * 201, "content_too_large"),
    ("version", "1", "bad_value"),
    ("version", 1.0, "bad_value"),
    ("version", True, "bad_value"),
    ("version", 0, "bad_value"),
    ("version", 2**31, "bad_value"),
    ("version", 9, "version_not_found"),
    ("channel", [], "string_expected"),
    ("channel", "none", "channel_not_found"),
    ("channel", "x" * 64, "content_too_large"),
    ("arm", "left", "bad_value"),
    ("arm", ["stable"], "bad_value"),
    ("user", 17, "string_expected"),
    ("user", "x" * 257, "content_too_large"),
    ("trace_id", {}, "string_expected"),
    ("trace_id", "x" * 257, "content_too_large"),
    ("session_id", True, "string_expected"),
    ("session_id", "x" * 257, "content_too_large"),
    ("variables", "x", "object_expected"),
    ("variables", [], "object_expected"),
    ("variables", {"a": "x" * LONGEST_CONTENT}, "content_too_large"),
    ("input", "x" * LONGEST_CONTENT, "content_too_large"),  # with its quotation marks
    ("output", {"text": "x"}, "string_expected"),
    ("output", "x" * (LONGEST_CONTENT + 1), "content_too_large"),
    ("model", 5, "string_expected"),
    ("model", "x" * 201, "content_too_large"),
    ("provider", [], "string_expected"),
    ("provider", "x" * 201, "content_too_large"),
    ("latency_ms", "812", "bad_value"),
    ("latency_ms", True, "bad_value"),
    ("latency_ms", -1, "bad_value"),
    ("latency_ms", 86_400_001, "bad_value"),
    ("input_tokens", 1.5, "bad_value"),
    ("input_tokens", -1, "bad_value"),
    ("input_tokens", 2**31, "bad_value"),
    ("output_tokens", "x", "bad_value"),
    ("output_tokens", False, "bad_value"),
    ("cost_usd", "0.01", "bad_value"),
    ("cost_usd", -0.01, "bad_value"),
    ("cost_usd", 1e9, "bad_value"),
    ("finish_reason", 1, "string_expected"),
    ("finish_reason", "x" * 65, "content_too_large"),
    ("error", {"message": "x"}, "string_expected"),
    ("error", "x" * (LONGEST_NOTE + 1), "content_too_large"),
    ("at", 1764150000, "string_expected"),
    ("at", "yesterday", "bad_timestamp"),
    ("at", "2026-11-26T10:00:00", "bad_timestamp"),
    ("at", (NOW - timedelta(days=31)).isoformat(), "bad_timestamp"),
    ("at", (NOW + timedelta(hours=1)).isoformat(), "bad_timestamp"),
    ("metadata", "x", "object_expected"),
    ("metadata", {"a": "x" * LONGEST_NOTE}, "content_too_large"),
    ("promt", "x", "unknown_field"),
    ("received_at", None, "unknown_field"),
    ("a/b~c", 1, "unknown_field"),
]


def test_each_misfit_is_named_by_its_place(served: Served) -> None:
    assert set(FIELDS) <= {name for name, _, _ in BAD}
    named = {"prompt": NAME, "version": 1}
    rows = [
        ({"receipt": value} if name == "receipt" else named | {name: value}) | {"session_id": "s", name: value}
        for name, value, _ in BAD
    ]
    for start in range(0, len(BAD), 6):  # a call takes 8 MiB
        answer = served.report(*rows[start : start + 6], served.observation())
        assert answer["accepted"] == 1
        assert [one["index"] for one in answer["rejected"]] == list(range(len(rows[start : start + 6])))
        for one, (name, _, code) in zip(answer["rejected"], BAD[start : start + 6], strict=True):
            where = name.replace("~", "~0").replace("/", "~1")
            if code == "field_required":
                assert [fault["pointer"][-8:] for fault in one["errors"]] == ["0/prompt", "/version"]
                continue
            [fault] = one["errors"]
            assert (fault["pointer"], fault["code"]) == (f"/observations/{one['index']}/{where}", code), fault
            assert len(fault["detail"]) < 400
            assert fault["detail"].endswith((".", "metadata."))
    assert Observation.objects.count() == -(-len(BAD) // 6)


def test_all_faults_of_a_row_are_told(served: Served) -> None:
    answer = served.report({"user": 1, "output_tokens": "x", "colour": "red"})
    assert [(fault["pointer"], fault["code"]) for fault in answer["rejected"][0]["errors"]] == [
        ("/observations/0/user", "string_expected"),
        ("/observations/0/output_tokens", "bad_value"),
        ("/observations/0/colour", "unknown_field"),
        ("/observations/0/prompt", "field_required"),
        ("/observations/0/version", "field_required"),
    ]


def test_a_receipt_and_what_it_says_are_not_given_both(served: Served) -> None:
    answer = served.report(served.observation(prompt=NAME, arm="stable"))
    assert [fault["pointer"] for fault in answer["rejected"][0]["errors"]] == [
        "/observations/0/prompt",
        "/observations/0/arm",
    ]


def test_one_bad_row_of_a_thousand_costs_no_other(served: Served) -> None:
    rows = [served.observation() for _ in range(1000)]
    rows[499] = served.observation(latency_ms="fast")
    answer = served.report(*rows)
    assert (answer["accepted"], [one["index"] for one in answer["rejected"]]) == (999, [499])
    assert {str(row.uid) for row in stored()} == {row["id"] for row in rows} - {rows[499]["id"]}


POISON = {
    "NUL": (b'"a\\u0000b"', "nul_not_allowed"),
    "half a pair": (b'"cut \\ud83d"', "invalid_unicode"),
    "a key twice": (b'{"a": 1, "a": 2}', "duplicate_key"),
    "too large a number": (b"1e400", "number_out_of_range"),
    "too long a number": (b"9" * 40, "number_out_of_range"),
    "NaN": (b"NaN", "number_out_of_range"),
}


@pytest.mark.parametrize("poison", POISON)
def test_not_even_one_that_no_database_could_hold(served: Served, poison: str) -> None:
    """A pair of half surrogates and the letters \\u0000 stand in the good rows, and are none of it."""
    text, code = POISON[poison]
    good, other = served.observation(output="😀 \\u0000"), served.observation()
    bad = json.dumps(served.observation()).encode()[:-1] + b', "input": ' + text + b"}"
    body = b'{"observations": [' + json.dumps(good).encode() + b"," + bad + b"," + json.dumps(other).encode() + b"]}"
    answer = body_of(served.service.post("observations", body), 202)
    assert answer["accepted"] == 2
    [rejected] = answer["rejected"]
    assert (rejected["index"], [fault["code"] for fault in rejected["errors"]]) == (1, [code])
    assert rejected["errors"][0]["pointer"].startswith("/observations/1/input")
    assert {row.output for row in stored()} == {"😀 \\u0000", "Dear Ada"}


CALLS: list[tuple[Any, int, str]] = [
    (b"", 400, "body_required"),
    (b"[]", 400, "object_expected"),
    ({}, 400, "field_required"),
    ({"observations": {}}, 400, "list_expected"),
    ({"observations": None}, 400, "list_expected"),
    ({"observations": []}, 400, "bad_value"),
    ({"observations": [{}] * 1001}, 400, "bad_value"),
    ({"observations": [{}], "project": "shop"}, 400, "unknown_field"),
    (b'{"observations": [{}], "observations": [{}]}', 400, "duplicate_key"),
    (b'{"observations": [{"a": "\\u0000"}], "a": "\\u0000"}', 400, "nul_not_allowed"),
    (b'{"observations": [{}', 400, "json_syntax"),
    (b'{"observations": [' + b"[" * 70 + b"]" * 70 + b"]}", 400, "json_too_deep"),
    (b'{"observations": "' + b"x" * (LARGEST_CALL - 19) + b'"}', 413, "body_too_large"),
    (b'{"observations": "' + b"x" * (LARGEST_CALL + 1_500_000) + b'"}', 413, "body_too_large"),
]


def test_a_call_that_is_none_is_refused_whole(served: Served) -> None:
    for body, status, code in CALLS:
        problem_of(served.service.post("observations", body), status, code)
    largest = b'{"observations": "' + b"x" * (LARGEST_CALL - 20) + b'"}'
    assert len(largest) == LARGEST_CALL
    problem_of(served.service.post("observations", largest), 400, "list_expected")
    sent = json.dumps({"observations": [served.observation()]}).encode()
    problem_of(
        served.service.send("POST", "observations", sent, content_type="text/plain"), 415, "unsupported_media_type"
    )
    problem_of(served.service.post("observations", sent, Content_Encoding="gzip"), 415, "encoding_not_supported")
    problem_of(served.service.send("POST", "observations?dry=1", sent), 400, "unknown_parameter")
    for row in ("x", 7, None, []):
        answer = served.report(row)
        assert [fault["code"] for fault in answer["rejected"][0]["errors"]] == ["object_expected"]
    assert stored() == []
