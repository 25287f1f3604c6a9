"""How many calls at once: what one worker learns, all know; and nobody takes a place twice."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from evaluations.models import Cell, ConnectionRate, ModelConnection
from evaluations.rates import Room, note_answer, note_refusal, room
from tests.evaluations.rows import new_connection, new_run, new_set
from tests.personas import Team
from tests.races.conftest import at_once


def ask(connection: ModelConnection) -> Room:
    with transaction.atomic():
        return room(connection.pk)


def rate(connection: ModelConnection) -> ConnectionRate:
    return ConnectionRate.objects.get(connection=connection)


def test_it_begins_at_what_the_connection_allows(team: Team) -> None:
    connection = new_connection(team, max_concurrency=8)
    assert ask(connection) == (8, 0.0)
    ModelConnection.objects.filter(pk=connection.pk).update(max_concurrency=3)
    assert ask(connection) == (3, 0.0)


def test_a_refusal_takes_a_fifth_once_for_all_that_were_under_way(team: Team) -> None:
    connection = new_connection(team, max_concurrency=10)
    ask(connection)
    began = timezone.now()
    for _ in range(10):
        note_refusal(connection.pk, began_at=began, retry_after=None)
    assert rate(connection).allowed == 8
    note_refusal(connection.pk, began_at=timezone.now(), retry_after=None)
    assert rate(connection).allowed == pytest.approx(6.4)
    for _ in range(30):
        note_refusal(connection.pk, began_at=timezone.now(), retry_after=None)
    assert rate(connection).allowed == 1
    assert ask(connection) == (1, 0.0)


def test_what_the_provider_asks_for_is_waited_for(team: Team) -> None:
    connection = new_connection(team)
    ask(connection)
    note_refusal(connection.pk, began_at=timezone.now(), retry_after=30)
    note_refusal(connection.pk, began_at=timezone.now(), retry_after=5)
    places, wait = ask(connection)
    assert places == 0
    assert 25 < wait <= 30


def test_a_round_of_answers_gives_one_back_after_a_calm_while(team: Team) -> None:
    connection = new_connection(team, max_concurrency=10)
    ask(connection)
    note_refusal(connection.pk, began_at=timezone.now(), retry_after=None)
    note_answer(connection.pk)
    assert rate(connection).allowed == 8
    ConnectionRate.objects.update(shrunk_at=timezone.now() - timedelta(minutes=1))
    for _ in range(8):
        note_answer(connection.pk)
    assert 8.9 < rate(connection).allowed < 9.1
    for _ in range(100):
        note_answer(connection.pk)
    assert rate(connection).allowed == 10


def test_no_two_workers_take_the_same_place(team: Team) -> None:
    prompt = team.prompt(versions=2)
    connection = new_connection(team, max_concurrency=3)
    started = new_run(team, new_set(team, prompt), prompt, connection=connection)
    cases = list(started.set_revision.cases)
    for number in range(20):
        Cell.objects.create(run=started, case=cases[0], arm="candidate", repeat=number, position=number)

    def claim(_: int) -> int:
        with transaction.atomic():
            if room(connection.pk).calls <= Cell.objects.filter(run=started, state="calling").count():
                return 0
            mine = Cell.objects.filter(run=started, state="pending").first()
            return Cell.objects.filter(pk=mine.pk if mine else 0).update(state="calling", fence=1)

    assert sum(at_once(20, claim)) == 3
