"""What follows when every cell of a look is settled: more cells, fresh cells of some cases, or the verdict."""

import dataclasses
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from evaluations import tone
from evaluations.actions.runs import finish_run
from evaluations.asked_of import entries
from evaluations.models import Arm, Case, Cell, EvaluationRun
from evaluations.planning import insert_confirming, insert_repeats
from evaluations.providers import Failure
from evaluations.running.criteria_told import criteria_told
from evaluations.running.facts import Facts, read_run
from evaluations.running.taking import OPEN, open_cells

NOT_CALLED = "not_called"
_ENDED = [Cell.State.DONE, Cell.State.UNSCORED]


def advance(facts: Facts) -> bool:
    """Take a run one step further, if it waits for that; the decision is computed with no transaction open."""
    from evaluations.statistics import Confirm, Continue, decide

    run = read_run(facts.run_id)
    if run.status not in (EvaluationRun.Status.QUEUED, EvaluationRun.Status.RUNNING) or open_cells(run.pk):
        return False
    cells = list(Cell.objects.filter(run=run, state__in=_ENDED).order_by("position"))
    why_not = next((cell.error_detail for cell in cells if cell.error == NOT_CALLED), None)
    alone = run.purpose != EvaluationRun.Purpose.COMPARISON or why_not is not None
    found = None if alone else decide(evidence_of(facts, run, cells), facts.plan, run.look)
    with transaction.atomic():
        held = EvaluationRun.objects.select_for_update(no_key=True).get(pk=run.pk)
        if held.status != run.status or held.look != run.look or Cell.objects.filter(run=run).count() != len(cells):
            return True  # somebody else took the step
        if why_not is not None:
            outcome = EvaluationRun.Outcome.INCOMPLETE
            finish_run(run, outcome, {"outcome": outcome.value, "sentence": why_not, "delta": None})
        elif found is None:
            finish_run(run, *measured(held, cells, facts.plan))
        elif isinstance(found, Continue):
            insert_repeats(run, facts.cases.values(), facts.plan.looks[run.look], found.repeats)
            EvaluationRun.objects.filter(pk=run.pk).update(look=run.look + 1)
        elif isinstance(found, Confirm):
            insert_confirming(run, [case for case in facts.cases.values() if case.key in found.cases])
        else:
            criteria, breaks = criteria_told(facts, cells, found.outcome)
            verdict = told(found, held, cells) | {"criteria": criteria}
            verdict["sentence"] = f"{found.sentence} {breaks}".rstrip()
            finish_run(run, found.outcome, verdict)
    return True


def give_up(run_id: int, sentence: str) -> bool:
    """Ask nothing more of a run whose calls are used up: what nobody holds stays missing. Returns whether that is any.

    With the last call on its way the run ends as INCOMPLETE (`advance`).
    """
    with transaction.atomic():
        run = EvaluationRun.objects.select_for_update(no_key=True).get(pk=run_id)
        if run.status not in (EvaluationRun.Status.QUEUED, EvaluationRun.Status.RUNNING):
            return False
        # Also what somebody held who died: it would wait for another call for ever.
        free = Q(leased_until=None) | Q(leased_until__lte=Now())
        cells = Cell.objects.filter(free, run=run_id, state__in=OPEN)
        idle = list(cells.select_for_update(skip_locked=True).values_list("pk", flat=True))
        Cell.objects.filter(pk__in=idle).update(
            state=Cell.State.UNSCORED, error=NOT_CALLED, error_detail=sentence, leased_until=None, next_at=None
        )
    return bool(idle)


def measured(run: EvaluationRun, cells: list[Cell], plan: Any) -> tuple[str, dict[str, Any]]:
    """What a reference, or a night held against one, comes to by itself; the drift watch compares them."""
    counting = [cell for cell in cells if not cell.confirms]
    done = [cell for cell in counting if cell.state == Cell.State.DONE]
    by_case: dict[int, list[bool]] = defaultdict(list)
    for cell in done:
        by_case[cell.case_id].append(bool(cell.passed))
    rate = sum(sum(passed) / len(passed) for passed in by_case.values()) / len(by_case) if by_case else 0.0
    missing = len(counting) - len(done)
    if not done or missing > plan.unscored_limit * len(counting):
        outcome, sentence = "INCOMPLETE", f"{missing} of {len(counting)} answers could not be scored."
    else:
        outcome = "PASS" if rate >= plan.pass_rate else "FAIL"
        sentence = f"{rate:.0%} of {len(done)} answers pass."
    return outcome, {
        "outcome": outcome,
        "sentence": sentence,
        "delta": None,
        "rate": rate,
        "cases": len(by_case),
        "repeats": plan.looks[-1],
        "calls": run.calls,
        "cost_usd": None if run.unpriced_calls else float(run.cost_usd),
        "models": models_of(counting),
        "fingerprints": sorted({cell.fingerprint for cell in counting if cell.fingerprint}),
    }


