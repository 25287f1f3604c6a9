"""Broker, workers and sweeper die and come back: work goes on without them, and every event still arrives."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from django.db import transaction

from events.actions import record
from events.kinds import EventKind
from events.models import Delivery, Event, WebhookEndpoint
from events.sending import pump
from promptforge.lib import keyring
from promptforge.lib.ids import encode
from tests.events.receiver import Receiver
from tests.events.test_sending import Hook, make_due
from tests.personas import Team
from tests.plugin import ROOT
from tests.races.conftest import environment_of, process

BROKERS = {
    "filesystem": "filesystem://",
    "redis": "redis://127.0.0.1:6379/13",
    "rabbitmq": "amqp://guest:guest@127.0.0.1:5672//",
}
# Saves, releases and rolls back, and says how long each took.
WORK = """
import time
from accounts.models import Project, User
from accounts.policies import Principal
from prompts.actions.releases import promote, rollback
from prompts.actions.versions import save_version
from prompts.models import Channel, Prompt
cleo = Principal(User.objects.get(email="cleo@shop.example"), Project.objects.get())
prompt, channel = Prompt.objects.get(), Channel.objects.get()
def save(text):
    return save_version(by=cleo, prompt=prompt, content=text, message="x")
first = prompt.versions.get()
for act in (
    lambda: save("Another text"),
    lambda: promote(by=cleo, prompt=prompt, channel=channel, version=first),
    lambda: promote(by=cleo, prompt=prompt, channel=channel, version=prompt.versions.get(number=2)),
    lambda: rollback(by=cleo, prompt=prompt, channel=channel, reason="Worse"),
):
    began = time.monotonic()
    act()
    print(f"{time.monotonic() - began:.3f}", flush=True)
