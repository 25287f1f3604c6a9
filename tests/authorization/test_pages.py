"""Every page of a project, for every kind of caller: what the table says, and nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import URLResolver

from promptforge.pages import urlpatterns
from tests.authorization.pages import PAGES
from tests.authorization.table import PEOPLE, STRANGERS
from tests.authorization.world import World, everything, fill, make_world, undone

CALLERS = f"{PEOPLE} {STRANGERS} anonymous".split()


@pytest.fixture
def world(committed_db: str) -> Iterator[World]:
    with override_settings(RATE_WRITE=1_000_000, BURST_WRITE=1_000_000):
        yield make_world()


def routes(patterns: list[Any]) -> Iterator[Any]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns)
        else:
            yield pattern


def body(answer: HttpResponse | StreamingHttpResponse) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_every_page_is_listed_and_takes_only_listed_forms() -> None:
    found = {pattern.name: pattern.callback.view_class for pattern in routes(urlpatterns)}
    assert set(found) == set(PAGES)
    for name, view in found.items():
        assert hasattr(view, "post") == bool(PAGES[name].forms), name
        assert not {"put", "patch", "delete"} & set(view.http_method_names), name


def test_each_caller_sees_what_the_table_says(world: World) -> None:
    wrong = []
    for name, page in PAGES.items():
        for who in CALLERS:
            answer = world.callers[who].client.get(f"/p/shop/{fill(page.path, world.own)}")
            body(answer)
            member = 200 if who in page.sees.split() else 403
            expected = 302 if who == "anonymous" else 404 if who in STRANGERS.split() else member
            if answer.status_code != expected:
                wrong.append((name, who, expected, answer.status_code))
    assert wrong == []


def test_each_form_is_taken_from_whom_the_table_says(world: World) -> None:
    wrong = []
    for name, page in PAGES.items():
        for form in page.forms:
            for who in CALLERS:
                path, sent = f"/p/shop/{fill(page.path, world.own)}", fill(dict(form.sent), world.own)
                before = everything()
                if who in form.may.split():
                    with undone():
                        answer = world.callers[who].client.post(path, sent)
                    expected = form.answer
                else:
                    answer = world.callers[who].client.post(path, sent)
                    expected = 302 if who == "anonymous" else 404 if who in STRANGERS.split() else 403
                    if everything() != before:
                        wrong.append((name, who, "was refused and changed something"))
                if answer.status_code != expected:
                    wrong.append((name, who, expected, answer.status_code))
    assert wrong == []


def test_a_foreign_thing_answers_as_an_absent_one(world: World) -> None:
    for name, page in PAGES.items():
        for thing in world.absent:
            if f"{{{thing}}}" not in page.path:
                continue
            for who in PEOPLE.split():
                shown = []
                for names in (world.foreign, world.absent):
                    path = f"/p/shop/{fill(page.path, world.own | {thing: names[thing]})}"
                    answer = world.callers[who].client.get(path)
                    request = answer["X-Request-ID"].encode()
                    shown.append((answer.status_code, body(answer).replace(request, b"").replace(path.encode(), b"")))
                assert shown[0] == shown[1], (name, who, thing)
                assert shown[0][0] == 404
