"""The drift watch with a real engine, and a provider that changes behind the same name."""

import json
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.core import mail
from django.db import transaction
from django.utils import timezone

from accounts.actions.members import set_roles
from evaluations.actions.rules import add_rule
from evaluations.actions.runs import cancel_run, resume_run
from evaluations.actions.watches import change_watch, take_reference
from evaluations.calibrating import judge_settings
from evaluations.drift_reading import paused_nights
from evaluations.models import Budget, Cell, DriftNight, DriftWatch, EvaluationRun, ModelConnection
from evaluations.running.engine import work
from evaluations.watching import sweep
from events.mail import post
from events.models import Event, RestoreFence
from promptforge.lib.errors import DomainError
from prompts.models import FreezeWindow
from tests.evaluations.rows import new_run, revise
from tests.evaluations.running import HELLO, Bench, make_bench
from tests.evaluations.stub_provider import Provider
from tests.evaluations.watched import Watched
from tests.guards.attacks import forge_release
from tests.personas import Team

GREETS = {"texts": {"Text": ["Hello Ada!", "Hello, Ada."]}}
RUBRIC = [*HELLO, {"type": "llm-rubric", "value": "The answer greets", "name": "greets"}]
PASSED = "It greets.\nGRADE: PASS"


@pytest.fixture
def watched(team: Team, provider: Provider) -> Watched:
    provider.behave(**GREETS)
    return Watched(make_bench(team, provider, cases=4))


def test_a_model_that_changes_silently_is_alarmed_in_two_runs_and_in_words(
    watched: Watched, provider: Provider, settings: LazySettings
) -> None:
    settings.SENDS_MAIL = True
    reference = watched.watch.reference
    assert reference is not None
    assert (reference.purpose, reference.status, Cell.objects.filter(run=reference).count()) == (
        "reference",
        "done",
        40,
    )
    assert watched.night().run.calls == 12
    assert watched.levels() == []

    provider.behave(text="Bonjour Ada!")
    watched.night()
    assert watched.levels() == ["suspect"]
    assert watched.watch.next_at == watched.now + timedelta(hours=1)
    night = watched.night()
    assert (night.confirms, night.run.calls) == (True, 24)
    assert watched.levels() == ["suspect", "drift"]
    assert "Nothing changed here; the model did." in watched.said
    assert "The score is 100 points lower" in watched.said

    [event] = Event.objects.filter(kind="drift.found")
    assert json.loads(event.data)["finding"] == watched.said
    post()
    told = {address for letter in mail.outbox if "Nothing changed here" in letter.body for address in letter.to}
    assert told == {getattr(watched.team, name).user.email for name in ("cleo", "emil", "farah")}
    assert not Cell.objects.filter(run__purpose="drift", cached=True).exists()
    assert watched.watch.state == "drifted"


def test_a_watch_whose_worker_died_before_it_took_a_reference_takes_one(team: Team, provider: Provider) -> None:
    provider.behave(**GREETS)
    bench = make_bench(team, provider, cases=4)
    version = team.version(bench.prompt, 1)
    forge_release(bench.prompt, team.stable, version, team.cleo)
    rule = add_rule(by=team.cleo, channel=team.stable, evaluation_set=bench.owner, connection=bench.connection)
    DriftWatch.objects.create(rule=rule, prompt=bench.prompt, version=version)
    sweep()
    reference = DriftWatch.objects.get().reference
    assert reference is not None
    sweep()
    assert DriftWatch.objects.get().reference == reference


def test_what_was_chance_is_cleared_by_fresh_samples(watched: Watched, provider: Provider) -> None:
    provider.behave(text="Bonjour Ada!")
    watched.night()
    provider.behave(**GREETS)
    watched.night()
    assert watched.levels() == ["suspect", "cleared"]
    assert watched.watch.state == "quiet"
    assert not Event.objects.filter(kind="drift.found").exists()


def test_longer_answers_are_drift_too(watched: Watched, provider: Provider) -> None:
    provider.behave(text="Hello Ada! " + "And so on. " * 20)
    watched.night()
    watched.night()
    assert "% longer than in the reference" in watched.said
    assert watched.levels() == ["suspect", "drift"]


