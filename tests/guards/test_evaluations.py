"""Sets, runs and cells: no evidence is altered, and no run passes that its own cells do not carry."""

from typing import Any

import pytest
from django.db import transaction

from evaluations.models import Case, Cell, EvaluationRun, EvaluationSet, Label, SetRevision
from prompts.models import Prompt
from tests.evaluations.rows import add_case, answer, fill, finish, new_connection, new_run, new_set, revise
from tests.guards.attacks import held, in_another_session, refused, run
from tests.personas import Team, make_team


@pytest.fixture
def prompt(team: Team) -> Prompt:
    return team.prompt(versions=2)


@pytest.fixture
def core(team: Team, prompt: Prompt) -> EvaluationSet:
    return new_set(team, prompt)


# --- Sets ------------------------------------------------------------------------------------------------------------
def test_a_set_is_for_a_prompt_of_its_project(team: Team) -> None:
    rival = make_team("rival", preset="solo").prompt()
    with refused("set_of_project"):
        EvaluationSet.objects.create(project=team.project, prompt=rival, name="core")


def test_a_set_stays_with_its_prompt(team: Team, core: EvaluationSet) -> None:
    other = team.prompt("support/farewell")
    with refused("set_kept"):
        EvaluationSet.objects.filter(pk=core.pk).update(prompt=other)


def test_a_set_points_at_its_newest_revision(team: Team, core: EvaluationSet) -> None:
    revise(team, core, "case 3")
    core.refresh_from_db()
    held(core.revision, 2, "a set follows its newest revision")
    with refused("set_revision_counts"):
        EvaluationSet.objects.filter(pk=core.pk).update(revision=1)


@pytest.mark.parametrize("number", [1, 3])
def test_revisions_are_numbered_without_a_gap(team: Team, core: EvaluationSet, number: int) -> None:
    with refused("set_revision_next"):
        revise(team, core, number=number)


@pytest.mark.parametrize("who", ["ben", "noor", "outsider"])
def test_a_set_is_edited_by_who_may_edit(team: Team, core: EvaluationSet, who: str) -> None:
    person = getattr(team, who)
    with refused("set_revision_right"):
        revise(team, core, author=getattr(person, "user", person))


def test_a_first_revision_too_takes_the_right_and_is_followed(team: Team, prompt: Prompt) -> None:
    bare = EvaluationSet.objects.create(project=team.project, prompt=prompt, name="bare")
    with refused("set_revision_right"):
        SetRevision.objects.create(set=bare, number=1, author=team.noor.user)
    SetRevision.objects.create(set=bare, number=1, author=team.ada.user)
    bare.refresh_from_db()
    held(bare.revision, 1, "a set follows its newest revision")


def test_a_case_enters_with_its_revision_alone(team: Team, core: EvaluationSet) -> None:
    with refused("case_of_new_revision"):
        add_case(core, 1, key="smuggled")


def test_a_case_leaves_with_a_revision_alone(team: Team, core: EvaluationSet) -> None:
    revise(team, core)
    with refused("case_of_new_revision"):
        Case.objects.filter(set=core).update(removed_in=2)


@pytest.mark.parametrize("column", ["expected", "variables", "critical", "criteria", "digest"])
def test_a_case_is_not_changed(team: Team, core: EvaluationSet, column: str) -> None:
    forged: dict[str, Any] = {"critical": True, "digest": b"x" * 32}
    with refused("case_kept"):
        SetRevision.objects.create(set=core, number=2, author=team.ada.user)
        Case.objects.filter(set=core).update(removed_in=2, **{column: forged.get(column, "[0]")})


def test_a_revision_holds_what_stood_when_it_was_made(team: Team, core: EvaluationSet) -> None:
    first = core.revisions.get()
    before = run("SELECT public.promptforge_set_digest(%s)", [first.pk], fetch=True)
    with transaction.atomic():
        second = SetRevision.objects.create(set=core, number=2, author=team.ada.user)
        Case.objects.filter(set=core, key="case 1").update(removed_in=2)
        add_case(core, 2, key="case 1", expected="another")
    held([c.expected for c in first.cases], [None, None], "a revision keeps its cases")
    held([c.expected for c in second.cases], ["another", None], "a revision has the changed case")
    held(run("SELECT public.promptforge_set_digest(%s)", [first.pk], fetch=True), before, "its digest stays")
    assert run("SELECT public.promptforge_set_digest(%s)", [second.pk], fetch=True) != before


# --- Runs ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "field", ["project", "candidate", "baseline", "set_revision", "connection", "judge", "channel"]
)
def test_a_run_compares_within_its_project(team: Team, core: EvaluationSet, prompt: Prompt, field: str) -> None:
    rival = make_team("rival", preset="solo")
    other = rival.prompt(versions=2)
    theirs: dict[str, Any] = {
        "project": rival.project,
        "candidate": rival.version(other, 1),
        "baseline": rival.version(other, 1),
        "set_revision": new_set(rival).revisions.get(),
        "connection": new_connection(rival),
        "judge": new_connection(rival, name="judge"),
        "channel": rival.stable,
    }
    with refused("run_of_project"):
        new_run(team, core, prompt, **{field: theirs[field]})


