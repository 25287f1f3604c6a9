"""Every line has one form, says whose request or task it belongs to, and holds no secret."""

import json
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from accounts import tasks
from promptforge import telemetry, views
from promptforge.lib import logs
from tests.api.conftest import Caller
from tests.personas import Team
from tests.plugin import ROOT
from tests.startup.conftest import clean_environment
from tests.telemetry.conftest import Lines, counted, moved

KEY = "pf_live_EQyf1As5A8_zpJCBBkrAtcQR7ICS3AKwV00boTeDTiW3xNmK3"
SECRET = KEY.rpartition("_")[2]
log = logging.getLogger("test")


# --- Secrets ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("said", "hidden"),
    [
        (f"bad key {KEY}", SECRET),
        (f"GET /x?key={KEY.replace('_', '%5F')}", SECRET),
        (f"{{'Authorization': 'Bearer {KEY}'}}", SECRET),
        ("Authorization: Basic dXNlcjpodW50ZXIy", "dXNlcjpodW50ZXIy"),
        ("headers={'authorization': 'Token hunter2hunter2'}", "hunter2"),
        ('{"password": "hunter2, and more"}', "hunter2"),
        (r"{\"password\": \"hunter2\"}", "hunter2"),
        ("password=hunter2&next=/", "hunter2"),
        ("postgresql://app:hunter2@db.example.com:5432/x", "hunter2"),
        ("redis://:hunter2@broker/0", "hunter2"),
        ("openai key sk-proj-abcDEF123456789", "abcDEF123456789"),
        ("signed with whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8"),
        ("csrf_token: 'hunter2'", "hunter2"),
        ("Cookie: sessionid=hunter2", "hunter2"),
        ("PROMPTFORGE_METRICS_TOKEN=hunter2hunter2", "hunter2"),
    ],
)
def test_a_secret_is_hidden_wherever_it_stands(said: str, hidden: str, lines: Lines) -> None:
    """In the message, in an argument, in a value, in a value's value, in an exception and in its cause."""
    assert hidden in said
    log.error(said)
    log.error("with %s", said)
    log.error("with", extra={"path": said})
    log.error("with", extra={"path": {"inner": [said]}})
    try:
        try:
            raise ValueError(said)  # noqa: TRY301
        except ValueError as cause:
            raise RuntimeError("outer") from cause
    except RuntimeError:
        log.exception("broke")
    assert len(lines.all()) == 5
    assert hidden not in lines.text
    assert lines.text.count("[hidden]") >= 5
    assert "Traceback" in lines.one("broke")["exception"]


def test_what_is_no_secret_is_left_alone() -> None:
    for said in (
        f"The service account of the key {KEY[8:18]} is switched off.",
        "Wrong password, and no token either. See http://127.0.0.1:8000/readyz at 12:30",
        "support/greeting@9 is live on stable (revision 9)",
    ):
        assert logs.redact(said) == said
    assert logs.redact(f"key {KEY}") == f"key {KEY[:18]}_[hidden]"


def test_a_hostile_text_costs_no_time(lines: Lines) -> None:
    for hostile in (
        "password='" * 2000,
        "a." * 10_000,
        "token" * 4000,
        "://" * 7000,
        "pf_live_" * 2500,
        "bearer " * 3000,
    ):
        began = time.perf_counter()
        log.error(hostile)
        assert time.perf_counter() - began < 1


# --- Requests --------------------------------------------------------------------------------------------------------
def test_a_key_in_an_exception_reaches_no_line_and_the_line_has_the_answers_request_id(
    monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    def broken() -> None:
        password = "hunter2"  # noqa: F841
        raise RuntimeError(f"could not use {KEY} with password=hunter2")

    monkeypatch.setattr(views.readiness, "checks", broken)
    for given in (None, "caller-17"):
        answer = Client(raise_request_exception=False).get("/readyz", headers={"X-Request-ID": given} if given else {})
        assert answer.status_code == 500
        ours = [line for line in lines.all() if line.get("request_id") == answer["X-Request-ID"]]
        assert {line["logger"] for line in ours} == {"django.request", "promptforge.requests"}
        assert given in (None, answer["X-Request-ID"])
    assert SECRET not in lines.text
    assert "hunter2" not in lines.text
    assert KEY[:18] in lines.text
    log.info("after")
    assert "request_id" not in lines.one("after")


def test_a_slow_request_says_who_asked_for_what_but_not_with_which_values(
    team: Team, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "SLOW", 0.0)
    key = team.key()
    team.prompt()
    answer = Caller(key).get("prompts/support/greeting?_version=1&customer_name=Noor")
    assert answer.status_code == 200
    line = lines.one("slow request")
    assert line.pop("seconds") > 0
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "slow request", "level": "warning", "logger": "promptforge.requests",
        "request_id": answer["X-Request-ID"],
        "project": "shop", "principal": "key", "principal_id": key.split("_")[2],
        "method": "GET", "path": "/api/v1/prompts/support/greeting", "route": "fetch", "status": 200,
    }  # fmt: skip
    assert "Noor" not in lines.text


