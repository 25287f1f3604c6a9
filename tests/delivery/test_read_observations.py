"""GET /api/v1/observations and /feedback: who finds what, and where an answer came from."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from guardian.shortcuts import assign_perm

from accounts.roles import Permission
from delivery import reading
from delivery.models import Feedback
from promptforge.lib.ids import encode
from promptforge.lib.instants import format_instant
from prompts.models import Release
from tests.api.conftest import Caller, body_of, problem_of, release
from tests.api.people import person
from tests.delivery.conftest import NAME, Served, stored
from tests.guards.attacks import apply, open_promotion, passed_checks, review
from tests.guards.promoting import dismiss
from tests.personas import Team, make_team

CONTENT = {"variables", "input", "output", "error", "metadata"}


def found(caller: Caller, **parameters: Any) -> list[str]:
    """The users of what a list answers, in its order."""
    return [row["user"] for row in body_of(caller.get("observations", parameters))["data"]]


@pytest.fixture
def logged(served: Served) -> Served:
    """Five observations, told apart by their users; a is the oldest."""
    now = datetime.now(UTC)
    other = served.team.prompt("billing/reminder", content="Pay")
    release(served.team, other, 1)
    served.report(
        served.observation(user="a", trace_id="t1", session_id="s", at=(now - timedelta(hours=9)).isoformat()),
        served.observation(
            user="b", trace_id="t2", session_id="s", output="50% OFF_now", at=(now - timedelta(hours=5)).isoformat()
        ),
        {"user": "c", "prompt": NAME, "version": 3, "arm": "canary", "trace_id": "t1", "output": "no"},
        {"user": "d", "prompt": "billing/reminder", "version": 1, "channel": "stable", "output": "Off you go"},
    )
    served.report(served.observation(user="e", error="timeout"))
    return served


FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "edcba"),
    ({"prompt": NAME}, "ecba"),
    ({"prompt": NAME, "version": 3}, "c"),
    ({"prompt": NAME, "version": 2}, "eba"),
    ({"prompt": NAME, "version": 1}, ""),
    ({"trace_id": "t1"}, "ca"),
    ({"trace_id": "t"}, ""),
    ({"session_id": "s"}, "ba"),
    ({"user": "d"}, "d"),
    ({"channel": "stable"}, "edba"),
    ({"arm": "canary"}, "c"),
    ({"q": "off"}, "db"),
    ({"q": "% off_"}, "b"),
    ({"q": "off", "prompt": "billing/reminder"}, "d"),
    ({"trace_id": "t1", "session_id": "s"}, "a"),
]


def test_each_filter_narrows_the_list_newest_first(logged: Served) -> None:
    for parameters, expected in FILTERS:
        rows = found(logged.service, **parameters)
        assert "".join(sorted(rows)) == "".join(sorted(expected)), parameters
        assert [user for user in rows if user in "abe"] == [user for user in expected if user in "abe"], parameters
    assert found(logged.service, receipt=logged.receipt) == ["e", "b", "a"]
    hour = datetime.now(UTC) - timedelta(hours=7)
    assert found(logged.service, to=format_instant(hour)) == ["a"]
    assert set(found(logged.service, **{"from": format_instant(hour)})) == set("bcde")
    [a, *_] = stored()
    assert found(logged.service, to=format_instant(a.at)) == []
    assert "a" in found(logged.service, **{"from": format_instant(a.at)})


def test_what_cannot_be_asked(logged: Served) -> None:
    for parameters, status, code in (
        ({"version": 1}, 400, "field_required"),
        ({"prompt": NAME, "version": "stable"}, 400, "bad_version"),
        ({"prompt": NAME, "version": 9}, 404, "version_not_found"),
        ({"prompt": "none"}, 404, "prompt_not_found"),
        ({"channel": "none"}, 404, "channel_not_found"),
        ({"arm": "left"}, 400, "bad_value"),
        ({"receipt": "x"}, 400, "bad_receipt"),
        ({"from": "today"}, 400, "bad_timestamp"),
        ({"colour": "red"}, 400, "unknown_parameter"),
        ({"limit": 0}, 400, "bad_limit"),
        ({"cursor": "x"}, 400, "bad_cursor"),
    ):
        problem_of(logged.service.get("observations", parameters), status, code)
        problem_of(logged.service.get("feedback", parameters), status, code)
    problem_of(logged.service.get("feedback", {"observation": "x"}), 404, "not_found")


def test_pages_follow_each_other_also_within_one_instant(logged: Served) -> None:
    at = datetime.now(UTC) - timedelta(minutes=1)
    logged.report(*[logged.observation(user=f"n{n}", at=at.isoformat()) for n in range(7)])
    whole, cursor, pages = found(logged.service), None, []
    while cursor or not pages:
        page = body_of(logged.service.get("observations", {"limit": 3} | ({"cursor": cursor} if cursor else {})))
        pages.append([row["user"] for row in page["data"]])
        logged.report(logged.observation(user="later"))
        cursor = page["next"]
    assert [len(page) for page in pages] == [3, 3, 3, 3]
    assert [user for page in pages for user in page] == whole


def test_lists_take_a_fixed_number_of_queries(logged: Served) -> None:
    [first, *_] = stored()

    def give() -> None:
        for about in ({"observation": str(first.uid)}, {"trace_id": "t1"}):
            body_of(logged.service.post("feedback", about | {"name": "thumb", "value": True}), 201)

    def queries(path: str, parameters: Any = None) -> int:
        with CaptureQueriesContext(connection) as captured:
            body_of(logged.service.get(path, parameters))
        return len(captured)

    asked: list[tuple[str, Any]] = [
        ("observations", None),
        ("observations", {"prompt": NAME, "version": 2, "channel": "stable", "q": "dear"}),
        ("feedback", None),
        ("feedback", {"prompt": NAME, "name": "thumb"}),
        (f"observations/{first.uid}", None),
    ]
    give()
    before = [queries(*one) for one in asked]
    logged.report(*[logged.observation() for _ in range(30)])
    give()
    assert [queries(*one) for one in asked] == before
    assert max(before) <= 9


# --- Who finds what --------------------------------------------------------------------------------------------------
def test_content_is_for_those_who_may_read_what_models_answered(logged: Served) -> None:
    team = logged.team
    [first, *_] = stored()
    body_of(
        logged.service.post("feedback", {"observation": str(first.uid), "name": "n", "value": "rude", "comment": "c"}),
        201,
    )
    for name, reads in {"ada": False, "noor": False, "ben": True, "cleo": True, "farah": True, "emil": True}.items():
        someone = person(team, name)
        rows = body_of(someone.get("observations"))["data"]
        assert len(rows) == 5
        assert [CONTENT & set(row) for row in rows] == [CONTENT if reads else set()] * 5
        one = body_of(someone.get(f"observations/{first.uid}"))
        assert ("output" in one, "comment" in one["feedback"][0], "value" in one["feedback"][0]) == (reads,) * 3
        [said] = body_of(someone.get("feedback"))["data"]
        assert ("comment" in said, "value" in said) == (reads, reads)
        answer = someone.get("observations", {"q": "dear"})
        assert len(body_of(answer)["data"]) == 2 if reads else problem_of(answer, 403, "forbidden")
        assert rows[0]["failed"]


def test_a_right_on_one_prompt_opens_that_one_s_content(logged: Served) -> None:
    assign_perm(Permission.READ_OBSERVATIONS.value, logged.team.ada.user, logged.prompt)
    ada = person(logged.team, "ada")
    assert {row["user"] for row in body_of(ada.get("observations"))["data"] if "output" in row} == set("abce")
    assert sorted(found(ada, q="o")) == ["b", "c"]


def test_a_narrow_key_sees_its_prompts_alone(logged: Served) -> None:
    narrow = Caller(logged.team.key("observations:read", "feedback:write", prompts=["billing/*"]))
    assert found(narrow) == ["d"]
    problem_of(narrow.get("observations", {"prompt": NAME}), 404, "prompt_not_found")
    hidden, own = stored()[0], next(row for row in stored() if row.end_user == "d")
    for about in ({"observation": str(hidden.uid)}, {"trace_id": "t1"}):
        problem_of(narrow.post("feedback", about | {"name": "x", "value": 1}), 404, "not_found")
        body_of(logged.service.post("feedback", about | {"name": "theirs", "value": 1}), 201)
    problem_of(narrow.get(f"observations/{hidden.uid}"), 404, "not_found")
    body_of(narrow.post("feedback", {"observation": str(own.uid), "name": "mine", "value": 1}), 201)
    assert [said["name"] for said in body_of(narrow.get("feedback"))["data"]] == ["mine"]


def test_another_project_s_observation_is_as_absent(logged: Served) -> None:
    rival = make_team("rival", preset="solo")
    theirs = Caller(rival.key("observations:read", "feedback:write"))
    uid = str(stored()[0].uid)
    absent = "0198c0de-7a5e-7000-8000-0123456789ab"
    assert found(theirs) == []
    for one in (uid, absent):
        told = problem_of(theirs.get(f"observations/{one}"), 404, "not_found")
        assert told["detail"] == f"There is no observation {one} within reach."
        problem_of(theirs.post("feedback", {"observation": one, "name": "x", "value": 1}), 404, "not_found")
    problem_of(theirs.post("feedback", {"trace_id": "t1", "name": "x", "value": 1}), 404, "not_found")
    assert not Feedback.objects.exists()


def test_a_search_that_takes_too_long_is_ended(logged: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    logged.report(*[logged.observation(output=f"{n} " * 20_000) for n in range(60)])
    monkeypatch.setattr(reading, "SEARCH_SECONDS", 0.002)
    problem_of(logged.service.get("observations", {"q": "nowhere"}), 413, "too_large")


# --- Where it came from ----------------------------------------------------------------------------------------------
def test_a_complaint_leads_to_the_release_and_who_made_it(logged: Served) -> None:
    first = stored()[0]
    body_of(
        logged.service.post("feedback", {"trace_id": "t1", "name": "thumb", "value": False, "comment": "Rude"}), 201
    )
    shown = body_of(logged.service.get(f"observations/{str(first.uid).upper()}"))
    made = Release.objects.get(prompt=logged.prompt, revision=2)
    assert (shown["ref"], shown["channel"], shown["revision"], shown["promotion"]) == (f"{NAME}@2", "stable", 2, None)
    assert shown["release"]["id"] == encode("rel", made.pk)
    assert (shown["release"]["kind"], shown["release"]["reason"]) == ("promote", "Kinder")
    assert shown["release"]["actor"] == {"email": "cleo@shop.example", "name": "Cleo"}
    assert shown["release"]["at"] == format_instant(made.at)
    assert [(said["name"], said["value"], said["comment"]) for said in shown["feedback"]] == [("thumb", False, "Rude")]
    by_user = {row.end_user: row for row in stored()}
    assert body_of(logged.service.get(f"observations/{by_user['c'].uid}"))["release"] is None
    assert body_of(logged.service.get(f"observations/{by_user['d'].uid}"))["release"]["prompt"] == "billing/reminder"


def test_and_to_the_promotion_and_its_approvers(careful_team: Team) -> None:
    team = careful_team
    prompt = team.prompt(versions=2)
    promotion = open_promotion(team, prompt, 1, title="First text")
    passed_checks(promotion)
    review(promotion, team.cleo)
    review(promotion, team.cleo, "request_changes")
    review(promotion, team.cleo)
    review(promotion, team.ben)
    review(promotion, team.ben, "comment")
    review(promotion, team.emil)
    dismiss(review(promotion, team.emil, "request_changes"), team.cleo.user)
    apply(team, promotion)
    receipt = body_of(Caller(team.key()).fetch(NAME))["receipt"]
    service = Caller(team.key("observations:write", "observations:read"))
    body_of(service.post("observations", {"observations": [{"receipt": receipt}]}), 202)
    shown = body_of(service.get(f"observations/{stored()[0].uid}"))
    assert shown["release"]["promotion"] == shown["promotion"]["id"] == encode("pro", promotion.pk)
    assert shown["promotion"] == {
        "id": encode("pro", promotion.pk),
        "title": "First text",
        "opened_by": {"email": "ada@shop.example", "name": "Ada"},
        "approvers": [{"email": f"{name}@shop.example", "name": name.capitalize()} for name in ("ben", "cleo")],
    }
