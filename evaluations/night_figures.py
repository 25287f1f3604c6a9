"""What a night's rows say, as the pure ladder sees it; and what a watch remembers, as it is stored with the night."""

import dataclasses
import json
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from evaluations.asked_of import demands_of, entries
from evaluations.asked_with import parameters_by_arm
from evaluations.models import Arm, Cell, DriftNight, EvaluationRun
from evaluations.planning import plan_of
from evaluations.providers import Failure
from evaluations.running.canaries import originals
from evaluations.statistics.drift import Change, Cusum, Reading
from evaluations.statistics.ladder import Canary, Memory, Night, Record, differences

METRICS = ("score", "refusals", "length")
_ANOTHER = "another model than was asked for"


@dataclass(frozen=True, slots=True)
class Measured:
    """One night: what the ladder asks, the judge's canary, and each metric's mean then and now."""

    night: Night
    canary: Canary | None
    means: dict[str, list[float]]


def night_of(night: DriftNight) -> Measured:
    reference, run = night.reference, night.run
    then, now = _cells(reference), _cells(run)
    canary = _canary(run)
    differs = differences(_record(reference, then), _record(run, now), canary)
    readings = _readings(then, now) if _is_whole(run, now) else {}
    means = {
        name: [_mean([each.reference for each in found]), _mean([each.now for each in found])]
        for name, found in readings.items()
    }
    return Measured(Night(readings, differs, night.confirms), canary, means)


def _cells(run: EvaluationRun) -> list[Cell]:
    return list(Cell.objects.filter(run=run, confirms=False).order_by("pk"))


def _is_whole(run: EvaluationRun, cells: list[Cell]) -> bool:
    """Whether enough was scored to compare."""
    missing = sum(cell.state != Cell.State.DONE for cell in cells)
    return run.status == EvaluationRun.Status.DONE and missing <= plan_of(run).unscored_limit * len(cells)


def _record(run: EvaluationRun, cells: list[Cell]) -> Record:
    strange = {_ANOTHER} if any(cell.error == Failure.WRONG_MODEL for cell in cells) else set()
    return Record(
        prompt=str(run.candidate_id),
        parameters=f"{run.settings} {parameters_by_arm(run)[Arm.CANDIDATE]}",
        adapter=str(json.loads(run.plan).get("adapter")),
        set=bytes(run.set_digest).hex(),
        judge=f"{run.judge_id} {run.judge_settings} {sorted(json.loads(run.plan).get('advisory', []))}",
        models=frozenset({cell.model for cell in cells if cell.model} | strange),
        fingerprints=frozenset(cell.fingerprint for cell in cells if cell.fingerprint),
    )


def _readings(then: list[Cell], now: list[Cell]) -> dict[str, list[Reading]]:
    """Case by case, of those cases that are the same row in both."""
    before, after = _by_case(then), _by_case(now)
    common = sorted(before.keys() & after.keys())
    return {
        name: [Reading([each[name] for each in before[case]], [each[name] for each in after[case]]) for case in common]
        for name in METRICS
        if common
    }


def _by_case(cells: list[Cell]) -> dict[int, list[dict[str, float]]]:
    found: dict[int, list[dict[str, float]]] = defaultdict(list)
    for cell in cells:
        if cell.state == Cell.State.DONE:
            measures = json.loads(cell.measures)
            values = (cell.score or 0.0, float(measures["refused"]), math.log(measures["words"] + 1))
            found[cell.case_id].append(dict(zip(METRICS, values, strict=True)))
    return found


def _canary(run: EvaluationRun) -> Canary | None:
    """Each grade of a stored answer, then and now."""
    canaries = list(Cell.objects.filter(run=run, confirms=True, state=Cell.State.DONE))
    if not canaries:
        return None
    before, pairs = originals(run, canaries), []
    cases = {case.pk: case for case in run.set_revision.cases}
    for cell in canaries:
        if cell.pk in before:
            judged = demands_of(run.set_revision, cases[cell.case_id], (), has_baseline=False).judged
            old, new = _grades(before[cell.pk]), _grades(cell)
            pairs += [(old[each.name], new[each.name]) for each in judged if each.name in old and each.name in new]
    return Canary(len(pairs), sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs))


def _grades(cell: Cell) -> dict[str, bool]:
    return {line["criterion"]: line["passed"] for line in entries(cell.scores) if line["passed"] is not None}


def _mean(repeats: list[Any]) -> float:
    return math.fsum(math.fsum(each) / len(each) for each in repeats) / len(repeats)


# --- What is remembered ----------------------------------------------------------------------------------------------
def memory_of(night: DriftNight) -> Memory:
    """What the nights before it left, under the same reference."""
    earlier = DriftNight.objects.filter(watch=night.watch_id, reference=night.reference_id, pk__lt=night.pk)
    last = earlier.exclude(figures="null").order_by("-pk").first()
    figures = None if last is None else last.figures_object
    return Memory() if figures is None else _recalled(figures["memory"])


def remembered(memory: Memory) -> dict[str, Any]:
    return dataclasses.asdict(dataclasses.replace(memory, slow={})) | {
        "slow": {name: [each.up, each.down] for name, each in memory.slow.items()}
    }


def _recalled(stored: dict[str, Any]) -> Memory:
    return Memory(
        state=stored["state"],
        suspicion=tuple(Change(**change) for change in stored["suspicion"]),
        slow={name: Cusum(*each) for name, each in stored["slow"].items()},
        slides=tuple(stored["slides"]),
        noticed=tuple(stored["noticed"]),
        quiet=stored["quiet"],
        usual={name: (total, nights) for name, (total, nights) in stored["usual"].items()},
    )
