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
    key: str,
    servers: list[WebServer],
    *,
    moves: int,
    readers: int,
    seed: int,
    first: int = 1,
    besides: Callable[[History, int], None] | None = None,
) -> History:
    """Move `support/greeting` to revisions `first` and on and read it, through all servers; all is in the answer.

    `besides` is called after each move with its revision: to disturb, or to look at something else.
    """
    history, over = History(stood=first - 1), threading.Event()

    def read(number: int) -> None:
        chance = random.Random(seed * 1000 + number)
        callers = [server.caller(key) for server in servers]
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
        _move(key, servers, history, range(first, first + moves), random.Random(seed), besides)
    finally:
        over.set()
        for thread in threads:
            thread.join(30)
    assert [move.revision for move in history.moves] == list(range(first, first + moves))
    return history


def _move(key, servers, history, revisions, chance, besides) -> None:
    live = 0
    callers = [server.caller(key) for server in servers]
    for revision in revisions:
        version = chance.choice([number for number in range(1, 6) if number != live])
        roll_back = revision > 2 and chance.random() < 0.3
        asked = {"kind": "rollback", "reason": "Back"} if roll_back else {"kind": "promote", "version": version}
        asked |= {"prompt": NAME, "channel": "stable", "expected_revision": revision - 1}
        begun = time.monotonic()
        made = _until_made(chance, callers, asked, version)
        history.moved(begun, made["revision"])
        live = made["version"]
        if besides is not None:
            besides(history, revision)


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


def ending_keys(team: Team, servers: list[WebServer]) -> Callable[[History, int], None]:
    """After every twentieth move a key is used everywhere, revoked on one server, and to be refused by all."""
    admin = servers[0].caller(team.key("manage"))

    def end_a_key(history: History, revision: int) -> None:
        if revision % 20:
            return
        text = team.key()
        users = [server.caller(text) for server in servers]
        assert 401 not in {user.call("GET", f"/api/v1/prompts/{NAME}")[0] for user in users}
        assert admin.call("DELETE", f"/api/v1/api-keys/{encode('key', recognise_key(text).pk)}")[0] == 204
        for user in users:
            history.keys_that_outlived_their_end += user.call("GET", f"/api/v1/prompts/{NAME}")[0] != 401

    return end_a_key


def test_no_answer_is_stale(team: Team) -> None:
    team.prompt(versions=5)
    with fleet(2) as servers:
        history = run(team.key(*SCOPES), servers, moves=60, readers=4, seed=1, besides=ending_keys(team, servers))
    assert history.is_linearizable()
    assert len(history.reads) > 60
    assert history.refused == 0


def test_the_checker_finds_a_pointer_that_is_believed_for_a_second(team: Team) -> None:
    team.prompt(versions=5)
    with fleet(2, "tests.serving.stale_app:application") as servers:
        history = run(team.key(*SCOPES), servers, moves=40, readers=4, seed=1, besides=ending_keys(team, servers))
    assert history.violations()
    assert history.keys_that_outlived_their_end


@pytest.mark.full
@pytest.mark.timeout(900)
def test_no_answer_is_stale_at_full_size(team: Team) -> None:
    team.prompt(versions=5)
    with fleet(4) as servers:
        history = run(team.key(*SCOPES), servers, moves=2_000, readers=8, seed=2, besides=ending_keys(team, servers))
    assert history.is_linearizable()
    assert history.refused == 0
    print(f"{len(history.reads)} reads, {len(history.moves)} moves, 100 keys revoked, 0 stale")


@pytest.mark.full
@pytest.mark.timeout(900)
def test_no_answer_is_stale_while_workers_are_killed(team: Team) -> None:
    team.prompt(versions=5)
    chance = random.Random(3)
    with fleet(4) as servers:

        def kill_one(history: History, revision: int) -> None:
            if revision % 50 == 0:
                for pid in chance.choice(servers).workers():
                    os.kill(pid, signal.SIGKILL)

        history = run(team.key(*SCOPES), servers, moves=500, readers=8, seed=3, besides=kill_one)
    assert history.is_linearizable()
