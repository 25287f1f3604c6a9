"""Every event reaches every endpoint that wants it, signed, whatever another receiver or a worker does."""

import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from accounts.actions.webhooks import (
    check_webhook,
    create_webhook,
    resend,
    rotate_webhook,
)
from events import sending
from events.models import Delivery, DeliveryAttempt, Event, WebhookEndpoint
from events.sending import pump
from events.webhooks import PAUSES, pause_after
from promptforge.lib.ids import encode
from prompts.actions.releases import promote, rollback
from tests.events.conftest import SECRET
from tests.events.receiver import Receiver
from tests.personas import Team, make_team

Hook = Callable[..., WebhookEndpoint]


def make_due(**narrowing: Any) -> None:
    Delivery.objects.filter(**narrowing).exclude(next_at=None).update(next_at=timezone.now())


def attempts(endpoint: WebhookEndpoint) -> list[int | None]:
    return list(
        DeliveryAttempt.objects.filter(delivery__endpoint=endpoint).order_by("pk").values_list("status", flat=True)
    )


def test_an_event_arrives_signed_and_in_words(team: Team, receiver: Receiver, hook: Hook) -> None:
    endpoint = hook("ok", events=["release.made"])
    prompt = team.prompt()
    promote(by=team.cleo, prompt=prompt, channel=team.stable, version=team.version(prompt, 1))
    pump()
    (got,) = receiver.at("ok")
    event = Event.objects.get(kind="release.made")
    told = Webhook(SECRET).verify(got.body, got.headers)
    assert got.headers["content-type"] == "application/json"
    assert got.id == encode("evt", event.pk)
    assert (told["type"], told["timestamp"]) == ("release.made", told["data"]["at"])
    data = told["data"]
    assert data["project"] == "shop"
    assert data["actor"] == {"email": "cleo@shop.example", "name": "Cleo"}
    assert data["subject"] == {
        "kind": "release",
        "id": encode("rel", event.subject_id),
        "prompt": "support/greeting",
        "channel": "stable",
        "revision": 1,
        "version": 1,
        "kind_of_release": "promote",
    }
    assert data["url"] == "http://127.0.0.1:8000/p/shop/prompts/support/greeting/?version=1"
    assert data["seq"] == event.seal.seq
    delivery = Delivery.objects.get()
    assert (delivery.endpoint, delivery.state, delivery.tries) == (endpoint, "delivered", 1)
    assert attempts(endpoint) == [200]
    pump()
    assert len(receiver.received) == 1


def test_a_changed_body_or_a_foreign_secret_does_not_verify(team: Team, receiver: Receiver, hook: Hook) -> None:
    hook("ok")
    team.prompt()
    pump()
    (got,) = receiver.at("ok")
    for body, secret in ((got.body + b" ", SECRET), (got.body, SECRET.replace("QUJ", "QUK"))):
        with pytest.raises(Exception, match="No matching signature"):
            Webhook(secret).verify(body, got.headers)
    with pytest.raises(Exception, match=r"too old"):
        Webhook(SECRET).verify(got.body, got.headers | {"webhook-timestamp": str(int(time.time()) - 3600)})


def test_only_what_is_wanted_and_only_of_the_own_project(team: Team, receiver: Receiver, hook: Hook) -> None:
    hook("ok-saved"), hook("ok-all", events=["*"])
    rival = make_team("rival", preset="solo")
    rival.prompt("secret/plan")
    team.prompt()
    pump()
    assert [one.json["type"] for one in receiver.at("ok-saved")] == ["version.saved"]
    kinds = [one.json["type"] for one in receiver.at("ok-all")]
    assert sorted(kinds) == ["prompt.created", "version.saved", "webhook.created"]
    assert b"secret/plan" not in b"".join(one.body for one in receiver.received)


