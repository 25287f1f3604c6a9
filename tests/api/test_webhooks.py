"""/api/v1/webhook-endpoints and /webhook-deliveries: made, changed, tested, sent again; secrets shown once."""

import json
import logging
import subprocess
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection

from events.models import Delivery, Event, WebhookEndpoint
from events.sending import pump
from events.webhooks import new_secret
from promptforge.lib import database
from promptforge.lib.backup import environment, program
from promptforge.lib.ids import encode
from promptforge.lib.sealing import unseal
from tests.api.conftest import Caller, body_of, written
from tests.api.people import events_of, last_event, person, refused
from tests.api.promised import fits
from tests.conftest import owner_url_of
from tests.events.receiver import receiving
from tests.personas import Team

URL = "https://93.184.215.14/services/T000/B000/a-secret-of-slack"
OURS = {"url": URL, "events": ["release.made", "version.saved"]}


def make(caller: Caller, **fields: Any) -> Any:
    return body_of(caller.post("webhook-endpoints", OURS | fields), 201)


def test_an_endpoint_is_made_shown_changed_and_removed(team: Team, api: Caller) -> None:
    newest = last_event()
    answer = api.post("webhook-endpoints", OURS)
    fits(answer, "webhook-endpoints", "post")
    made = body_of(answer, 201)
    secret = made.pop("secret")
    endpoint = WebhookEndpoint.objects.get()
    assert made == {
        "id": encode("whk", endpoint.pk),
        "url": URL,
        "events": ["release.made", "version.saved"],
        "format": "standard",
        "enabled": True,
        "failing_since": None,
        "created_at": made["created_at"],
    }
    assert secret.startswith("whsec_")
    assert unseal(bytes(endpoint.secret), endpoint.place) == secret
    path = f"webhook-endpoints/{made['id']}"
    assert body_of(api.get(path)) == made
    assert body_of(api.get("webhook-endpoints")) == {"data": [made], "next": None}
    for answer, where in (
        (api.get(path), "webhook-endpoints/{endpoint_id}"),
        (api.get("webhook-endpoints"), "webhook-endpoints"),
    ):
        fits(answer, where, "get")

    changed = body_of(api.send("PATCH", path, {"events": ["*"], "format": "slack"}))
    assert changed == made | {"events": ["*"], "format": "slack"}
    assert body_of(api.send("PATCH", path, {"events": ["*"]})) == changed
    assert json.loads(Event.objects.latest("pk").data) == {"changed": ["events", "format"]}

    assert api.send("DELETE", path).status_code == 204
    before = written()
    for method, where in (("GET", path), ("DELETE", path), ("POST", f"{path}/test"), ("GET", f"{path}/deliveries")):
        refused(api.send(method, where), 404, "not_found", before)
    assert body_of(api.get("webhook-endpoints"))["data"] == []
    assert events_of(team, newest) == ["webhook.created", "webhook.changed", "webhook.removed"]
    assert [row.events for row in endpoint.history.order_by("pk")] == [OURS["events"], ["*"], ["*"]]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"url": "http://127.0.0.1/"}, 422, "url_not_allowed"),
        ({"url": "https://169.254.169.254/latest"}, 422, "url_not_allowed"),
        ({"url": "https://user:p@93.184.215.14/"}, 422, "bad_url"),
        ({"url": "nowhere"}, 422, "bad_url"),
        ({"url": 7}, 400, "string_expected"),
        ({"events": []}, 400, "bad_value"),
        ({"events": ["release.mode"]}, 400, "bad_value"),
        ({"events": ["*", "release.made"]}, 400, "bad_value"),
        ({"events": "*"}, 400, "list_expected"),
        ({"format": "teams"}, 400, "bad_value"),
        ({"enabled": "yes"}, 400, "bad_value"),
        ({"secret": "hunter2"}, 400, "bad_value"),
        ({"secret": "whsec_c2hvcnQ="}, 400, "bad_value"),
        ({"secret": "whsec_" + "QUJD" * 30}, 400, "bad_value"),
        ({"id": "whk_1"}, 400, "read_only_field"),
        ({"project": "rival"}, 400, "unknown_field"),
    ],
)
def test_what_cannot_be_an_endpoint(team: Team, api: Caller, fields: dict[str, Any], status: int, code: str) -> None:
    made = make(api)
    before = written()
    said = [refused(api.post("webhook-endpoints", OURS | fields), status, code, before)]
    if "secret" not in fields:
        said.append(refused(api.send("PATCH", f"webhook-endpoints/{made['id']}", fields), status, code, before))
    assert WebhookEndpoint.objects.count() == 1
    assert "hunter2" not in json.dumps(said)


def test_the_refusal_of_a_private_host_says_who_can_mend_it(team: Team, api: Caller, settings: LazySettings) -> None:
    before = written()
    problem = refused(api.post("webhook-endpoints", OURS | {"url": "http://10.0.0.5/"}), 422, "url_not_allowed", before)
    assert "PROMPTFORGE_ALLOWED_PRIVATE_HOSTS" in problem["detail"]
    settings.ALLOWED_PRIVATE_HOSTS = ["10.0.0.5"]
    make(api, url="http://10.0.0.5/")


def test_whoever_may_not_configure_sees_and_does_nothing(team: Team, api: Caller, foreign: Team) -> None:
    made, before = make(api), written()
    for name in ("ada", "ben", "noor"):
        refused(person(team, name).get("webhook-endpoints"), 403, "forbidden", written())
        refused(person(team, name).post("webhook-endpoints", OURS), 403, "forbidden", before)
    for path in (f"webhook-endpoints/{made['id']}", f"webhook-endpoints/{made['id']}/deliveries"):
        refused(person(foreign, "cleo").get(path), 404, "not_found", before)


