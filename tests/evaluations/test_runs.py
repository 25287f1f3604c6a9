"""A run from start to verdict, with everything that a provider, a budget and a person can do to it meanwhile."""

import json
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from evaluations.actions.runs import cancel_run, resume_run
from evaluations.models import Budget, CachedCall, Cell, EvaluationRun, ModelConnection
from evaluations.running import calls, engine
from evaluations.running.engine import work
from events.models import Event, RestoreFence
from promptforge.lib.errors import DomainError
from tests.evaluations.conftest import Make
from tests.evaluations.rows import add_case, new_set, revise
from tests.evaluations.running import HELLO, Bench, finished, make_due, states
from tests.evaluations.stub_provider import Provider
from tests.personas import Team
from tests.plugin import ROOT

# Three cases that always pass are settled by five repeats at 30 points.
ONE_LOOK = {"repeats": 5, "margin": 0.3}
ABSOLUTE = {"baseline": None, "channel": None}
RUBRIC = [*HELLO, {"type": "llm-rubric", "value": "The answer greets", "name": "greets"}]


def to_the_end(run: EvaluationRun) -> EvaluationRun:
    """Work as often as time would let retries come due."""
    for _ in range(80):
        if finished(run).status not in ("queued", "running"):
            break
        make_due(run)
    return run


def kinds(run: EvaluationRun) -> list[str]:
    return list(
        Event.objects.filter(subject_kind="run", subject_id=run.pk).order_by("pk").values_list("kind", flat=True)
    )


# --- The ordinary course ---------------------------------------------------------------------------------------------
def test_equal_answers_pass_and_each_cell_is_paid_once(make: Make, provider: Provider) -> None:
    bench = make()
    run = finished(bench.start(**ONE_LOOK))
    assert (run.outcome, run.status) == ("PASS", "done"), run.verdict
    cells = Cell.objects.filter(run=run)
    assert len(provider.calls()) == run.calls == cells.count() == 3 * 2 * (run.verdict_object or {})["repeats"]
    assert kinds(run) == ["run.started", "run.finished"]
    asked = {call["messages"][0]["content"] for call in provider.calls()}
    assert asked == {"Text 1 for Ada", "Text 2 for Ada"}
    assert len({call["seed"] for call in provider.calls()}) == run.calls
    arms = list(cells.order_by("position").values_list("arm", flat=True))
    assert {frozenset(pair) for pair in zip(arms[::2], arms[1::2], strict=True)} == {
        frozenset(["candidate", "baseline"])
    }


def test_a_worse_candidate_fails_at_the_first_look_and_the_database_agrees(make: Make, provider: Provider) -> None:
    provider.behave(texts={"Text 2": "Bonjour", "Text 1": "Hello Ada!"})
    run = finished(make().start())
    verdict = run.verdict_object or {}
    assert run.outcome == "FAIL"
    assert verdict["delta"] == pytest.approx(-1.0)
    assert (run.look, verdict["repeats"]) == (0, 5)
    assert [case["delta"] for case in verdict["worst"]] == [-1.0] * 3
    [asked] = verdict["criteria"]
    assert verdict["sentence"].endswith(
        f"It breaks “{asked['criterion']}” most, which 0 % of its answers meet and 100 % of the live version's."
    )


def test_one_dead_case_is_confirmed_by_fresh_calls_that_no_cache_answers(make: Make, provider: Provider) -> None:
    bench = make(cases=13)
    with_own_name(bench, "case 13", customer_name="Zoe")
    provider.behave(texts={"Text 2 for Zoe": "Bonjour", "Text": "Hello Ada!"})
    run = finished(bench.start(margin=0.2))
    verdict = run.verdict_object or {}
    assert run.outcome == "FAIL", verdict
    [cases] = [each for each in verdict["guardrails"] if each["kind"] == "cases"]
    assert (cases["outcome"], cases["cases"]) == ("FAIL", ["Zoe"])
    fresh = Cell.objects.filter(run=run, confirms=True)
    assert set(fresh.values_list("case__key", flat=True)) == {"Zoe"}
    assert fresh.count() == 16
    assert not fresh.filter(cached=True).exists()
    assert CachedCall.objects.count() == Cell.objects.filter(run=run, confirms=False).count()