"""


@contextmanager
def black_hole() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield listening.getsockname()[1]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("kind", ["closed", "black hole"])
def test_work_goes_on_without_broker_and_worker(
    team: Team, receiver: Receiver, hook: Hook, committed_db: str, kind: str
) -> None:
    hook("ok", events=["version.saved", "release.made"])
    team.prompt()
    with black_hole() as hole:
        port = hole if kind == "black hole" else closed_port()
        with process(committed_db, WORK, CELERY_BROKER_URL=f"redis://127.0.0.1:{port}/0") as worker:
            taken = [float(worker.line()) for _ in range(4)]
    print(f"{kind}: {taken} s")
    assert max(taken) < 2
    pump()
    kinds = [one.json["type"] for one in sorted(receiver.at("ok"), key=lambda one: one.json["data"]["seq"])]
    assert kinds == ["version.saved", "version.saved", *["release.made"] * 3]
    assert [one.json["data"]["data"]["move"] for one in receiver.at("ok") if one.json["type"] == "release.made"]


def test_a_sender_killed_in_mid_send_loses_and_doubles_nothing(
    team: Team, receiver: Receiver, hook: Hook, committed_db: str
) -> None:
    """What the other receivers have stays theirs; what was under way comes again, under the same id."""
    hook("hang"), hook("ok")
    for number in range(5):
        team.prompt(f"prompt/{number}")
    saved = {encode("evt", pk) for pk in Event.objects.filter(kind="version.saved").values_list("pk", flat=True)}
    allowed = f"127.0.0.1:{receiver.port}"
    with process(
        committed_db, "from events.sending import pump; pump()", PROMPTFORGE_ALLOWED_PRIVATE_HOSTS=allowed
    ) as sender:
        receiver.wait("hang", 5, seconds=60)
        receiver.wait("ok", 5)
        # Its answers may be on their way into the database.
        deadline = time.monotonic() + 5
        while Delivery.objects.exclude(delivered_at=None).count() < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        sender.kill()
        sender.child.wait()
    assert Delivery.objects.exclude(next_at=None).count() == 5
    pump()
    assert len(receiver.at("hang")) == 5  # until the lease has run out, nobody takes them
    receiver.becomes["hang"] = "ok"
    make_due()
    pump()
    assert Delivery.objects.exclude(delivered_at=None).count() == 10
    assert sorted(one.id for one in receiver.at("hang")) == sorted([*saved, *saved])
    assert sorted(one.id for one in receiver.at("ok")) == sorted(saved)


@contextmanager
def celery(name_of_database: str, home: Path, broker: str, receiver: Receiver) -> Iterator[subprocess.Popen[bytes]]:
    """A real worker of two processes with the schedule inside it, in a group that is killed whole."""
    for folder in ("broker", "broker-control"):
        (home / folder).mkdir(exist_ok=True)
    ring = (f"{key.id}:{purpose}:{key.secret.decode()}" for purpose, keys in keyring.keyring().items() for key in keys)
    environment = environment_of(name_of_database) | {
        "PROMPTFORGE_VAR": str(home),
        "PROMPTFORGE_KEYS": ",".join(line for line in ring if ":django:" not in line),
        "PROMPTFORGE_ALLOWED_PRIVATE_HOSTS": f"127.0.0.1:{receiver.port}",
        "CELERY_BROKER_URL": broker,
    }
    with (home / "worker.log").open("a") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "promptforge", "worker", "--beat", "--concurrency", "2",
             "--schedule", str(home / "schedule"), "--loglevel", "INFO", "--without-gossip", "--without-mingle"],
            cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        yield worker
    finally:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


@pytest.mark.parametrize(
    "broker",
    [
        "filesystem",
        pytest.param("redis", marks=pytest.mark.full),
        pytest.param("rabbitmq", marks=pytest.mark.full),
    ],
)
def test_what_happened_without_workers_leaves_with_them(
    team: Team, receiver: Receiver, hook: Hook, committed_db: str, tmp_path: Path, broker: str
) -> None:
    """Nobody works at first; then a worker does, is killed in mid-send, and another one goes on."""
    hook("hang"), hook("ok")
    for number in range(10):
        team.prompt(f"prompt/{number}")
    with celery(committed_db, tmp_path, BROKERS[broker], receiver):
        receiver.wait("hang", 8, seconds=100)
        receiver.wait("ok", 10, seconds=20)
    receiver.becomes["hang"] = "ok"
    team.prompt("prompt/last")
    make_due()
    with celery(committed_db, tmp_path, BROKERS[broker], receiver):
        receiver.wait("ok", 11, seconds=100)
        deadline = time.monotonic() + 30
        while Delivery.objects.filter(delivered_at=None).exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    saved = {encode("evt", pk) for pk in Event.objects.filter(kind="version.saved").values_list("pk", flat=True)}
    for behaviour in ("hang", "ok"):
        assert {one.id for one in receiver.at(behaviour)} == saved
    said = (tmp_path / "worker.log").read_text()
    assert "Traceback" not in said
    assert "127.0.0.1:" + str(receiver.port) not in said


@pytest.mark.full
def test_a_thousand_events_to_three_endpoints(team: Team, receiver: Receiver, hook: Hook) -> None:
    for number in range(3):
        hook(f"ok-{number}", events=["prompt.changed"])
    for _ in range(10):
        with transaction.atomic():
            for number in range(100):
                record(
                    EventKind.PROMPT_CHANGED,
                    project_id=team.project.pk,
                    actor=team.ada.actor,
                    subject=("prompt", number),
                )
    began = time.monotonic()
    pump(longest=300)
    taken = time.monotonic() - began
    print(f"3,000 deliveries in {taken:.1f} s: {3000 / taken:.0f} a second")
    for number in range(3):
        ids = [one.id for one in receiver.at(f"ok-{number}")]
        assert len(ids) == len(set(ids)) == 1000
    assert Delivery.objects.filter(delivered_at=None).count() == 0
    assert WebhookEndpoint.objects.exclude(failing_since=None).count() == 0


def test_wake_ups_share_a_message_and_nobody_waits_for_one(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    from events import relay

    sent: list[tuple[str, ...]] = []
    held = threading.Event()

    def slow(*tasks: str) -> None:
        sent.append(tasks)
        held.wait(20)

    monkeypatch.setattr(relay, "wake", slow)
    began = time.monotonic()
    for number in range(5):
        team.prompt(f"prompt/{number}")
    taken = time.monotonic() - began
    held.set()
    deadline = time.monotonic() + 5
    while not sent and time.monotonic() < deadline:
        time.sleep(0.01)
    assert taken < 15
    assert 1 <= len(sent) <= 2
    assert sent[0] == ("events.tasks.send_mail", "events.tasks.send_webhooks")


def test_nothing_is_said_of_what_was_taken_back(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    from events import actions

    followed: list[str] = []
    monkeypatch.setattr(actions, "follow", followed.append)

    def save(name: str, *, fail: bool) -> None:
        with suppress(ZeroDivisionError), transaction.atomic():
            team.prompt(name)
            assert followed == []
            if fail:
                raise ZeroDivisionError

    save("taken/back", fail=True)
    assert followed == []
    save("kept", fail=False)
    assert followed == ["prompt.created", "version.saved"]