def test_a_set_of_one_prompt_judges_no_other(team: Team, core: EvaluationSet) -> None:
    other = team.prompt("support/farewell", versions=2)
    with refused("run_of_project"):
        new_run(team, core, other)


@pytest.mark.parametrize("forged", [{"calls": 3}, {"look": 1}, {"status": "running"}])
def test_a_run_starts_empty(team: Team, core: EvaluationSet, prompt: Prompt, forged: dict[str, Any]) -> None:
    with refused("run_starts_empty"):
        new_run(team, core, prompt, **forged)


@pytest.mark.parametrize("column", ["candidate", "baseline", "set_digest", "plan", "settings", "seed"])
def test_a_run_stays_what_it_was(team: Team, core: EvaluationSet, prompt: Prompt, column: str) -> None:
    started = new_run(team, core, prompt)
    forged: dict[str, Any] = {
        "candidate": started.baseline,
        "baseline": None,
        "set_digest": b"x" * 32,
        "plan": "{}",
        "settings": "{}",
        "seed": 8,
    }
    with refused("run_kept"):
        EvaluationRun.objects.filter(pk=started.pk).update(**{column: forged[column]})


@pytest.mark.parametrize("column", ["outcome", "verdict", "status"])
def test_a_verdict_is_given_once(team: Team, core: EvaluationSet, prompt: Prompt, column: str) -> None:
    ended = new_run(team, core, prompt)
    fill(ended, candidate=0.0)
    finish(ended, "FAIL", -1.0)
    forged = {"outcome": {"outcome": "PASS"}, "verdict": {"verdict": '{"delta":0}'}}
    with refused("run_kept"):
        EvaluationRun.objects.filter(pk=ended.pk).update(
            **forged.get(column, {"status": "queued", "outcome": "", "verdict": "null"})
        )


def test_calls_are_counted_and_not_taken_back(team: Team, core: EvaluationSet, prompt: Prompt) -> None:
    started = new_run(team, core, prompt)
    EvaluationRun.objects.filter(pk=started.pk).update(calls=5)
    with refused("run_calls_count"):
        EvaluationRun.objects.filter(pk=started.pk).update(calls=4)
    with refused("run_within_calls"):
        EvaluationRun.objects.filter(pk=started.pk).update(calls=101)


def test_a_run_ends_when_all_cells_have(team: Team, core: EvaluationSet, prompt: Prompt) -> None:
    started = new_run(team, core, prompt)
    fill(started)
    Cell.objects.create(run=started, case=started.set_revision.cases[0], arm="candidate", repeat=1, position=9)
    with refused("run_ends_whole"):
        finish(started, "INCOMPLETE", None)


@pytest.mark.parametrize("lack", ["no cells", "one case", "one side", "too few", "worse", "unscored"])
def test_a_run_passes_by_its_cells(team: Team, core: EvaluationSet, prompt: Prompt, lack: str) -> None:
    plan = (
        '{"looks":[2],"margin":0.1,"unscored_limit":1}'
        if lack == "too few"
        else '{"looks":[1],"margin":0.1,"unscored_limit":1}'
    )
    forged = new_run(team, core, prompt, plan=plan)
    cases, delta = list(forged.set_revision.cases), 0.0
    if lack in ("worse", "too few"):
        delta = -1.0 if lack == "worse" else 0.0
        fill(forged, candidate=0.0 if lack == "worse" else 1.0)
    elif lack == "one case":
        for arm in ("candidate", "baseline"):
            answer(Cell.objects.create(run=forged, case=cases[0], arm=arm, repeat=0, position=0))
    elif lack == "one side":
        for case in cases:
            answer(Cell.objects.create(run=forged, case=case, arm="candidate", repeat=0, position=0))
    elif lack == "unscored":
        fill(forged)
        lost = Cell.objects.create(run=forged, case=cases[0], arm="candidate", repeat=1, position=9)
        Cell.objects.filter(pk=lost.pk).update(state="unscored", error="timeout")
    with refused("run_passes_by_its_cells"):
        finish(forged, delta=delta)


@pytest.mark.parametrize("score", [0.0, 0.69, 0.7])
def test_without_a_baseline_a_run_passes_by_its_score(
    team: Team, core: EvaluationSet, prompt: Prompt, score: float
) -> None:
    """Though every answer passes: the mean score has to lie above the pass rate less the margin."""
    forged = new_run(team, core, prompt, baseline=None)
    for cell in fill(forged, candidate=score):
        held(cell.passed, score >= 0.5, "an answer passes from half its score on")
    with refused("run_passes_by_its_cells"):
        finish(forged, delta=None)


