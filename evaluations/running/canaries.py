"""The judge's canary: stored answers that a drift run has graded again, so that another judge is no other model."""

import random

from evaluations.models import Arm, Cell, EvaluationRun
from evaluations.planning import plan_of
from evaluations.providers import Completion

CANARIES = 20


def insert_canaries(run: EvaluationRun, reference: EvaluationRun) -> int:
    """Cells for answers of the reference, strewn among the run's own. Their repeats follow the run's."""
    if run.judge_id is None:
        return 0
    order = random.Random(run.seed)  # noqa: S311 - an order, no secret
    planned = Cell.objects.filter(run=run).count()
    cases = {case.pk for case in run.set_revision.cases}
    stored = list(
        Cell.objects.filter(run=reference, state=Cell.State.DONE, confirms=False, case__in=cases).order_by("pk")
    )
    first = plan_of(run).looks[-1]
    rows = [
        Cell(
            run=run,
            case_id=cell.case_id,
            arm=Arm.CANDIDATE,
            repeat=first + cell.repeat,
            confirms=True,
            position=order.randrange(planned),
        )
        for cell in order.sample(stored, min(CANARIES, len(stored)))
    ]
    return len(Cell.objects.bulk_create(rows))


def stored_answers(run: EvaluationRun, cells: list[Cell]) -> dict[int, Completion]:
    """What the reference answered, by the canary's id."""
    canaries = [cell for cell in cells if cell.confirms]
    if run.purpose != EvaluationRun.Purpose.DRIFT or not canaries:
        return {}
    return {
        pk: Completion(
            text=found.output or "",
            finish_reason=found.finish_reason,
            input_tokens=found.input_tokens,
            output_tokens=found.output_tokens,
            cached_tokens=None,
            model=found.model,
            fingerprint=found.fingerprint,
            request_id="",
            latency_ms=found.latency_ms or 0,
        )
        for pk, found in originals(run, canaries).items()
    }


def originals(run: EvaluationRun, canaries: list[Cell]) -> dict[int, Cell]:
    """The reference's cell of each canary, by the canary's id."""
    first = plan_of(run).looks[-1]
    stored = Cell.objects.filter(
        run=run.drift_night.reference_id, confirms=False, case__in={cell.case_id for cell in canaries}
    )
    known = {(cell.case_id, cell.repeat): cell for cell in stored}
    return {
        cell.pk: found for cell in canaries if (found := known.get((cell.case_id, cell.repeat - first))) is not None
    }