# --- What was measured -----------------------------------------------------------------------------------------------
def evidence_of(facts: Facts, run: EvaluationRun, cells: Iterable[Cell]) -> Any:
    """The run's cells as the statistics see them."""
    from evaluations.statistics import CaseEvidence, Evidence

    samples: dict[tuple[int, str, bool], list[Any]] = defaultdict(list)
    called: Counter[str] = Counter()
    unscored: Counter[str] = Counter()
    confirmed = set()
    for cell in cells:
        called[cell.arm] += 1
        confirmed |= {cell.case_id} if cell.confirms else set()
        if cell.state == Cell.State.DONE:
            samples[cell.case_id, cell.arm, cell.confirms].append(_sample(cell))
        else:
            unscored[cell.arm] += 1

    def of(case: Case, arm: Arm, *, confirms: bool) -> tuple[Any, ...]:
        return tuple(samples[case.pk, arm.value, confirms])

    return Evidence(
        cases=tuple(
            CaseEvidence(
                case=case.key,
                group=case.group,
                critical=case.critical,
                candidate=of(case, Arm.CANDIDATE, confirms=False),
                baseline=of(case, Arm.BASELINE, confirms=False),
                confirm_candidate=of(case, Arm.CANDIDATE, confirms=True),
                confirm_baseline=of(case, Arm.BASELINE, confirms=True),
            )
            for case in facts.cases.values()
        ),
        unscored=dict(unscored),  # type: ignore[arg-type]  # the arms' names are its keys
        called=dict(called),  # type: ignore[arg-type]
        has_baseline=run.baseline is not None,
        confirmed=tuple(case.key for case in facts.cases.values() if case.pk in confirmed),
        differs=differs(cells),
    )


def _sample(cell: Cell) -> Any:
    from evaluations.statistics import Sample

    measures = json.loads(cell.measures)
    return Sample(
        score=cell.score or 0.0,
        passed=bool(cell.passed),
        words=measures["words"],
        refused=measures["refused"],
        invariants=measures["invariants"],
        features=measures["features"],
    )


def differs(cells: Iterable[Cell]) -> tuple[str, ...]:
    """What was not the same for both arms. Another model than the one that was asked for is none that was agreed on."""
    models = models_of(cells)
    ours, theirs = set(models.get("candidate", ())), set(models.get("baseline", ()))
    if any(cell.error == Failure.WRONG_MODEL for cell in cells) or (ours and theirs and not ours & theirs):
        return ("the model",)
    return ()


def models_of(cells: Iterable[Cell]) -> dict[str, dict[str, int]]:
    """Which models answered, as the provider names them, by arm."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for cell in cells:
        if cell.model:
            found[cell.arm][cell.model] += 1
    return {arm: dict(sorted(counted.items())) for arm, counted in found.items()}


# --- The verdict as it is kept ---------------------------------------------------------------------------------------
def told(verdict: Any, run: EvaluationRun, cells: list[Cell]) -> dict[str, Any]:
    """Everything that the verdict says, with what it cost and who answered."""
    body = dataclasses.asdict(verdict)
    outputs = {
        arm: [cell.output or "" for cell in cells if cell.arm == arm and cell.state == Cell.State.DONE]
        for arm in ("baseline", "candidate")
    }
    for shift in body["tone"]:
        shift["examples"] = tone.moved_examples(
            shift["feature"], outputs["baseline"], outputs["candidate"], rose=shift["delta"] > 0
        )
    flips = judge_flips(cells)
    return body | {
        "calls": run.calls,
        "cost_usd": None if run.unpriced_calls else float(run.cost_usd),
        "unscored": dict(sorted(Counter(cell.arm for cell in cells if cell.state == Cell.State.UNSCORED).items())),
        "errors": dict(sorted(Counter(cell.error for cell in cells if cell.error).items())),
        "cached": sum(cell.cached for cell in cells),
        "models": models_of(cells),
        "fingerprints": sorted({cell.fingerprint for cell in cells if cell.fingerprint}),
        "judge_flips": flips,
    }


def judge_flips(cells: Iterable[Cell]) -> dict[str, Any] | None:
    """How often the judge contradicted itself on the same answer; None when none was judged twice."""
    from evaluations.statistics.calibration import flip_rate

    twice = [
        (line["passed"], line["again"])
        for cell in cells
        for line in entries(cell.scores)
        if line.get("again") is not None and line["passed"] is not None
    ]
    return None if not twice else dataclasses.asdict(flip_rate(twice))
