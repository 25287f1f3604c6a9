"""Every route below /api/, by every method, for every kind of caller: what the table says, and nothing else."""

import json
import statistics
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import override_settings
from django.urls import URLPattern, URLResolver, get_resolver

from promptforge.lib.errors import CODES
from tests.api.conftest import Caller, basic, problem_of
from tests.authorization.table import EVERYBODY, KEYS, NOBODY, PEOPLE, STRANGERS, TABLE, Call
from tests.authorization.world import VALUES, World, everything, fill, make_world, named_in, undone

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# What looks at no caller is asked for by one of each kind: the documents, which take long to write, OPTIONS, and what
# no view answers.
DOCUMENTS = ("api/v1/schema", "api/docs/")
ONE_OF_EACH_KIND = ("anonymous", "expired", "revoked", "stranger", "viewer", "owner", "prompts:read", "manage")
_NOBODYS_CODE = {"anonymous": "not_authenticated", "expired": "key_expired", "revoked": "key_revoked"}
BY_KEY_ALONE = "api/public/"
# Seldom a caller's business to compare: how many writes are left, and the id of the request.
_PASSING = ("x-request-id", "ratelimit")


def routes(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        elif route.startswith("api/"):
            yield route, pattern


def methods_of(pattern: URLPattern) -> set[str]:
    view = getattr(pattern.callback, "cls", None) or getattr(pattern.callback, "view_class", None)
    if view is None:
        return set(METHODS)  # a function answers every method
    names = set((pattern.callback.view_initkwargs or {}).get("http_method_names", view.http_method_names))
    answered = {method for method in METHODS if method.lower() in names and hasattr(view, method.lower())}
    return answered | ({"HEAD"} if "GET" in answered else set())


def plain(entry: str) -> str:
    """The route of an entry of the table: what stands behind a blank tells several entries of one route apart."""
    return entry.partition(" ")[0]


def call_of(entry: str, method: str) -> Call | None:
    """What the table says; HEAD is as GET, and asking for the OPTIONS is for everybody who gets that far."""
    calls = TABLE[entry]
    if method == "HEAD" and "HEAD" not in calls:
        method = "GET"
    if method == "OPTIONS" and "OPTIONS" not in calls and entry != "api/docs/":
        return Call(f"{PEOPLE} {KEYS}", next(iter(calls.values())).path)
    return calls.get(method)


@pytest.fixture
def world(committed_db: str) -> Iterator[World]:
    with override_settings(RATE_WRITE=1_000_000, BURST_WRITE=1_000_000):
        yield make_world()


def send(caller: Caller, method: str, path: str, body: Any) -> HttpResponse:
    headers = dict(caller.headers)
    if caller.key:
        headers["Authorization"] = basic(caller.key) if path.startswith(BY_KEY_ALONE) else f"Bearer {caller.key}"
    data = b"" if body is None else json.dumps(body).encode()
    answer: HttpResponse = caller.client.generic(
        method, f"/{path}", data, content_type="application/json", headers=headers
    )
    return answer


def test_every_route_is_listed() -> None:
    found = {route: methods_of(pattern) for route, pattern in routes(get_resolver().url_patterns)}
    assert len(found) > 20
    assert set(found) == {plain(entry) for entry in TABLE}
    for route, methods in found.items():
        listed = {method for entry in TABLE if plain(entry) == route for method in TABLE[entry]}
        assert listed | ({"HEAD"} if "GET" in listed else set()) == methods - ({"OPTIONS"} - listed), route


def test_every_word_of_the_table_is_a_caller(world: World) -> None:
    assert set(EVERYBODY.split()) == set(world.callers)
    for calls in TABLE.values():
        for call in calls.values():
            assert set(call.may.split()) | set(call.instead) <= set(world.callers)
            assert set(call.instead.values()) <= set(CODES)
            assert not set(call.may.split()) & set(call.instead)


# HEAD is answered by what answers GET, and nothing takes PUT: these two wait for the full run.
@pytest.mark.parametrize(
    "method",
    [pytest.param(each, marks=[pytest.mark.full] if each in ("HEAD", "PUT") else []) for each in METHODS],
)
def test_each_caller_gets_what_the_table_says(world: World, method: str) -> None:
    wrong = []
    for entry in TABLE:
        call = call_of(entry, method)
        if call is None and plain(entry) != entry:
            continue  # the route's own entry says it
        path = fill(call.path if call else next(iter(TABLE[entry].values())).path, world.own) or plain(entry)
        body = fill(call.body, world.own) if call and method not in ("HEAD", "GET") else None
        before = everything()
        looks_at_nobody = call is None or method == "OPTIONS" or plain(entry) in DOCUMENTS
        for name in ONE_OF_EACH_KIND if looks_at_nobody else world.callers:
            caller = world.callers[name]
            if call is not None and name in call.may.split():
                with undone():
                    answer = send(caller, method, path, body)
                good = answer.status_code in call.success
                expected: Any = call.success
            else:
                expected = refusal(call, name, plain(entry))
                answer = send(caller, method, path, body)
                good = answer.status_code == CODES[expected].status
                if good and method != "HEAD":
                    good = _code(answer) == expected
                    if good and not path.startswith(BY_KEY_ALONE):
                        problem_of(answer, CODES[expected].status, expected)
            if not good:
                wrong.append((method, entry, name, expected, answer.status_code, answer.content[:200]))
        if everything() != before:
            wrong.append((method, entry, "somebody who was refused", "changed", set(everything()) ^ set(before)))
    assert not wrong, "\n".join(map(str, wrong))


def refusal(call: Call | None, name: str, route: str) -> str:
    """The code with which somebody is refused who may not."""
    if call is not None and name in call.instead:
        return call.instead[name]
    open_route = route == "api/v1/projects"  # the one that needs no project
    if route in DOCUMENTS:
        return "method_not_allowed"
    if name in NOBODY.split() or (route.startswith(BY_KEY_ALONE) and name not in KEYS.split()):
        return _NOBODYS_CODE.get(name, "not_authenticated")
    if name in STRANGERS.split() and not open_route:
        return "project_not_found"
    if call is None:
        return "method_not_allowed"
    return "key_scope" if name in KEYS.split() else "forbidden"


def _code(answer: HttpResponse) -> str | None:
    return json.loads(answer.content).get("code") if "json" in answer["Content-Type"] else None


# --- What belongs to others -----------------------------------------------------------------------------------------
def references() -> Iterator[tuple[str, str, Call, str]]:
    """Every call that names a thing, once for each thing that it names."""
    for entry, calls in TABLE.items():
        for method, call in calls.items():
            for what in sorted(named_in(call.path, call.body) - VALUES):
                yield entry, method, call, what


def shown(answer: HttpResponse, name: str) -> tuple[int, Any, dict[str, str]]:
    """An answer but for what differs between any two requests, with what was asked for blotted out."""
    body = json.loads(answer.content.decode().replace(name, "…")) if answer.content else None
    if isinstance(body, dict):
        body.pop("request_id", None)
    headers = {key: value for key, value in answer.items() if key.lower() not in _PASSING}
    return answer.status_code, body, headers


def test_a_foreign_thing_answers_as_an_absent_one(world: World) -> None:
    wrong, compared = [], 0
    before = everything()
    for entry, method, call, what in references():
        # One person and one key whom the table lets do it, and some whom it mostly does not.
        may = [name for name in call.may.split() if name not in STRANGERS.split()]
        for name in dict.fromkeys(("viewer", "owner", "beta", *may[:1], *may[-1:])):
            answers = []
            for names in (world.foreign, world.absent):
                asked = world.own | {what: names[what]}
                path, body = fill(call.path, asked) or plain(entry), fill(call.body, asked)
                answers.append(shown(send(world.callers[name], method, path, body), names[what]))
            compared += 1
            if answers[0] != answers[1] or answers[0][0] < 400:
                wrong.append((method, entry, what, name, *answers))
    assert not wrong, "\n".join(map(str, wrong))
    assert everything() == before
    print(f"{compared} pairs of foreign and absent compared")
    assert compared > 300


def test_a_foreign_project_answers_as_an_absent_one(world: World) -> None:
    for name in (PEOPLE + " " + STRANGERS + " " + KEYS).split():
        caller = world.callers[name]
        answers = [
            shown(caller.get("prompts", PromptForge_Project=project), project)
            for project in (("shop" if name in STRANGERS.split() else "rival"), "shup", "rivul")
            if len(project) == (4 if name in STRANGERS.split() else 5)
        ]
        assert len(answers) == 2
        assert answers[0] == answers[1]
        assert answers[0][0] == 404


@pytest.mark.full
def test_and_takes_as_long(world: World) -> None:
    """The calmest third of interleaved repetitions, so that a slow moment of the machine hits neither or both."""
    for entry, method, call, what in references():
        caller = world.callers["admin" if "admin" in call.may.split() else "release-manager"]
        times: dict[str, list[float]] = {"foreign": [], "absent": []}
        for round_ in range(60):
            pairs = [("foreign", world.foreign), ("absent", world.absent)]
            for kind, names in pairs if round_ % 2 else reversed(pairs):
                asked = world.own | {what: names[what]}
                path, body = fill(call.path, asked) or plain(entry), fill(call.body, asked)
                begun = time.perf_counter()
                send(caller, method, path, body)
                times[kind].append(time.perf_counter() - begun)
        foreign, absent = (statistics.mean(sorted(taken)[: len(taken) // 3]) for taken in times.values())
        print(f"{method} {entry} by {what}: {foreign * 1000:.2f} ms foreign, {absent * 1000:.2f} ms absent")
        assert 0.8 < foreign / absent < 1.2, (method, entry, what)