def test_a_person_is_a_number(team: Team, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "SLOW", 0.0)
    caller = Caller(None)
    caller.client.force_login(team.noor.user)
    assert caller.get("prompts").status_code == 200
    line = lines.one("slow request")
    assert (line["principal"], line["principal_id"], line["project"]) == ("person", team.noor.user.pk, "shop")
    assert "@" not in lines.text


def test_a_quick_request_writes_no_line(lines: Lines) -> None:
    assert Client().get("/livez").status_code == 200
    assert Client().get("/nowhere").status_code == 404
    assert lines.all() == []


# --- Tasks -----------------------------------------------------------------------------------------------------------
def test_a_tasks_lines_say_which_and_it_is_counted(monkeypatch: pytest.MonkeyPatch, lines: Lines) -> None:
    before = counted()
    name = "accounts.tasks.forget_sign_in_failures"

    def work() -> None:
        log.warning("working")

    def fail() -> None:
        raise RuntimeError(f"no {KEY}")

    monkeypatch.setattr(tasks, "forget_failures", work)
    done = tasks.forget_sign_in_failures.apply()
    assert (lines.one("working")["task"], lines.one("working")["task_id"]) == (name, done.id)
    monkeypatch.setattr(tasks, "forget_failures", fail)
    assert tasks.forget_sign_in_failures.apply().state == "FAILURE"
    log.info("after")
    assert "task" not in lines.one("after")
    assert SECRET not in lines.text
    assert moved(before) == {
        f"promptforge_tasks_total{{outcome=SUCCESS,task={name}}}": 1,
        f"promptforge_tasks_total{{outcome=FAILURE,task={name}}}": 1,
        f"promptforge_task_seconds_count{{task={name}}}": 2,
    }
    assert telemetry._running == {}


# --- Forms -----------------------------------------------------------------------------------------------------------
def formatted(record: dict[str, Any]) -> str:
    return logs.Line().format(logging.makeLogRecord({"name": "test", "levelname": "INFO", "levelno": 20} | record))


def test_a_message_makes_no_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    forged = {"msg": "first\r\n2026-01-01 ERROR forged\u2028\x1b[31m", "path": "/a\nb"}
    for form in ("text", "json"):
        monkeypatch.setenv("PROMPTFORGE_LOG_FORMAT", form)
        line = formatted(forged)
        assert "\n" not in line
        assert "\x1b" not in line
        assert "forged" in line


def test_the_form_is_chosen_by_name_and_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMPTFORGE_LOG_FORMAT", raising=False)
    assert formatted({"msg": "hello"}).endswith("Z INFO test hello")
    monkeypatch.setenv("PROMPTFORGE_ENV", "production")
    assert json.loads(formatted({"msg": "hello"}))["event"] == "hello"
    monkeypatch.setenv("PROMPTFORGE_LOG_FORMAT", "xml")
    with pytest.raises(ImproperlyConfigured, match=r"'xml'; it is either json or text\."):
        logs.chosen_format()


def test_web_server_and_worker_write_the_same_form(tmp_path: Path) -> None:
    """In a process of its own: what granian reads at its start, and then what Celery's programs do at theirs."""
    program = """
import json, logging
from granian.log import LogLevels, configure_logging, logger
configure_logging(LogLevels.info, json.load(open("deploy/web-logging.json")))
logger.info("granian")
from promptforge.celery import app
app.log.setup(loglevel="WARNING")
logging.getLogger("celery.worker").info("Connected to redis://:hunter2@broker/0")
"""
    environment = clean_environment(PROMPTFORGE_VAR=str(tmp_path), PROMPTFORGE_LOG_FORMAT="json")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    first, second = (json.loads(line) for line in done.stderr.splitlines())
    assert (first["logger"], first["event"]) == ("_granian", "granian")
    assert (second["logger"], second["event"]) == ("celery.worker", "Connected to redis://:[hidden]@broker/0")
    for program in ("Dockerfile", "promptforge/serve.py"):
        assert "--log-config" in (ROOT / program).read_text()