def with_own_name(bench: Bench, _: str, **variables: str) -> None:
    """One more case, with values of its own."""
    with transaction.atomic():
        number = bench.owner.revisions.count() + 1
        bench.owner.revisions.create(number=number, author=bench.team.ada.user, criteria=json.dumps(HELLO))
        add_case(bench.owner, number, key=variables["customer_name"], variables=json.dumps(variables), position=99)


def test_without_a_live_version_the_pass_rate_decides(make: Make, provider: Provider) -> None:
    bench = make()
    run = finished(bench.start(**ABSOLUTE))
    assert run.outcome == "PASS"
    assert not Cell.objects.filter(run=run, arm="baseline").exists()
    provider.behave(text="Bonjour")
    assert finished(bench.start(**ABSOLUTE, seed=8)).outcome == "FAIL"


def test_a_repeated_run_is_answered_from_the_cache_and_cannot_fish_for_luck(make: Make, provider: Provider) -> None:
    bench = make()
    first = finished(bench.start(**ONE_LOOK))
    paid = len(provider.calls())
    provider.behave(text="Bonjour")
    again = finished(bench.start(**ONE_LOOK))
    assert (again.outcome, again.calls, len(provider.calls())) == ("PASS", 0, paid)
    assert set(Cell.objects.filter(run=again).values_list("cached", flat=True)) == {True}
    other = finished(bench.start(**ONE_LOOK, seed=first.seed + 1))
    assert other.calls > 0


def test_a_run_that_could_fill_all_threads_leaves_some_to_the_next(
    make: Make, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "THREADS", 2)
    bench = make()
    other = ModelConnection.objects.get(pk=bench.connection.pk)
    other.pk, other.name, other.model, other.key = None, "other", "stub-2", None
    other.save(force_insert=True)
    runs = [bench.start(**ONE_LOOK), bench.start(**ONE_LOOK, connection=other)]
    work(100)
    asked = [call["model"] for call in provider.calls()]
    assert asked.count("stub-1") == asked.count("stub-2") == 30
    assert asked.index("stub-2") < 10
    assert set(asked[-10:]) == {"stub-1", "stub-2"}
    assert {EvaluationRun.objects.get(pk=run.pk).outcome for run in runs} == {"PASS"}


def test_what_cannot_be_rendered_is_refused_before_anything_is_paid(make: Make, provider: Provider) -> None:
    bench = make()
    with_own_name(bench, "", customer_name="Zoe")
    with transaction.atomic():
        bench.owner.revisions.create(number=4, author=bench.team.ada.user, criteria=json.dumps(HELLO))
        add_case(bench.owner, 4, key="empty", variables="{}", position=100)
    with pytest.raises(DomainError) as refused:
        bench.start(**ONE_LOOK)
    assert refused.value.code == "case_not_rendered"
    assert "case empty" in refused.value.detail
    assert "customer_name" in refused.value.detail
    assert [fault.pointer for fault in refused.value.faults] == ["/cases/empty"] * 2
    assert (EvaluationRun.objects.count(), provider.calls()) == (0, [])


@pytest.mark.parametrize("kind", ["anthropic", "gemini"])
def test_what_a_tool_said_is_refused_where_it_would_be_another_prompt(make: Make, team: Team, kind: str) -> None:
    bench = make(kind=kind)
    chat = team.prompt("chat", content=[{"role": "user", "content": "Hi"}, {"role": "tool", "content": "42"}])
    owner = new_set(team, chat, name="chats")
    revise(team, owner, criteria=json.dumps(HELLO))
    with pytest.raises(DomainError, match="case 1, holds a message of the role tool") as refused:
        bench.start(candidate=team.version(chat, 1), owner=owner, **ABSOLUTE)
    assert [fault.pointer for fault in refused.value.faults] == ["/connection"]
    assert not EvaluationRun.objects.exists()


@pytest.mark.parametrize("person", ["ben", "noor"])
def test_only_who_edits_the_prompt_starts_cancels_and_resumes(make: Make, team: Team, person: str) -> None:
    bench = make()
    run = bench.start(**ONE_LOOK)
    stranger = {"ben": team.ben, "noor": team.noor}[person]
    for verb in (cancel_run, resume_run):
        with pytest.raises(DomainError) as refused:
            verb(by=stranger, run=run)
        assert refused.value.code == "forbidden"
    bench.team = replace(team, ada=stranger)
    with pytest.raises(DomainError):
        bench.start(**ONE_LOOK)
    run.refresh_from_db()
    assert (run.status, EvaluationRun.objects.count()) == ("queued", 1)


