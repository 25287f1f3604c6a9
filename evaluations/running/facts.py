"""What never changes about a run, read once by whoever works on it: its cases, what they ask, what is asked of them."""

from functools import cached_property

from django.db.models import QuerySet

from evaluations.asked_of import Demands, demands_of
from evaluations.asked_with import parameters_by_arm
from evaluations.asking import Asker
from evaluations.models import Arm, Case, EvaluationRun
from evaluations.planning import advisory_of, plan_of
from evaluations.providers import Message


class Facts:
    def __init__(self, run: EvaluationRun) -> None:
        self.run_id, self.project_id = run.pk, run.project_id
        self.plan = plan_of(run)
        self.cases: dict[int, Case] = {case.pk: case for case in run.set_revision.cases}
        advisory, has_baseline = advisory_of(run), run.baseline is not None
        self.demands: dict[int, Demands] = {
            pk: demands_of(run.set_revision, case, advisory, has_baseline=has_baseline)
            for pk, case in self.cases.items()
        }
        self._askers = {Arm.CANDIDATE.value: Asker(run.candidate)}
        if run.baseline is not None:
            self._askers[Arm.BASELINE.value] = Asker(run.baseline)
        self.parameters = parameters_by_arm(run)
        self._messages: dict[tuple[int, str], list[Message]] = {}

    @cached_property
    def compares_length(self) -> bool:
        return any(demands.needs_baseline for demands in self.demands.values())

    def messages(self, case_id: int, arm: str) -> list[Message]:
        where = case_id, str(arm)
        if where not in self._messages:
            self._messages[where] = self._askers[where[1]].messages(self.cases[case_id])
        return self._messages[where]


def read_run(run_id: int) -> EvaluationRun:
    return whole_runs().get(pk=run_id)


def whole_runs() -> QuerySet[EvaluationRun]:
    """Runs with all that working on one looks at."""
    return EvaluationRun.objects.select_related(
        "connection", "judge", "candidate__prompt", "baseline__prompt", "set_revision__set", "project", "channel"
    )
