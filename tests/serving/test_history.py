"""Several server processes on one database, readers and movers at once: no answer is ever stale."""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable

import pytest

from accounts.actions.api_keys import recognise_key
from promptforge.lib.ids import encode
from tests.personas import Team
from tests.serving.fleet import History, WebServer, fleet

NAME = "support/greeting"
SCOPES = ("prompts:read", "releases:write", "manage")


def run(
    team: Team,
    servers: list[WebServer],
    *,
    moves: int,
    readers: int,
    seed: int,
    disturb: Callable[[], None] | None = None,
) -> History:
    """Move and read through all servers until that many moves were made."""
    prompt = team.prompt(versions=5)
    team_key, history, over = team.key(*SCOPES), History(), threading.Event()
    revisions = _numbers(moves)

    def read(number: int) -> None:
        chance = random.Random(seed * 1000 + number)
        callers = [server.caller(team_key) for server in servers]
        while not over.is_set():
            begun = time.monotonic()
            try:
                status, headers, body = chance.choice(callers).call("GET", f"/api/v1/prompts/{NAME}")
            except OSError:
                continue  # this server was killed
            if status == 200:
                history.saw(begun, int(headers["PromptForge-Revision"]))
                assert json.loads(body)["revision"] == int(headers["PromptForge-Revision"])
            elif status == 404:
                history.saw(begun, 0)  # nothing live yet
            else:
                assert status == 503, (status, body)
                history.refused += 1

    threads = [threading.Thread(target=read, args=[number], daemon=True) for number in range(readers)]
    for thread in threads:
        thread.start()
    try:
        _move(team, team_key, servers, history, revisions, seed, disturb)
    finally:
        over.set()
        for thread in threads:
            thread.join(30)
    assert prompt.releases.count() == moves == len(history.moves)
    return history


def _numbers(moves: int) -> range:
    return range(1, moves + 1)


def _move(team, key, servers, history, revisions, seed, disturb) -> None:
    chance = random.Random(seed)
    live = 0
    callers = [server.caller(key) for server in servers]
    for revision in revisions:
        if disturb is not None and revision % 50 == 0:
            disturb()
        roll_back = revision > 2 and chance.random() < 0.3
        version = chance.choice([number for number in range(1, 6) if number != live])
        asked = {"kind": "promote", "version": version} if not roll_back else {"kind": "rollback", "reason": "Back"}
        begun = time.monotonic()
        made = _until_made(
            chance, callers, {"prompt": NAME, "channel": "stable", "expected_revision": revision - 1} | asked, version
        )
        history.moved(begun, made["revision"])
        assert made["revision"] == revision
        live = made["version"]
        if revision % 20 == 0:
            _end_a_key(team, servers, history)


def _until_made(chance, callers, asked, version) -> dict:
    """Repeat a move until it is answered: a server may die in between, or the rollback have nowhere to go."""
    for _ in range(400):
        try:
            status, _, body = chance.choice(callers).call("POST", "/api/v1/releases", asked)
        except OSError:
            time.sleep(0.05)
            continue
        answer = json.loads(body)
        if status == 201:
            return answer
        if answer["code"] == "stale_head":  # it was made, and the answer was lost
            return {"revision": answer["head"]["revision"], "version": answer["head"]["version"]}
        if answer["code"] in ("nothing_to_roll_back", "rollback_target_withdrawn"):
            asked = {k: v for k, v in asked.items() if k != "reason"} | {"kind": "promote", "version": version}
            continue
        assert status == 503, answer
        time.sleep(0.05)
    raise AssertionError("the move was never answered")


def _end_a_key(team: Team, servers: list[WebServer], history: History) -> None:
    """A key is used on every server, revoked on one, and to be refused by all from then on."""
    text = team.key()
    users = [server.caller(text) for server in servers]
    admin = servers[0].caller(team.key("manage"))
    try:
        assert {user.call("GET", f"/api/v1/prompts/{NAME}")[0] for user in users} <= {200, 404, 503}
        assert admin.call("DELETE", f"/api/v1/api-keys/{encode('key', recognise_key(text).pk)}")[0] == 204
    except OSError:
        return  # a server was killed meanwhile; the next round asks again
    for user in users:
        try:
            status, _, _ = user.call("GET", f"/api/v1/prompts/{NAME}")
        except OSError:
            continue
        history.keys_that_outlived_their_end += status not in (401, 503)


def test_no_answer_is_stale(team: Team) -> None:
    with fleet(2) as servers:
        history = run(team, servers, moves=60, readers=4, seed=1)
    assert history.is_linearizable()
    assert len(history.reads) > 60
    assert history.refused == 0


def test_the_checker_finds_a_pointer_that_is_believed_for_a_second(team: Team) -> None:
    with fleet(2, "tests.serving.stale_app:application") as servers:
        history = run(team, servers, moves=40, readers=4, seed=1)
    assert history.violations()
    assert history.keys_that_outlived_their_end


@pytest.mark.full
@pytest.mark.timeout(900)
def test_no_answer_is_stale_at_full_size(team: Team) -> None:
    with fleet(4) as servers:
        history = run(team, servers, moves=2_000, readers=8, seed=2)
    assert history.is_linearizable()
    assert history.refused == 0
    print(f"{len(history.reads)} reads, {len(history.moves)} moves, 100 keys revoked, 0 stale")


@pytest.mark.full
@pytest.mark.timeout(900)
def test_no_answer_is_stale_while_workers_are_killed(team: Team) -> None:
    chance = random.Random(3)
    with fleet(4) as servers:

        def kill_one() -> None:
            for pid in chance.choice(servers).workers():
                os.kill(pid, signal.SIGKILL)

        history = run(team, servers, moves=500, readers=8, seed=3, disturb=kill_one)
    assert history.is_linearizable()