# --- Hostile providers -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ({"fault": "rate_limited", "retry_after": "99999999"}, "rate_limited"),
        ({"fault": "server_error"}, "server_error"),
        ({"fault": "html"}, "bad_answer"),
        ({"fault": "truncated"}, "bad_answer"),
        ({"fault": "huge"}, "too_large"),
        ({"fault": "error_in_200"}, "server_error"),
        ({"fault": "wrong_model"}, "wrong_model"),
        ({"fault": "drip"}, "timeout"),
        ({"fault": "cut"}, "unreachable"),
    ],
    ids=lambda value: value["fault"] if isinstance(value, dict) else "",
)
def test_a_failing_provider_is_classified_and_never_scored(
    make: Make, provider: Provider, behaviour: dict[str, Any], error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a provider makes of the candidate's calls, the verdict is none that lets it pass."""
    bench = make(cases=1)
    if error == "timeout":
        monkeypatch.setattr(calls, "SECONDS", 0.3)  # a byte now and then does not make a call last longer
    provider.behave(text="Hello Ada!", only="Text 2", **behaviour)
    run = to_the_end(bench.start(**ONE_LOOK))
    failed = Cell.objects.filter(run=run, state="unscored")
    assert run.outcome in ("INCONCLUSIVE", "NOT_COMPARABLE"), (run.status, run.outcome, run.verdict)
    assert failed.exists()
    assert set(failed.values_list("arm", "score", "passed")) == {("candidate", None, None)}
    assert set(failed.values_list("error", flat=True)) == {error}
    assert all("sk-good" not in detail for detail in failed.values_list("error_detail", flat=True))
    if error == "wrong_model":
        assert run.outcome == "NOT_COMPARABLE"


def test_what_passes_by_itself_is_tried_again_and_costs_no_verdict(make: Make, provider: Provider) -> None:
    bench = make()
    provider.behave(text="Hello Ada!", fault="server_error", every=5)
    run = to_the_end(bench.start(**ONE_LOOK))
    assert run.outcome == "PASS"
    assert Cell.objects.filter(run=run, tries__gt=1).exists()
    assert not Cell.objects.filter(run=run, state="unscored").exists()
    assert len(provider.calls()) == run.calls > Cell.objects.filter(run=run).count()


# --- Pauses ----------------------------------------------------------------------------------------------------------
def test_a_revoked_key_pauses_and_a_new_one_resumes_where_it_stopped(
    make: Make, team: Team, provider: Provider
) -> None:
    bench = make(max_concurrency=2)
    run = bench.start(**ONE_LOOK)
    provider.behave(text="Hello Ada!", fault="bad_key", first=1)
    finished(run)
    assert run.status == "paused"
    assert "key" in run.pause_reason
    assert "sk-good" not in run.pause_reason
    kept = dict(Cell.objects.filter(run=run, state="done").values_list("pk", "output"))
    paid = len(provider.calls())
    assert work() is False
    assert len(provider.calls()) == paid
    bench.set_key("sk-new")
    provider.behave(text="Hello Ada!")
    resume_run(by=team.ada, run=run)
    finished(run)
    assert run.outcome == "PASS"
    assert kept.items() <= dict(Cell.objects.filter(run=run).values_list("pk", "output")).items()
    assert {call["key"] for call in provider.calls()[paid:]} == {"sk-new"}
    assert kinds(run) == ["run.started", "run.paused", "run.resumed", "run.finished"]


def test_a_budget_ends_in_a_pause_and_not_in_overspending(make: Make, team: Team, provider: Provider) -> None:
    bench = make()
    Budget.objects.create(project=team.project, calls_per_day=10)
    run = finished(bench.start(**ONE_LOOK))
    assert (run.status, run.calls, len(provider.calls())) == ("paused", 10, 10)
    assert "10 calls of today" in run.pause_reason
    assert states(run)["done"] == 10
    resume_run(by=team.ada, run=run)
    finished(run)
    assert (run.status, len(provider.calls())) == ("paused", 10)
    Budget.objects.update(calls_per_day=None)
    resume_run(by=team.ada, run=run)
    assert finished(run).outcome == "PASS"


def test_a_ceiling_in_dollars_holds(make: Make, provider: Provider) -> None:
    bench = make(price='{"input":1,"output":1000}', parameters='{"max_tokens":10}')
    run = finished(bench.start(max_cost_usd=Decimal("0.05")))
    assert run.status == "paused"
    assert "$0.05" in run.pause_reason
    assert run.cost_usd <= Decimal("0.05")
    assert 0 < len(provider.calls()) < 30


def test_a_run_out_of_calls_is_incomplete(make: Make, provider: Provider) -> None:
    """Also where the last call was somebody's who died: its cell waits for no other."""
    bench = make()
    run = bench.start(**ONE_LOOK)
    EvaluationRun.objects.filter(pk=run.pk).update(max_calls=7)
    finished(run)
    assert (run.status, run.outcome, len(provider.calls())) == ("done", "INCOMPLETE", 7)
    assert "may make 7 calls, and has made them" in (run.verdict_object or {})["sentence"]
    other = bench.start(**ONE_LOOK, seed=8)
    EvaluationRun.objects.filter(pk=other.pk).update(max_calls=2, calls=2)
    for cell in Cell.objects.filter(run=other)[:2]:
        held = {"state": "calling", "fence": 1, "tries": 1, "leased_until": other.created_at}
        Cell.objects.filter(pk=cell.pk).update(**held)
    finished(other)
    assert (other.status, other.outcome, len(provider.calls())) == ("done", "INCOMPLETE", 7)


@pytest.mark.parametrize(
    ("fields", "word"), [({"model": "stub-2"}, "changed"), ({"removed_at": "2026-01-01T00:00Z"}, "removed")]
)
def test_another_connection_than_was_agreed_on_is_not_called(
    make: Make, team: Team, provider: Provider, fields: dict[str, str], word: str
) -> None:
    bench = make()
    run = bench.start(**ONE_LOOK)
    ModelConnection.objects.filter(pk=bench.connection.pk).update(**fields)
    finished(run)
    assert (run.status, provider.calls()) == ("paused", [])
    assert word in run.pause_reason
    with pytest.raises(DomainError) as refused:
        resume_run(by=team.ada, run=EvaluationRun.objects.get(pk=run.pk))
    assert refused.value.code == "run_not_resumable"


def test_a_cancelled_run_calls_nobody_and_has_no_verdict(make: Make, team: Team, provider: Provider) -> None:
    run = make().start(**ONE_LOOK)
    cancel_run(by=team.ada, run=run)
    finished(run)
    assert (run.status, run.outcome, provider.calls()) == ("cancelled", "", [])
    with pytest.raises(DomainError) as refused:
        cancel_run(by=team.ada, run=run)
    assert refused.value.code == "run_ended"


def test_a_restored_past_spends_nothing(make: Make, provider: Provider) -> None:
    run = make().start(**ONE_LOOK)
    fence = RestoreFence.objects.using("owner").create(archive_digest="0" * 64)
    assert work() is False
    assert provider.calls() == []
    RestoreFence.objects.using("owner").filter(pk=fence.pk).update(confirmed_at=run.created_at)
    assert finished(run).outcome == "PASS"


def test_length_is_held_against_the_live_answers_of_the_same_case(make: Make, provider: Provider) -> None:
    bench = make(criteria=[*HELLO, {"type": "length-ratio", "threshold": 1.5}])
    provider.behave(texts={"Text 2": "Hello Ada " * 10, "Text 1": "Hello Ada"})
    run = finished(bench.start(**ONE_LOOK))
    assert run.outcome == "FAIL"
    kept, broken = (run.verdict_object or {})["criteria"]
    assert kept["criterion"] not in (run.verdict_object or {})["sentence"]
    assert f"It breaks “{broken['criterion']}” most" in (run.verdict_object or {})["sentence"]
    assert set(Cell.objects.filter(run=run).values_list("arm", "passed")) == {("candidate", False), ("baseline", True)}


# --- Light web processes ---------------------------------------------------------------------------------------------
def test_the_web_imports_neither_statistics_nor_prices() -> None:
    """Every page and door is loaded, and a run's door with it; what only workers need stays out."""
    code = (
        "import sys, django; django.setup(); import promptforge.asgi, promptforge.urls, evaluations.tasks; "
        "print([m for m in ('scipy', 'numpy', 'genai_prices', 'openai', 'anthropic', 'xllamacpp') if m in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.strip().splitlines()[-1] == "[]"