def test_another_model_id_is_noticed_once(watched: Watched, provider: Provider) -> None:
    provider.behave(**GREETS, fault="wrong_model", model="stub-1-2026-11")
    watched.night()
    watched.night()
    assert watched.levels() == ["notice"]
    assert "the provider names another model" in watched.said


def test_what_was_changed_here_is_named_and_no_drift_of_the_model(watched: Watched, provider: Provider) -> None:
    """Other parameters, and worse answers: nothing is compared, and the words say why."""
    ModelConnection.objects.update(parameters='{"temperature":0}')
    provider.behave(text="Bonjour Ada!")
    watched.night()
    watched.night()
    assert watched.levels() == ["notice"]
    assert "parameters were changed" in watched.said
    assert watched.watch.state == "quiet"


def test_a_set_that_was_changed_books_no_grade_on_the_model(watched: Watched) -> None:
    revise(watched.team, watched.bench.owner, criteria=json.dumps([{"type": "contains", "value": "Bonjour"}]))
    watched.night()
    watched.night()
    assert watched.levels() == ["notice"]
    assert "the evaluation set was changed" in watched.said


@pytest.mark.full
def test_a_judge_that_changes_is_no_drift_of_the_model(team: Team, provider: Provider) -> None:
    """It fails what it passed. The stored answers that it grades again show that it is the judge."""
    judge = {"GRADE": PASSED}
    provider.behave(texts=judge | GREETS["texts"])
    bench = make_bench(team, provider, criteria=RUBRIC)
    calibrate(bench)
    watched = Watched(bench)
    assert watched.watch.reference is not None
    assert (watched.watch.reference.outcome, watched.watch.why_not) == ("PASS", "")
    quiet = watched.night()
    assert watched.levels() == []
    canaries = Cell.objects.filter(run=quiet.run, confirms=True)
    assert (canaries.count(), canaries.filter(cached=True, passed=True).count()) == (20, 20)

    provider.behave(texts={"GRADE": "It does not.\nGRADE: FAIL"} | GREETS["texts"])
    night = watched.night()
    assert (night.figures_object or {})["means"]["score"][1] == 0.5
    watched.night()
    assert watched.levels() == ["notice"]
    assert "the judge grades stored answers otherwise than it did. Of 20 stored answers, 20 got another" in watched.said


def calibrate(bench: Bench) -> None:
    """Thirty labels of the judge's, of which one says otherwise: from here on its word counts."""
    settings = judge_settings(bench.connection)
    run = new_run(
        bench.team, bench.owner, bench.prompt, baseline=None, connection=bench.connection, judge=bench.connection,
        judge_settings=settings,
    )  # fmt: skip
    scores = json.dumps([{"criterion": "greets", "value": 1.0, "passed": True, "explanation": "", "weight": 0.0}])
    failed = scores.replace("true", "false")
    for number in range(30):
        cell = Cell.objects.create(
            run=run, case=run.set_revision.cases[number % 3], arm="candidate", repeat=number, position=number
        )
        Cell.objects.filter(pk=cell.pk).update(state="calling", fence=1, tries=1)
        said = {"scores": scores if number else failed, "output": "Hello!", "score": 1.0, "passed": True}
        Cell.objects.filter(pk=cell.pk).update(state="done", **said)
        cell.labels.create(criterion="greets", person=bench.team.ada.user, passed=number > 0)
    cancel_run(by=bench.team.ada, run=run)


@pytest.mark.full
def test_a_rollback_goes_back_to_the_reference_that_was_and_a_promotion_takes_another(watched: Watched) -> None:
    team, prompt = watched.team, watched.bench.prompt
    first = watched.watch.reference
    passed = watched.bench.start(margin=0.1)
    work(100)
    passed.refresh_from_db()
    assert passed.outcome == "PASS"
    forge_release(prompt, team.stable, team.version(prompt, 2), team.cleo)
    watched.sweep()
    second = watched.watch
    assert (second.version.number, second.reference == first, DriftWatch.objects.count()) == (2, False, 1)
    forge_release(prompt, team.stable, team.version(prompt, 1), team.cleo, kind="rollback", reason="Worse.")
    watched.sweep()
    assert (watched.watch.reference, watched.watch.version.number) == (first, 1)
    assert EvaluationRun.objects.filter(purpose="reference").count() == 2


