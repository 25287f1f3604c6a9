"""POST /api/v1/feedback: one word about one observation or trace."""

from typing import Any

import pytest

from delivery.models import Feedback
from promptforge.lib.ids import encode
from promptforge.lib.instants import format_instant
from tests.api.conftest import body_of, problem_of
from tests.delivery.conftest import Served, stored


@pytest.fixture
def uid(served: Served) -> str:
    served.report(served.observation(trace_id="t-1"))
    return str(stored()[0].uid)


@pytest.mark.parametrize("value", [True, False, 0, 0.8, -1.0, 2**40, "", 'zu lang – "50 %"\n'])
def test_feedback_is_kept_as_it_was_given(served: Served, uid: str, value: Any) -> None:
    sent = {"observation": uid.upper(), "name": "thumb", "value": value, "comment": " Well\n", "user": "u-17"}
    made = body_of(served.service.post("feedback", sent), 201)
    row = Feedback.objects.select_related("key").get()
    assert made == {
        "id": encode("fbk", row.pk),
        "observation": uid,
        "trace_id": None,
        "name": "thumb",
        "value": value,
        "comment": " Well\n",
        "user": "u-17",
        "at": format_instant(row.at),
        "reported_by": {"key": row.key.public_id, "name": "test"},
    }
    assert type(made["value"]) is type(value)
    assert body_of(served.service.get("feedback"))["data"] == [made]
    assert body_of(served.service.get(f"observations/{uid}"))["feedback"] == [made]


def test_feedback_is_found_by_what_it_is_about(served: Served, uid: str) -> None:
    served.report(served.observation(trace_id="t-2"))
    for about, name in (({"observation": uid}, "a"), ({"trace_id": "t-1"}, "b"), ({"trace_id": "t-2"}, "c")):
        body_of(served.service.post("feedback", about | {"name": name, "value": 1, "user": name}), 201)
    for parameters, expected in (
        ({}, "cba"),
        ({"trace_id": "t-1"}, "ba"),
        ({"observation": uid}, "a"),
        ({"name": "b"}, "b"),
        ({"user": "c"}, "c"),
        ({"prompt": "support/greeting", "version": 2}, "cba"),
        ({"prompt": "support/greeting", "version": 1}, ""),
    ):
        rows = body_of(served.service.get("feedback", parameters))["data"]
        assert "".join(row["name"] for row in rows) == expected, parameters


BAD: list[tuple[dict[str, Any], int, str, str]] = [
    ({"name": None}, 400, "bad_value", "/name"),
    ({"name": ""}, 400, "bad_value", "/name"),
    ({"name": "x" * 101}, 400, "bad_value", "/name"),
    ({"value": None}, 400, "bad_value", "/value"),
    ({"value": [1]}, 400, "bad_value", "/value"),
    ({"value": "x" * 10_001}, 413, "content_too_large", "/value"),
    ({"comment": 5}, 400, "string_expected", "/comment"),
    ({"comment": "x" * 10_001}, 400, "bad_value", "/comment"),
    ({"user": "x" * 257}, 400, "bad_value", "/user"),
    ({"observation": 7}, 400, "string_expected", "/observation"),
    ({"observation": "x"}, 404, "not_found", ""),
    ({"trace_id": "t-1"}, 400, "field_required", ""),
    ({"observation": None}, 400, "field_required", ""),
    ({"observation": None, "trace_id": "t-9"}, 404, "not_found", ""),
    ({"observation": None, "trace_id": ""}, 400, "bad_value", "/trace_id"),
    ({"score": 1}, 400, "unknown_field", "/score"),
    ({"at": "2026-11-26T10:00:00Z"}, 400, "read_only_field", "/at"),
]


def test_each_misfit_is_refused(served: Served, uid: str) -> None:
    good = {"observation": uid, "name": "thumb", "value": True}
    for change, status, code, where in BAD:
        told = problem_of(served.service.post("feedback", good | change), status, code)
        assert [fault["pointer"] for fault in told["errors"]] == ([where] if where else [])
    for name in ("name", "value"):
        problem_of(served.service.post("feedback", {k: v for k, v in good.items() if k != name}), 400, "field_required")
    assert not Feedback.objects.exists()


def test_feedback_that_is_repeated_with_its_key_is_given_once(served: Served, uid: str) -> None:
    sent = {"observation": uid, "name": "thumb", "value": True}
    first, again = (served.service.post("feedback", sent, Idempotency_Key="one") for _ in range(2))
    assert body_of(first, 201) == body_of(again, 201)
    assert again["Idempotent-Replayed"] == "true"
    assert Feedback.objects.count() == 1
