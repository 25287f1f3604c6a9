"""Idempotency-Key: a creating call happens once, and its repetitions get the first answer again."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from accounts.admission import forget_answers
from accounts.models import ApiKey, IdempotentAnswer
from accounts.tasks import forget_idempotent_answers
from promptforge import settings
from promptforge.lib.json import canonical_json
from prompts.models import Prompt, PromptVersion, Release
from tests.api.conftest import Caller, body_of, problem_of, release, written
from tests.api.people import person, refused
from tests.personas import Team
from tests.races.conftest import at_once, meanwhile, process

GOOD = {"name": "support/greeting", "content": "Hello"}
NEXT = {"prompt": "support/greeting", "content": "Hello again"}


def once(caller: Caller, path: str, body: Any, key: str = "k-1"):
    return caller.post(path, body, Idempotency_Key=key)


def test_a_repetition_gets_the_first_answer_byte_for_byte(api: Caller) -> None:
    first = once(api, "prompts", GOOD)
    body_of(first, 201)
    assert not first.has_header("Idempotent-Replayed")
    before = written()
    for _ in range(2):
        again = once(api, "prompts", GOOD)
        body_of(again, 201)
        assert again.content == first.content
        assert again["Idempotent-Replayed"] == "true"
    assert written() == before
    problem_of(once(api, "prompts", GOOD, "k-2"), 409, "name_taken")  # another key is another request


def test_every_creating_call_takes_one(team: Team, api: Caller) -> None:
    prompt = team.prompt(versions=2)
    release(team, prompt, 1)
    noor = body_of(api.get("members"))["data"][-1]["id"]
    freeze = {"from": "2030-01-01T00:00:00Z", "to": "2030-01-02T00:00:00Z", "reason": "Holidays"}
    farah, manager = person(team, "farah"), api
    for caller, path, body, status in (
        (api, "prompts", {"name": "b", "content": "c"}, 201),
        (api, "versions", {"prompt": prompt.name, "content": "New"}, 201),
        (api, "releases", {"kind": "promote", "prompt": prompt.name, "version": 2}, 201),
        (manager, "channels", {"name": "beta"}, 201),
        (manager, "channels/beta/freezes", freeze, 201),
        (manager, "members", {"email": "gus@shop.example", "roles": ["viewer"]}, 201),
        (farah, f"members/{noor}/grants", {"permission": "break_glass", "minutes": 5}, 201),
    ):
        first = once(caller, path, body)
        body_of(first, status)
        before = written()
        again = once(caller, path, body)
        assert (again.status_code, again.content, again["Idempotent-Replayed"]) == (status, first.content, "true")
        assert written() == before, path


def test_200_for_what_was_saved_already_is_kept_as_well(team: Team, api: Caller) -> None:
    team.prompt(content="Hello")
    same = {"prompt": "support/greeting", "content": "Hello"}
    first = once(api, "versions", same)
    assert body_of(first)["number"] == 1
    body_of(api.post("versions", NEXT), 201)
    again = once(api, "versions", same)  # by now it would make version 3
    assert (again.status_code, again.content) == (200, first.content)
    assert PromptVersion.objects.count() == 2


def test_another_body_is_refused(api: Caller) -> None:
    body_of(once(api, "prompts", GOOD), 201)
    before = written()
    refused(once(api, "prompts", GOOD | {"content": "Hi"}), 422, "idempotency_mismatch", before)
    blank = api.send("POST", "prompts", b' {"name":"support/greeting","content":"Hello"}', Idempotency_Key="k-1")
    refused(blank, 422, "idempotency_mismatch", before)  # the bytes count
    refused(api.send("POST", "prompts", b"", Idempotency_Key="k-1"), 422, "idempotency_mismatch", before)


def test_keys_that_are_none(api: Caller) -> None:
    before = written()
    for key in ("", " ", "k" * 256, "a\tb", "é", "a\x7f", " a", "a "):  # a server strips blanks
        refused(once(api, "prompts", GOOD, key), 400, "bad_value", before)
    body_of(once(api, "prompts", GOOD, "k" * 255), 201)
    body_of(once(api, "prompts", GOOD | {"name": "b"}, "any thing: {printable} ~!"), 201)


def test_failures_are_not_kept(team: Team, api: Caller) -> None:
    before = written()
    refused(once(api, "versions", NEXT), 404, "prompt_not_found", before)
    refused(once(api, "prompts", GOOD | {"content": ""}), 422, "empty_prompt", before)
    refused(once(api, "prompts", GOOD | {"x": 1}), 400, "unknown_field", before)
    assert IdempotentAnswer.objects.count() == 0
    team.prompt()
    assert body_of(once(api, "versions", NEXT), 201)["number"] == 2
    body_of(once(api, "prompts", GOOD | {"name": "b"}), 201)


def test_another_caller_path_or_project_has_keys_of_its_own(team: Team, foreign: Team, api: Caller) -> None:
    first = once(api, "prompts", GOOD)
    body_of(first, 201)
    body_of(once(api, "versions", NEXT), 201)
    other = Caller(team.key("prompts:read", "versions:write"))
    problem_of(once(other, "prompts", GOOD), 409, "name_taken")
    body_of(once(other, "prompts", GOOD | {"name": "b"}), 201)
    ada = person(team, "ada")
    body_of(once(ada, "prompts", GOOD | {"name": "c"}), 201)
    theirs = Caller(foreign.key("versions:write"))
    assert once(theirs, "prompts", GOOD).content != first.content
    assert Prompt.objects.filter(name="support/greeting").count() == 2
    assert IdempotentAnswer.objects.count() == 5


def test_a_secret_is_stored_nowhere_and_not_told_again(team: Team, api: Caller) -> None:
    asked = {"name": "checkout", "scopes": ["prompts:read"]}
    made = body_of(once(api, "api-keys", asked), 201)
    assert body_of(once(api, "api-keys", asked), 201) == made | {"key": None}
    rotated = body_of(once(api, f"api-keys/{made['id']}/rotate", {"overlap_hours": 1}))
    assert body_of(once(api, f"api-keys/{made['id']}/rotate", {"overlap_hours": 1})) == rotated | {"key": None}
    assert ApiKey.objects.count() == 3
    for answer in IdempotentAnswer.objects.all():
        for text in (made["key"], rotated["key"]):
            assert text.rpartition("_")[2] not in answer.body
            assert text not in answer.body


def test_a_replay_asks_again_who_is_there(team: Team, api: Caller) -> None:
    body_of(once(api, "prompts", GOOD), 201)
    ApiKey.objects.update(revoked_at=timezone.now())
    problem_of(once(api, "prompts", GOOD), 401, "key_revoked")


def test_the_first_one_is_waited_for(team: Team, api: Caller, committed_db: str) -> None:
    """While one transaction holds the key's lock, the others are told that it is in flight."""
    principal = ApiKey.objects.get().service_account
    place = canonical_json([team.project.pk, principal.pk, "POST", "/api/v1/prompts", "k-1"])
    before = written()

    def hold(reached: Any, go_on: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(20552, hashtext(%s))", [place])
            reached.set()
            assert go_on.wait(30)

    with meanwhile(hold):
        refused(once(api, "prompts", GOOD), 409, "idempotency_in_flight", before)
        body_of(once(api, "prompts", GOOD | {"name": "b"}, "k-2"), 201)
    body_of(once(api, "prompts", GOOD), 201)


@override_settings(RATE_WRITE=1000, BURST_WRITE=1000)
@pytest.mark.parametrize("count", [50])
def test_fifty_at_once_make_one_version(team: Team, api: Caller, count: int) -> None:
    team.prompt()
    answers = at_once(count, lambda _: once(Caller(api.key), "versions", NEXT))
    made = [a for a in answers if a.status_code == 201 and not a.has_header("Idempotent-Replayed")]
    replayed = [a for a in answers if a.status_code == 201 and a.has_header("Idempotent-Replayed")]
    waiting = [a for a in answers if a.status_code == 409]
    print(f"{len(made)} made, {len(replayed)} replayed, {len(waiting)} in flight")
    assert (len(made), len(made) + len(replayed) + len(waiting)) == (1, count)
    for answer in replayed:
        assert answer.content == made[0].content
    for answer in waiting:
        problem_of(answer, 409, "idempotency_in_flight")
    assert PromptVersion.objects.count() == 2
    again = once(api, "versions", NEXT)
    assert (again.content, again["Idempotent-Replayed"]) == (made[0].content, "true")


POSTER = """
import sys
from django.test import Client
from accounts.models import IdempotentAnswer

def send():
    return Client(SERVER_NAME="localhost").generic(
        "POST", "/api/v1/versions", b'{"prompt":"support/greeting","content":"Hello again"}',
        content_type="application/json",
        headers={"Authorization": "Bearer " + THE_KEY, "Idempotency-Key": "k-1"},
    )
"""


def test_killed_before_commit_nothing_happened_and_a_retry_makes_it(team: Team, api: Caller, committed_db: str) -> None:
    team.prompt()
    code = (
        POSTER.replace("THE_KEY", repr(api.key))
        + """
create = IdempotentAnswer.objects.create
def wait(**fields):
    create(**fields)
    print("stored", flush=True)  # the effect and its answer are written, and not committed
    sys.stdin.read()
IdempotentAnswer.objects.create = wait
send()
"""
    )
    with process(committed_db, code) as poster:
        assert poster.line() == "stored"
        problem_of(once(api, "versions", NEXT), 409, "idempotency_in_flight")
        poster.kill()
        poster.child.wait()
        answer = until_free(lambda: once(api, "versions", NEXT))
    assert body_of(answer, 201)["number"] == 2
    assert not answer.has_header("Idempotent-Replayed")
    assert (PromptVersion.objects.count(), IdempotentAnswer.objects.count()) == (2, 1)


def test_killed_after_commit_a_retry_changes_nothing(team: Team, api: Caller, committed_db: str) -> None:
    team.prompt()
    code = (
        POSTER.replace("THE_KEY", repr(api.key))
        + """
print(send().status_code, flush=True)  # committed, and its answer reached nobody
sys.stdin.read()
"""
    )
    with process(committed_db, code) as poster:
        assert poster.line() == "201"
        poster.kill()
        poster.child.wait()
    before = written()
    answer = once(api, "versions", {"prompt": "support/greeting", "content": "Hello again"})
    problem_of(answer, 422, "idempotency_mismatch")  # other bytes: this client writes blanks between
    answer = api.send(
        "POST",
        "versions",
        b'{"prompt":"support/greeting","content":"Hello again"}',
        Idempotency_Key="k-1",
    )
    assert body_of(answer, 201)["number"] == 2
    assert answer["Idempotent-Replayed"] == "true"
    assert written() == before


def until_free(send: Any) -> Any:
    """The first answer that is not in flight: the server's end of a killed session takes a moment to see it."""
    deadline = timezone.now() + timedelta(seconds=10)
    while (answer := send()).status_code == 409:
        assert timezone.now() < deadline
    return answer


def test_answers_are_forgotten_after_two_days(team: Team, api: Caller) -> None:
    body_of(once(api, "prompts", GOOD), 201)
    body_of(once(api, "versions", NEXT), 201)
    now = timezone.now()
    IdempotentAnswer.objects.filter(path="/api/v1/prompts").update(at=now - timedelta(hours=48, seconds=1))
    IdempotentAnswer.objects.filter(path="/api/v1/versions").update(at=now - timedelta(hours=47, minutes=59))
    forget_idempotent_answers()
    assert [answer.path for answer in IdempotentAnswer.objects.all()] == ["/api/v1/versions"]
    assert forget_answers() == 0
    problem_of(once(api, "prompts", GOOD), 409, "name_taken")
    assert once(api, "versions", NEXT)["Idempotent-Replayed"] == "true"
    assert Release.objects.count() == 0


def test_it_is_done_every_hour() -> None:
    [schedule] = [
        entry for entry in settings.CELERY_BEAT_SCHEDULE.values() if entry["task"] == forget_idempotent_answers.name
    ]
    assert schedule["schedule"] == 3600
