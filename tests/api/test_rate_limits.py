"""Writes are counted per caller, exactly; refused ones do not count, and fetches are never among them."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from django.test import override_settings

from accounts.models import WriteBucket
from prompts.models import PromptVersion
from tests.api.conftest import Caller, body_of, problem_of, release, written
from tests.api.people import person, refused, signed_in
from tests.personas import Team
from tests.plugin import ROOT
from tests.races.conftest import at_once

NAME = "support/greeting"


@pytest.fixture
def slow() -> Iterator[None]:
    """One write a second, five at once."""
    with override_settings(RATE_WRITE=1, BURST_WRITE=5):
        yield


def save(caller: Caller, number: object):
    return caller.post("versions", {"prompt": NAME, "content": f"Text {number}"})


def tokens(count: float) -> None:
    WriteBucket.objects.update(tokens=count)


def test_answers_say_what_is_left(team: Team, api: Caller) -> None:
    team.prompt()
    answer = save(api, "a")
    body_of(answer, 201)
    assert answer["RateLimit-Policy"] == '"write";q=200;w=4'
    assert answer["RateLimit"] == '"write";r=199;t=1'
    WriteBucket.objects.all().delete()
    assert save(api, "b")["RateLimit"] == '"write";r=199;t=1'


def test_refusals_of_other_kinds_say_it_as_well(team: Team, api: Caller, slow: None) -> None:
    answer = save(api, 1)
    problem_of(answer, 404, "prompt_not_found")
    assert (answer["RateLimit-Policy"], answer["RateLimit"]) == ('"write";q=5;w=5', '"write";r=4;t=1')


def test_the_burst_and_not_one_more(team: Team, api: Caller, slow: None) -> None:
    team.prompt()
    answers = at_once(50, lambda n: save(Caller(api.key), n))
    made = [answer for answer in answers if answer.status_code == 201]
    stopped = [answer for answer in answers if answer.status_code == 429]
    print(f"{len(made)} of 50 at once passed a burst of 5")
    assert len(made) + len(stopped) == 50
    # One a second comes back while the fifty are answered; nothing else does.
    assert 5 <= len(made) <= 5 + 2
    assert PromptVersion.objects.count() == 1 + len(made)
    for answer in stopped:
        problem_of(answer, 429, "rate_limited")
        assert answer["Retry-After"] == "1"
        assert answer["RateLimit-Policy"] == '"write";q=5;w=5'
        assert answer["RateLimit"] == '"write";r=0;t=5'


@override_settings(RATE_WRITE=1, BURST_WRITE=20)
def test_fifty_at_once_take_exactly_the_burst(team: Team, api: Caller) -> None:
    """The bucket itself, without what a save takes."""
    path, begun = "channels/none", time.monotonic()
    answers = at_once(50, lambda _: Caller(api.key).send("PATCH", path, {"policy": {}}))
    came_back = math.ceil(time.monotonic() - begun)  # one a second
    counted = sum(answer.status_code == 404 for answer in answers)
    assert sum(answer.status_code == 429 for answer in answers) == 50 - counted
    print(f"{counted} of 50 at once passed a burst of 20")
    assert 20 <= counted <= 20 + came_back


def test_refused_calls_do_not_count(team: Team, api: Caller, slow: None) -> None:
    team.prompt()
    for number in range(5):
        body_of(save(api, number), 201)
    tokens(0.5)
    before, at = written(), WriteBucket.objects.get().at
    refused(save(api, "x"), 429, "rate_limited", before)
    bucket = WriteBucket.objects.get()
    assert (bucket.tokens, bucket.at) == (0.5, at)
    tokens(1)
    body_of(save(api, "y"), 201)


def test_nothing_of_a_refused_call_is_looked_at(team: Team, api: Caller, slow: None) -> None:
    save(api, 1)
    tokens(-100)
    before = written()
    refused(api.send("POST", "versions", b"{nonsense"), 429, "rate_limited", before)
    refused(api.post("prompts", {"name": "a", "content": "b"}, Idempotency_Key="k"), 429, "rate_limited", before)
    problem_of(Caller("pf_dev_nonsense").post("prompts", {}), 401, "key_malformed")


def test_fetches_renders_and_lists_are_no_writes(team: Team, api: Caller, slow: None) -> None:
    release(team, team.prompt(), 1)
    save(api, 2)
    tokens(-100)
    bucket = WriteBucket.objects.values().get()
    for _ in range(10):
        for answer in (
            api.fetch(NAME),
            api.post(f"prompts/{NAME}", {"variables": {"customer_name": "Noor"}}),
            api.get("prompts"),
            api.get("versions", {"prompt": NAME}),
            api.get("channels"),
            api.send("HEAD", f"prompts/{NAME}"),
        ):
            assert answer.status_code == 200
            assert "write" not in answer.get("RateLimit", "")
    assert WriteBucket.objects.values().get() == bucket


def test_callers_have_buckets_of_their_own(team: Team, api: Caller, slow: None) -> None:
    team.prompt()
    save(api, 1)
    tokens(-100)
    problem_of(save(api, 2), 429, "rate_limited")
    body_of(save(Caller(team.key("versions:write", "prompts:read")), 3), 201)
    body_of(save(person(team, "ada"), 4), 201)


def test_making_projects_is_counted(team: Team, slow: None) -> None:
    oda = signed_in(team.outsider)
    answers = [oda.post("projects", {"name": f"p{number}"}) for number in range(8)]
    statuses = [answer.status_code for answer in answers]
    assert statuses[:5] == [201] * 5
    assert 429 in statuses[5:]
    assert answers[0]["RateLimit"] == '"write";r=4;t=1'


def test_a_rate_of_nothing_is_told_at_the_start() -> None:
    for rate in ("0", "-1"):
        started = subprocess.run(
            [sys.executable, "-c", "import promptforge.settings"],
            cwd=ROOT,
            env=os.environ | {"PROMPTFORGE_RATE_WRITE": rate},
            capture_output=True,
            text=True,
            check=False,
        )
        assert started.returncode == 1
        assert "PROMPTFORGE_RATE_WRITE is how many calls a second a caller may send: at least 1." in started.stderr
