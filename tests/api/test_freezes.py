"""POST and DELETE /api/v1/channels/{name}/freezes: windows in which nothing moves forward."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from promptforge.lib.ids import encode
from promptforge.lib.instants import format_instant
from prompts.models import FreezeWindow
from tests.api.conftest import Caller, body_of, release, written
from tests.api.people import events_of, last_event, person, refused
from tests.personas import Team

NOW = timezone.now()


def window(begin_hours: float = -1, end_hours: float = 1, **fields: Any) -> dict[str, Any]:
    return {
        "from": format_instant(NOW + timedelta(hours=begin_hours)),
        "to": format_instant(NOW + timedelta(hours=end_hours)),
        "reason": "The sale",
    } | fields


def test_a_window_is_set_shown_and_lifted(team: Team, api: Caller) -> None:
    prompt = team.prompt(versions=3)
    release(team, prompt, 1)
    release(team, prompt, 2)
    newest, asked = last_event(), window()
    made = body_of(api.post("channels/stable/freezes", asked), 201)
    assert made == {"id": encode("frz", FreezeWindow.objects.get().pk), **asked}
    assert body_of(api.get("channels/stable"))["freezes"] == [made]

    before = written()
    promote = {"kind": "promote", "prompt": prompt.name, "version": 3}
    refused(api.post("releases", promote), 409, "frozen_channel", before)
    rollback = {"kind": "rollback", "prompt": prompt.name, "reason": "Worse"}
    assert body_of(api.post("releases", rollback), 201)["version"] == 1

    for _ in range(2):  # lifting it again changes nothing
        answer = api.send("DELETE", f"channels/stable/freezes/{made['id']}")
        assert (answer.status_code, answer.content) == (204, b"")
    assert body_of(api.get("channels/stable"))["freezes"] == []
    assert body_of(api.post("releases", promote), 201)["version"] == 3
    assert events_of(team, newest) == ["freeze.set", "release.made", "freeze.lifted", "release.made"]
    lifted = FreezeWindow.objects.get()
    assert lifted.lifted_by_id is not None
    assert lifted.lifted_at is not None


def test_only_the_time_between_is_frozen(team: Team, api: Caller) -> None:
    prompt = team.prompt()
    body_of(api.post("channels/stable/freezes", window(-3, -1)), 201)
    later = body_of(api.post("channels/stable/freezes", window(3, 5)), 201)
    assert body_of(api.get("channels/stable"))["freezes"] == [later], "what has passed is not listed"
    body_of(api.post("releases", {"kind": "promote", "prompt": prompt.name, "version": 1}), 201)


def test_windows_that_cannot_be(team: Team, api: Caller) -> None:
    before, windows = written(), FreezeWindow.objects.count()
    for fields, status, code in (
        (window(1, 1), 400, "bad_timestamp"),
        (window(1, -1), 400, "bad_timestamp"),
        (window(**{"from": "2026-02-30T00:00:00Z"}), 400, "bad_timestamp"),
        (window(to="2026-11-17T10:00:00"), 400, "bad_timestamp"),
        (window(to="tomorrow"), 400, "bad_timestamp"),
        (window(to=5), 400, "string_expected"),
        (window(reason=""), 422, "reason_required"),
        (window(reason=" \n"), 422, "reason_required"),
        (window(reason="r" * 2001), 400, "bad_value"),
        (window(id="frz_1"), 400, "read_only_field"),
        (window(until="x"), 400, "unknown_field"),
        ({"reason": "x"}, 400, "field_required"),
    ):
        refused(api.post("channels/stable/freezes", fields), status, code, before)
    refused(api.post("channels/beta/freezes", window()), 404, "channel_not_found", before)
    assert FreezeWindow.objects.count() == windows


def test_ids_out_of_reach(team: Team, foreign: Team, api: Caller) -> None:
    theirs = body_of(person(foreign, "cleo").post("channels/stable/freezes", window()), 201)
    body_of(api.post("channels", {"name": "beta"}), 201)
    mine = body_of(api.post("channels/beta/freezes", window()), 201)
    before = written()
    for freeze_id in (theirs["id"], mine["id"], encode("frz", 2**40), encode("rel", 1), "x"):
        refused(api.send("DELETE", f"channels/stable/freezes/{freeze_id}"), 404, "not_found", before)
    refused(api.send("DELETE", f"channels/gamma/freezes/{mine['id']}"), 404, "channel_not_found", before)
    assert FreezeWindow.objects.filter(lifted_at=None).count() == 2


def test_who_may_freeze(team: Team, reader: Caller) -> None:
    made = body_of(person(team, "cleo").post("channels/stable/freezes", window()), 201)
    before = written()
    for name in ("ada", "ben", "noor"):
        caller = person(team, name)
        refused(caller.post("channels/stable/freezes", window()), 403, "forbidden", before)
        refused(caller.send("DELETE", f"channels/stable/freezes/{made['id']}"), 403, "forbidden", before)
    refused(reader.post("channels/stable/freezes", window()), 403, "key_scope", before)
    refused(reader.send("DELETE", f"channels/stable/freezes/{made['id']}"), 403, "key_scope", before)
    assert FreezeWindow.objects.filter(lifted_at=None).count() == 1
    assert person(team, "farah").send("DELETE", f"channels/stable/freezes/{made['id']}").status_code == 204
