"""One thing that goes wrong stops that thing: what else is due goes on, and nothing is paid again for it."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from evaluations.models import Cell, DaySpending, EvaluationRun
from evaluations.running import engine, settling
from evaluations.running.engine import work
from tests.evaluations.rows import new_run
from tests.evaluations.running import Bench, finished, make_bench, make_due
from tests.evaluations.stub_provider import Provider
from tests.personas import Team

ONE_LOOK = {"repeats": 5, "margin": 0.3}
DEAR = '{"input":100000,"output":100000}'


@pytest.fixture
def bench(team: Team, provider: Provider) -> Bench:
    provider.behave(text="Hello Ada!")
    return make_bench(team, provider, price=DEAR)


@pytest.mark.parametrize(
    "behaviour",
    [
        {"text": "Hello \ud83d\0"},
        {"text": "Hello", "fault": "unwritable"},
        {"text": "Hello", "fault": "absurd_tokens"},
        {"text": "Hello", "fault": "dear_tokens"},
    ],
)
def test_absurd_answers_are_kept_as_they_can_be_and_paid_once(
    bench: Bench, provider: Provider, behaviour: dict[str, Any]
) -> None:
    provider.behave(**behaviour)
    run = finished(bench.start(**ONE_LOOK))
    assert (run.status, run.outcome) == ("done", "PASS"), run.verdict
    assert len(provider.calls()) == run.calls == Cell.objects.filter(run=run).count()
    if "tokens" in behaviour.get("fault", ""):
        assert run.unpriced_calls == run.calls  # by such a count nobody knows what they cost


def test_a_run_that_cannot_be_worked_on_pauses_and_the_others_go_on(bench: Bench, provider: Provider) -> None:
    broken = new_run(bench.team, bench.owner, bench.prompt, connection=bench.connection, plan="{}")
    sound = finished(bench.start(**ONE_LOOK))
    broken.refresh_from_db()
    assert sound.outcome == "PASS"
    assert broken.status == "paused"
    assert broken.pause_reason.startswith("This run could not be worked on: ")
    assert "Resume the run when that is mended" in broken.pause_reason
    assert work(1) is False  # nothing is left to do


def test_an_answer_that_cannot_be_kept_is_not_asked_for_again(
    bench: Bench, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unscorable(*_: Any) -> Any:
        raise TypeError("what it is about stays in the log")

    monkeypatch.setattr(settling, "scored", unscorable)
    run = finished(bench.start(**ONE_LOOK))
    paid = len(provider.calls())
    make_due(run)
    run = finished(run)
    assert (run.status, run.outcome) == ("done", "INCONCLUSIVE")
    cells = Cell.objects.filter(run=run)
    assert paid == len(provider.calls()) == run.calls == cells.count()
    assert set(cells.values_list("state", "error")) == {("unscored", "not_kept")}
    assert "could not be kept: TypeError." in cells[0].error_detail
    assert run.cost_usd > run.calls * Decimal(100)  # what it did cost was not kept either


def test_a_database_that_is_gone_is_no_fault_of_a_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> bool:
        raise OperationalError("the connection is closed")

    run = bench.start(**ONE_LOOK)
    monkeypatch.setattr(engine, "advance", gone)
    with pytest.raises(OperationalError):
        work(100)
    assert EvaluationRun.objects.get(pk=run.pk).status == "queued"


def test_what_could_cost_more_than_can_be_counted_pauses(bench: Bench, provider: Provider) -> None:
    DaySpending.objects.create(project=bench.team.project, day=timezone.now().date(), usd=Decimal("999999.9"))
    run = finished(bench.start(**ONE_LOOK))
    assert (run.status, provider.calls()) == ("paused", [])
    assert "more than can be counted" in run.pause_reason
