"""What is taken away bites on the next request: of a key or a person, while four callers go on asking."""

import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connections

from accounts.models import ApiKey, Membership
from promptforge.lib.ids import encode
from tests.api.conftest import Caller, body_of, release
from tests.api.people import person
from tests.personas import Team

CALLERS, ROUNDS = 4, 3


def asked_meanwhile(caller: Callable[[], Caller], path: str, take_away: Callable[[], Any]) -> list[tuple[float, int]]:
    """(when it began, its status) of every request that four callers made around `take_away`."""
    over, warm = threading.Event(), threading.Barrier(CALLERS + 1)
    seen: list[tuple[float, int]] = []

    def ask() -> None:
        try:
            mine = caller()
            mine.get(path)
            warm.wait(30)
            while not over.is_set():
                begun = time.monotonic()
                seen.append((begun, mine.get(path).status_code))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    warm.wait(30)
    while len(seen) < 5 * CALLERS:
        time.sleep(0)
    take_away()
    answered = time.monotonic()
    while sum(begun > answered for begun, _ in list(seen)) < 5 * CALLERS:
        time.sleep(0)
    over.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return [(begun - answered, status) for begun, status in seen]


def assert_bites(seen: list[tuple[float, int]], refusal: int, *, meanwhile: tuple[int, ...] = ()) -> None:
    """`meanwhile`: how else a request may end that was under way when the right was taken away."""
    before = [status for begun, status in seen if begun < 0]
    after = [status for begun, status in seen if begun > 0]
    assert 200 in before
    assert set(before) <= {200, refusal, *meanwhile}
    assert (set(after), len(after) >= 5 * CALLERS) == ({refusal}, True)


def test_a_revoked_key(team: Team, api: Caller) -> None:
    release(team, team.prompt(), 1)
    for _ in range(ROUNDS):
        text = team.key()
        key_id = encode("key", ApiKey.objects.latest("pk").pk)

        def revoke(key_id: str = key_id) -> None:
            assert api.send("DELETE", f"api-keys/{key_id}").status_code == 204

        seen = asked_meanwhile(lambda text=text: Caller(text), "prompts/support/greeting", revoke)  # type: ignore[misc]
        assert_bites(seen, 401)


def test_a_removed_member(team: Team) -> None:
    release(team, team.prompt(), 1)
    farah = person(team, "farah")
    for name in ("noor", "ada", "cleo"):
        member = encode("mem", Membership.objects.get(user=getattr(team, name).user).pk)

        def remove(member: str = member) -> None:
            assert farah.send("DELETE", f"members/{member}").status_code == 204

        seen = asked_meanwhile(lambda name=name: person(team, name), "prompts/support/greeting", remove)  # type: ignore[misc]
        assert_bites(seen, 404, meanwhile=(403,))


def test_a_narrower_role(team: Team) -> None:
    team.prompt()
    farah = person(team, "farah")
    cleo = person(team, "cleo")
    member = encode("mem", Membership.objects.get(user=team.cleo.user).pk)
    body_of(cleo.post("channels", {"name": "beta"}), 201)
    body_of(farah.send("PATCH", f"members/{member}", {"roles": ["viewer"]}))
    assert cleo.post("channels", {"name": "gamma"}).status_code == 403
    body_of(cleo.get("channels"))


def test_a_person_who_is_switched_off(team: Team) -> None:
    noor = person(team, "noor")
    body_of(noor.get("prompts"))
    team.noor.user.is_active = False
    team.noor.user.save()
    assert noor.get("prompts").status_code == 401


def test_a_service_account_that_is_switched_off(team: Team, reader: Caller) -> None:
    body_of(reader.get("prompts"))
    account = ApiKey.objects.get().service_account
    account.is_active = False
    account.save()
    assert reader.get("prompts").status_code == 401