def test_only_a_person_with_a_reason_takes_another_reference(watched: Watched, provider: Provider) -> None:
    provider.behave(text="Bonjour Ada!")
    watched.night()
    watched.night()
    for person, reason, code in (("ada", "It is fine", "forbidden"), ("cleo", "  ", "reason_required")):
        with pytest.raises(DomainError) as refusal:
            take_reference(by=getattr(watched.team, person), watch=watched.watch, reason=reason)
        assert refusal.value.code == code
    first = watched.watch.reference
    take_reference(by=watched.team.cleo, watch=watched.watch, reason="French is what we want")
    watched.sweep()
    assert (watched.watch.state, watched.watch.reference == first) == ("quiet", False)
    told = json.loads(Event.objects.filter(kind="reference.taken").latest("pk").data)
    assert told["reason"] == "French is what we want"
    watched.night()
    assert watched.levels() == ["suspect", "drift"]


def test_a_drift_freezes_the_channel_for_who_asked_while_they_may(watched: Watched, provider: Provider) -> None:
    change_watch(by=watched.team.cleo, watch=watched.watch, fields={"freezes_channel": True})
    provider.behave(text="Bonjour Ada!")
    watched.night()
    assert not FreezeWindow.objects.exists()
    watched.night()
    freeze = FreezeWindow.objects.get()
    assert (freeze.channel, freeze.created_by) == (watched.team.stable, watched.team.cleo.user)
    assert "stable is frozen for 7 days" in watched.said
    assert "Nothing changed here; the model did." in freeze.reason


def test_whoever_lost_the_right_freezes_nothing_and_the_finding_says_so(watched: Watched, provider: Provider) -> None:
    change_watch(by=watched.team.cleo, watch=watched.watch, fields={"freezes_channel": True})
    set_roles(project=watched.team.project, user=watched.team.cleo.user, roles=["viewer"], by=None)
    provider.behave(text="Bonjour Ada!")
    watched.night()
    watched.night()
    assert not FreezeWindow.objects.exists()
    assert "stable was not frozen" in watched.said


def test_nothing_runs_behind_a_fence_or_switched_off(watched: Watched) -> None:
    watched.now += timedelta(days=2)
    change_watch(by=watched.team.cleo, watch=watched.watch, fields={"enabled": False})
    watched.sweep()
    change_watch(by=watched.team.cleo, watch=watched.watch, fields={"enabled": True})
    fence = RestoreFence.objects.using("owner").create()
    watched.sweep()
    assert DriftNight.objects.count() == 0
    RestoreFence.objects.using("owner").filter(pk=fence.pk).update(confirmed_at=timezone.now())
    watched.sweep()
    assert DriftNight.objects.count() == 1


def test_a_cancelled_run_is_judged_as_nothing(watched: Watched) -> None:
    watched.now += timedelta(days=2)
    sweep(watched.now)
    cancel_run(by=watched.team.emil, run=EvaluationRun.objects.get(purpose="drift"))
    watched.sweep()
    assert (DriftNight.objects.get().figures_object or {})["changes"] == []
    watched.night()
    assert watched.levels() == []


def pause_by_budget(watched: Watched) -> EvaluationRun:
    """The next night, which the day's calls do not last for."""
    Budget.objects.create(project=watched.team.project, calls_per_day=41)
    run = watched.night().run
    Budget.objects.all().delete()
    assert (run.status, paused_nights([watched.watch])) == ("paused", {watched.watch.pk: run.pause_reason})
    watched.sweep()
    run.refresh_from_db()
    assert run.status == "paused"
    return run


def test_a_night_that_paused_gives_way_to_the_next(watched: Watched) -> None:
    run = pause_by_budget(watched)
    assert watched.night().run.status == "done"
    run.refresh_from_db()
    assert (run.status, paused_nights([watched.watch]), watched.levels()) == ("cancelled", {}, [])