def test_a_test_and_its_deliveries(team: Team, api: Caller, settings: LazySettings) -> None:
    with receiving() as receiver:
        settings.ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
        made = make(api, url=receiver.url("500"))
        path = f"webhook-endpoints/{made['id']}"
        answer = api.send("POST", f"{path}/test")
        fits(answer, "webhook-endpoints/{endpoint_id}/test", "post")
        delivery = body_of(answer)
        assert (delivery["kind"], delivery["state"], delivery["attempts"]) == ("webhook.tested", "waiting", [])
        pump()
        listed = api.get(f"{path}/deliveries")
        fits(listed, "webhook-endpoints/{endpoint_id}/deliveries", "get")
        (shown,) = body_of(listed)["data"]
        assert (shown["id"], shown["event"]) == (delivery["id"], receiver.received[0].id)
        assert [(a["status"], a["outcome"]) for a in shown["attempts"]] == [(500, "It answered 500.")]
        assert body_of(api.get(path))["failing_since"] is not None

        receiver.becomes["500"] = "ok"
        again = api.send("POST", f"webhook-deliveries/{delivery['id']}/resend")
        fits(again, "webhook-deliveries/{delivery_id}/resend", "post")
        pump()
        (shown,) = body_of(api.get(f"{path}/deliveries"))["data"]
        assert (shown["state"], [a["status"] for a in shown["attempts"]]) == ("delivered", [500, 200])
        assert body_of(api.get(path))["failing_since"] is None

        api.send("PATCH", path, {"enabled": False})
        before = written()
        refused(api.send("POST", f"{path}/test"), 409, "webhook_disabled", before)
        refused(api.send("POST", f"webhook-deliveries/{delivery['id']}/resend"), 409, "webhook_disabled", before)


def test_deliveries_are_listed_in_pages_by_a_fixed_number_of_queries(team: Team, api: Caller) -> None:
    made = make(api, events=["version.saved"])
    path = f"webhook-endpoints/{made['id']}/deliveries"
    counts = []
    for more in (1, 6):
        for number in range(more):
            team.prompt(f"prompt/{more}/{number}")
        pump_nothing()
        with queries() as counted:
            assert len(body_of(api.get(path))["data"]) == Delivery.objects.count()
        counts.append(len(counted))
    assert counts[0] == counts[1]
    first = body_of(api.get(path, {"limit": 4}))
    rest = body_of(api.get(path, {"limit": 4, "cursor": first["next"]}))
    ids = [row["id"] for row in first["data"] + rest["data"]]
    assert len(set(ids)) == 7
    assert rest["next"] is None
    problem = api.get(path, {"kind": "x"})
    refused(problem, 400, "unknown_parameter", written())


def test_rotating(team: Team, api: Caller) -> None:
    mine = new_secret()
    made = make(api, secret=mine)
    assert made["secret"] is None
    path = f"webhook-endpoints/{made['id']}/rotate"
    before = written()
    for body in ({"overlap_hours": -1}, {"overlap_hours": 169}, {"overlap_hours": "1"}):
        refused(api.post(path, body), 400, "bad_value", before)
    answer = api.post(path, {"overlap_hours": 24}, **{"Idempotency-Key": "once"})
    fits(answer, "webhook-endpoints/{endpoint_id}/rotate", "post")
    rotated = body_of(answer)
    assert rotated["secret"] not in (mine, None)
    endpoint = WebhookEndpoint.objects.get()
    assert unseal(bytes(endpoint.secret), endpoint.place) == rotated["secret"]
    assert unseal(bytes(endpoint.previous_secret or b""), endpoint.place) == mine
    replay = api.post(path, {"overlap_hours": 24}, **{"Idempotency-Key": "once"})
    assert replay["Idempotent-Replayed"] == "true"
    assert body_of(replay) == rotated | {"secret": None}


def test_a_secret_stands_nowhere_in_clear(
    team: Team, api: Caller, committed_db: str, caplog: pytest.LogCaptureFixture, settings: LazySettings, capfd: Any
) -> None:
    """Not in the database's dump, its own or the address's not in logs, not in tasks, not in later answers."""
    caplog.set_level(logging.DEBUG)
    with receiving() as receiver:
        settings.ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
        mine = new_secret()
        made = make(api, url=receiver.url("ok-token-of-slack"), secret=mine, events=["*"])
        fresh = body_of(api.post(f"webhook-endpoints/{made['id']}/rotate", {"overlap_hours": 1}))["secret"]
        api.send("POST", f"webhook-endpoints/{made['id']}/test", **{"Idempotency-Key": "x"})
        team.prompt()
        pump()
        assert len(receiver.received) > 2
        answers = b"".join(
            api.get(path).content for path in ("webhook-endpoints", f"webhook-endpoints/{made['id']}/deliveries")
        )
    bodies = b"".join(one.body for one in receiver.received)
    url = owner_url_of(committed_db)
    dump = subprocess.run(
        [program("pg_dump", connection.pg_version // 10000), "--no-password"],
        env=environment(url), capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert b"events_webhookendpoint" in dump
    said = (caplog.text + "".join(capfd.readouterr())).encode()
    for secret in (mine, fresh):
        for place in (dump, said, answers, bodies):
            assert secret.encode() not in place
            assert secret.removeprefix("whsec_").encode() not in place
    assert b"token-of-slack" not in said + bodies
    assert database.is_external() or b"token-of-slack" in dump  # the address itself is no secret to the database


def pump_nothing() -> None:
    from events.sending import plan

    plan()


def queries() -> Any:
    from django.test.utils import CaptureQueriesContext

    return CaptureQueriesContext(connection)