def test_answers_that_confirm_a_suspicion_lift_no_score(team: Team, core: EvaluationSet, prompt: Prompt) -> None:
    forged = new_run(team, core, prompt, baseline=None)
    fill(forged, candidate=0.69)
    for case in forged.set_revision.cases:
        answer(Cell.objects.create(run=forged, case=case, arm="candidate", repeat=1, position=9, confirms=True))
    with refused("run_passes_by_its_cells"):
        finish(forged, delta=None)


@pytest.mark.parametrize("purpose", ["reference", "drift"])
def test_what_a_watch_measures_passes_by_its_rate(
    team: Team, core: EvaluationSet, prompt: Prompt, purpose: str
) -> None:
    forged = new_run(team, core, prompt, baseline=None, purpose=purpose)
    first, second = forged.set_revision.cases
    for case, score in ((first, 1.0), (second, 0.45)):
        answer(Cell.objects.create(run=forged, case=case, arm="candidate", repeat=0, position=0), score)
    with refused("run_passes_by_its_cells"):
        finish(forged, delta=None)


def test_a_verdict_tells_what_its_cells_say(team: Team, core: EvaluationSet, prompt: Prompt) -> None:
    forged = new_run(team, core, prompt)
    fill(forged, candidate=0.95)
    with refused("run_tells_its_cells"):
        finish(forged, delta=0.5)
    finish(forged, delta=-0.05)
    forged.refresh_from_db()
    held(len(forged.digest or b""), 32, "a verdict carries the digest of its cells")


# --- Cells -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("lack", ["ended", "another set", "gone from the revision", "no baseline"])
def test_a_cell_belongs_to_its_run(team: Team, core: EvaluationSet, prompt: Prompt, lack: str) -> None:
    case, baseline = core.revisions.get().cases[0], team.version(prompt, 1)
    if lack == "another set":
        case = new_set(team, prompt, name="other").revisions.get().cases[0]
    elif lack == "gone from the revision":
        with transaction.atomic():
            SetRevision.objects.create(set=core, number=2, author=team.ada.user)
            Case.objects.filter(pk=case.pk).update(removed_in=2)
    forged = new_run(team, core, prompt, baseline=None if lack == "no baseline" else baseline)
    if lack == "ended":
        EvaluationRun.objects.filter(pk=forged.pk).update(status="cancelled")
    with refused("cell_of_run"):
        Cell.objects.create(run=forged, case=case, arm="baseline", repeat=0, position=0)


def test_a_cell_is_one_of_its_kind(team: Team, core: EvaluationSet, prompt: Prompt) -> None:
    cell = fill(new_run(team, core, prompt))[0]
    with refused("cell_once"):
        Cell.objects.create(run=cell.run, case=cell.case, arm=cell.arm, repeat=cell.repeat, position=9)


def test_a_cell_begins_without_an_answer(team: Team, core: EvaluationSet, prompt: Prompt) -> None:
    begun = new_run(team, core, prompt)
    with refused("cell_starts_empty"):
        Cell.objects.create(
            run=begun, case=begun.set_revision.cases[0], arm="candidate", repeat=0, position=0, output="forged"
        )


@pytest.mark.parametrize("column", ["output", "score", "state", "scores"])
def test_what_was_answered_stays(team: Team, core: EvaluationSet, prompt: Prompt, column: str) -> None:
    cell = fill(new_run(team, core, prompt), candidate=0.0)[0]
    forged: dict[str, Any] = {"output": "better", "score": 1.0, "state": "answered", "scores": '[{"passed":true}]'}
    with refused("cell_kept"):
        Cell.objects.filter(pk=cell.pk).update(**{column: forged[column]})


@pytest.mark.parametrize("forged", [{"state": "done", "output": "x", "score": 1, "passed": True}, {"fence": 5}])
def test_a_cell_is_taken_before_it_is_answered(
    team: Team, core: EvaluationSet, prompt: Prompt, forged: dict[str, Any]
) -> None:
    begun = new_run(team, core, prompt)
    cell = Cell.objects.create(run=begun, case=begun.set_revision.cases[0], arm="candidate", repeat=0, position=0)
    with refused("cell_in_order"):
        Cell.objects.filter(pk=cell.pk).update(**forged)


def test_an_answer_of_a_late_taker_is_not_written(team: Team, core: EvaluationSet, prompt: Prompt) -> None:
    """Who lost its lease holds an older fence: its update finds no row."""
    begun = new_run(team, core, prompt)
    cell = Cell.objects.create(run=begun, case=begun.set_revision.cases[0], arm="candidate", repeat=0, position=0)
    for fence in (1, 2):
        in_another_session(lambda fence=fence: Cell.objects.filter(pk=cell.pk).update(state="calling", fence=fence))  # type: ignore[misc]
    late = Cell.objects.filter(pk=cell.pk, fence=1).update(state="done", output="late", score=1, passed=True)
    held(late, 0, "only the newest fence writes")


def label(team: Team, cell: Cell) -> Label:
    return Label.objects.create(cell=cell, criterion="polite", person=team.ada.user, passed=True)