def test_a_name_that_turns_private_after_it_was_saved_is_not_called(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by a trial nor by an event: each delivery judges the address anew."""
    answers, connected = ["93.184.215.14", "169.254.169.254"], []

    def answer(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0) if len(answers) > 1 else answers[0], port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    monkeypatch.setattr(socket, "create_connection", lambda address, *args, **kwargs: connected.append(address))
    asked = {"events": ["version.saved"], "format": "standard", "enabled": True, "secret": SECRET}
    endpoint = create_webhook(by=team.cleo, url="https://turns.example/hook", **asked).endpoint
    check_webhook(by=team.cleo, endpoint=endpoint)
    team.prompt()
    pump()
    outcomes = [attempt.outcome for attempt in DeliveryAttempt.objects.all()]
    assert len(outcomes) == 2
    assert all("private, local or reserved" in outcome for outcome in outcomes), outcomes
    assert connected == []


def test_a_failure_is_repeated_with_the_same_id_until_it_succeeds(team: Team, receiver: Receiver, hook: Hook) -> None:
    endpoint = hook("500")
    team.prompt()
    for _ in range(3):
        pump()
        make_due()
    receiver.becomes["500"] = "ok"
    pump()
    assert attempts(endpoint) == [500, 500, 500, 200]
    assert len({one.id for one in receiver.received}) == 1
    assert len({one.body for one in receiver.received}) == 1
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None
    assert Delivery.objects.get().state == "delivered"


def test_after_the_last_try_it_has_failed_and_can_be_sent_again(team: Team, receiver: Receiver, hook: Hook) -> None:
    hook("503")
    team.prompt()
    waits = []
    for _ in range(len(PAUSES) + 1):
        pump()
        delivery = Delivery.objects.get()
        waits.append(None if delivery.next_at is None else delivery.next_at - timezone.now())
        make_due()
    for wait, pause in zip(waits, PAUSES, strict=False):
        assert pause - timedelta(seconds=5) < wait < pause * 1.1
    assert waits[-1] is None
    assert Delivery.objects.get().state == "failed"
    pump()
    assert len(receiver.received) == len(PAUSES) + 1

    receiver.becomes["503"] = "ok"
    assert resend(by=team.cleo, delivery=Delivery.objects.get()).state == "waiting"
    pump()
    assert Delivery.objects.get().state == "delivered"
    assert len({one.id for one in receiver.received}) == 1


def test_the_pauses_are_those_of_the_specification() -> None:
    assert sum(PAUSES, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)
    drawn = [pause_after(1) for _ in range(200)]
    assert min(drawn) >= timedelta(seconds=5)
    assert max(drawn) <= timedelta(seconds=5.5)
    assert len(set(drawn)) > 100
    assert pause_after(len(PAUSES) + 1) is None


@pytest.mark.parametrize(
    ("behaviour", "status", "words"),
    [
        ("redirect", 302, "redirects are not followed"),
        ("404", 404, "It answered 404."),
        ("early", None, "ended the connection early"),
        ("nonsense", None, "no HTTP"),
        ("hang", None, "did not answer within"),
        ("drip", None, "did not answer within"),
    ],
)
def test_what_goes_wrong_is_told(
    team: Team, receiver: Receiver, hook: Hook, monkeypatch: Any, behaviour: str, status: int | None, words: str
) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.5)
    hook(behaviour)
    team.prompt()
    began = time.monotonic()
    pump()
    assert time.monotonic() - began < 3
    attempt = DeliveryAttempt.objects.get()
    assert attempt.status == status
    assert words in attempt.outcome
    assert "127.0.0.1" not in attempt.outcome
    assert Delivery.objects.get().state == "waiting"
    assert receiver.at("secret") == []


@pytest.mark.parametrize("behaviour", ["huge", "dribble"])
def test_a_body_without_end_is_not_read(team: Team, receiver: Receiver, hook: Hook, behaviour: str) -> None:
    hook(behaviour)
    team.prompt()
    began = time.monotonic()
    pump()
    assert time.monotonic() - began < 2
    assert Delivery.objects.get().state == "delivered"


def test_a_receiver_that_hangs_delays_no_other(team: Team, receiver: Receiver, hook: Hook, monkeypatch: Any) -> None:
    monkeypatch.setattr(sending, "SECONDS", 4.0)
    for number in range(20):
        hook(f"hang-{number}")
    hook("ok")
    prompt = team.prompt()
    sender = threading.Thread(target=in_thread(pump))
    sender.start()
    try:
        receiver.wait("ok", 1, seconds=2)
        # While all of these hang, the next events go to the one that answers, within two seconds each.
        for number in range(2, 5):
            began = time.monotonic()
            team.prompt(f"another/{number}")
            receiver.wait("ok", number, seconds=2)
            print(f"beside 20 receivers that hang: {time.monotonic() - began:.2f} s")
        assert sender.is_alive()
        assert prompt.pk
    finally:
        receiver.released.set()
        sender.join()


def test_a_crowd_that_hangs_leaves_room(team: Team, receiver: Receiver, hook: Hook, monkeypatch: Any) -> None:
    """Of 100 endpoints with a backlog only the first few call more than once at a time."""
    template = hook("hang")
    fields = {"project_id": team.project.pk, "events": ["*"], "secret": b"", "cursor": template.cursor - 10}
    WebhookEndpoint.objects.bulk_create(WebhookEndpoint(url=f"https://{n}.example", **fields) for n in range(100))
    monkeypatch.setattr(sending, "secrets_of", lambda endpoint: [])
    sending.plan()
    flying: sending.Counter[int] = sending.Counter()
    taken = 0
    for _ in range(5):
        parcels = sending.take(flying)
        flying.update(parcel.endpoint_id for parcel in parcels)
        taken += len(parcels)
    assert taken < sending.THREADS
    assert len(flying) == 100
    assert max(flying.values()) == sending.APIECE


def test_a_test_goes_to_its_endpoint_alone(team: Team, receiver: Receiver, hook: Hook) -> None:
    hook("ok-other", events=["*"])
    endpoint = hook("ok", events=["release.made"])
    check_webhook(by=team.cleo, endpoint=endpoint)
    pump()
    (got,) = receiver.at("ok")
    assert got.json["type"] == "webhook.tested"
    assert got.json["data"]["subject"]["host"] == "127.0.0.1"
    assert [one.json["type"] for one in receiver.at("ok-other")] == ["webhook.created", "webhook.created"]


def test_both_secrets_sign_during_the_overlap(team: Team, receiver: Receiver, hook: Hook) -> None:
    endpoint = hook("ok")
    made = rotate_webhook(by=team.cleo, endpoint=endpoint, overlap_hours=1)
    assert made.secret is not None
    team.prompt()
    pump()
    for secret in (SECRET, made.secret):
        Webhook(secret).verify(receiver.at("ok")[0].body, receiver.at("ok")[0].headers)
    WebhookEndpoint.objects.update(previous_ends_at=timezone.now())
    team.prompt("another")
    pump()
    got = receiver.at("ok")[1]
    Webhook(made.secret).verify(got.body, got.headers)
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(SECRET).verify(got.body, got.headers)


def test_slack_gets_one_sentence_in_which_nothing_is_a_command(team: Team, receiver: Receiver, hook: Hook) -> None:
    hook("ok", events=["*"], format="slack")
    team.cleo.user.name = "Cleo <!channel> & co"
    team.cleo.user.save()
    prompt = team.prompt(versions=2)
    for number in (1, 2):
        promote(by=team.cleo, prompt=prompt, channel=team.stable, version=team.version(prompt, number))
    rollback(by=team.cleo, prompt=prompt, channel=team.stable, reason="Worse")
    pump()
    texts = [one.json["text"] for one in receiver.at("ok")]
    assert all(set(one.json) == {"text"} for one in receiver.at("ok"))
    assert any(
        text.startswith("Ada saved support/greeting@2 (shop). <http://127.0.0.1:8000/p/shop/prompts/") for text in texts
    )
    cleo = "Cleo &lt;!channel&gt; &amp; co"
    assert any(text.startswith(f"{cleo} put support/greeting@2 on stable live (shop). <http") for text in texts)
    assert any(f"{cleo} rolled back: support/greeting@1 on stable is live again (shop)." in text for text in texts)


def test_two_pumps_send_nothing_twice(team: Team, receiver: Receiver, hook: Hook) -> None:
    hook("ok")
    for number in range(30):
        team.prompt(f"prompt/{number}")
    threads = [threading.Thread(target=in_thread(pump)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.received) == len({one.id for one in receiver.received}) == 30


def test_a_late_answer_does_not_undo_what_happened_since(team: Team, receiver: Receiver, hook: Hook) -> None:
    """Its lease ran out, another took the delivery and was answered: the first one's failure changes nothing."""
    hook("ok")
    team.prompt()
    sending.plan()
    (stale,) = sending.take(sending.Counter())
    make_due()
    pump()
    sending.settle([(stale, sending.Outcome(None, "It did not answer."))])
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.next_at) == ("delivered", None)
    assert delivery.attempts.count() == 2