def test_a_night_that_paused_is_resumed_until_then(watched: Watched) -> None:
    run = pause_by_budget(watched)
    resume_run(by=watched.team.ada, run=run)
    watched.sweep()
    run.refresh_from_db()
    assert (run.status, (DriftNight.objects.get().figures_object or {})["means"]["score"]) == ("done", [1.0, 1.0])


def test_a_night_that_paused_goes_with_its_reference(watched: Watched) -> None:
    run = pause_by_budget(watched)
    take_reference(by=watched.team.cleo, watch=watched.watch, reason="The set grew")
    watched.sweep()
    run.refresh_from_db()
    assert run.status == "cancelled"
    assert DriftNight.objects.filter(reference=watched.watch.reference).count() == 1


def test_what_is_switched_off_takes_no_reference_of_what_goes_live(team: Team, provider: Provider) -> None:
    provider.behave(**GREETS)
    bench = make_bench(team, provider, cases=4)
    forge_release(bench.prompt, team.stable, team.version(bench.prompt, 1), team.cleo)
    watched = Watched(bench, live=2)
    change_watch(by=team.cleo, watch=watched.watch, fields={"enabled": False})
    forge_release(bench.prompt, team.stable, team.version(bench.prompt, 1), team.cleo, kind="rollback", reason="Worse.")
    watched.sweep()
    assert EvaluationRun.objects.count() == 1
    change_watch(by=team.cleo, watch=watched.watch, fields={"enabled": True})
    watched.sweep()
    reference = watched.watch.reference
    assert reference is not None
    assert (reference.status, reference.candidate.number, EvaluationRun.objects.count()) == ("done", 1, 2)


def test_whoever_dies_after_a_run_ended_leaves_it_to_the_next(watched: Watched, provider: Provider) -> None:
    """The steps are found in rows: swept twice, judged once; killed before the commit, judged by the next."""
    provider.behave(text="Bonjour Ada!")
    watched.now += timedelta(days=2)
    sweep(watched.now)
    work(100)
    with transaction.atomic():
        sweep(watched.now)
        transaction.set_rollback(True)
    assert watched.levels() == []
    sweep(watched.now)
    sweep(watched.now)
    assert watched.levels() == ["suspect"]
    assert Event.objects.filter(kind="drift.suspected").count() == 1


def test_a_night_that_cannot_be_judged_says_why_and_is_tried_again_in_its_time(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def broken(night: DriftNight) -> None:
        tried.append(night.pk)
        raise KeyError("what it is about stays in the log")

    monkeypatch.setattr("evaluations.watching.night_of", broken)
    night = watched.night()
    watched.sweep()
    assert (tried, night.figures) == ([night.pk], "null")
    assert "could not be worked on: KeyError." in watched.watch.why_not
    monkeypatch.undo()
    watched.now = (watched.watch.next_at or watched.now) + timedelta(seconds=1)
    watched.sweep()
    night.refresh_from_db()
    assert (night.figures != "null", watched.watch.why_not) == (True, "")
    watched.night()


def test_a_reference_that_cannot_be_begun_is_left_to_a_person(
    team: Team, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(watch: DriftWatch) -> None:
        raise KeyError("what it is about stays in the log")

    provider.behave(**GREETS)
    monkeypatch.setattr("evaluations.watching.begin_reference", broken)
    watched = Watched(make_bench(team, provider, cases=4))
    assert "No reference could be begun: KeyError." in watched.watch.why_not
    monkeypatch.undo()
    take_reference(by=team.cleo, watch=watched.watch, reason="It is mended")
    watched.sweep()
    assert (watched.watch.why_not, watched.watch.reference is None) == ("", False)


def test_what_cannot_be_measured_says_why_and_a_person_begins_again(team: Team, provider: Provider) -> None:
    provider.behave(**GREETS)
    bench = make_bench(team, provider, cases=4)
    revise(team, bench.owner, criteria="[]")
    watched = Watched(bench)
    assert "No criterion of case" in watched.watch.why_not
    revise(team, bench.owner, criteria=json.dumps(HELLO))
    watched.sweep()
    assert watched.watch.reference is None
    take_reference(by=team.cleo, watch=watched.watch, reason="The set has criteria now")
    watched.sweep()
    assert (watched.watch.why_not, watched.watch.reference is None) == ("", False)