def test_a_pump_that_ran_long_enough_leaves_the_rest_to_the_next(team: Team, receiver: Receiver, hook: Hook) -> None:
    hook("ok")
    team.prompt()
    assert pump(longest=0.0) is True
    assert receiver.received == []
    assert pump() is False
    assert len(receiver.received) == 1


def test_nothing_leaves_behind_the_fence_of_a_restore(team: Team, receiver: Receiver, hook: Hook) -> None:
    from events.fence import confirm, raise_sql

    hook("ok")
    team.prompt()
    with connections["owner"].cursor() as cursor:
        cursor.execute(raise_sql("0" * 64))
    pump()
    assert receiver.received == []
    assert Delivery.objects.count() == 0
    confirm()
    pump()
    assert len(receiver.received) == 1


def test_a_fault_of_ours_in_one_call_stops_no_other(
    team: Team, receiver: Receiver, hook: Hook, monkeypatch: Any
) -> None:
    hook("ok-a"), hook("ok-b")
    team.prompt()
    real = sending.http.request

    def broken(method: str, url: str, **rest: Any) -> Any:
        if url.endswith("ok-a"):
            raise ZeroDivisionError
        return real(method, url, **rest)

    monkeypatch.setattr(sending.http, "request", broken)
    pump()
    assert len(receiver.at("ok-b")) == 1
    assert DeliveryAttempt.objects.get(status=None).outcome == "It could not be sent through a fault of ours."


def test_a_secret_that_was_moved_to_another_row_signs_nothing(team: Team, receiver: Receiver, hook: Hook) -> None:
    one, other = hook("ok-one"), hook("ok-other")
    WebhookEndpoint.objects.filter(pk=one.pk).update(secret=other.secret)
    team.prompt()
    pump()
    assert [got.path for got in receiver.received] == ["/ok-other"]
    assert DeliveryAttempt.objects.get(delivery__endpoint=one).outcome == "Its secret cannot be read."


def in_thread(work: Callable[[], Any]) -> Callable[[], None]:
    """The same, with the thread's own connection closed at its end."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    return run
