"""Finding runs, and what one needs, on behalf of a principal; and how far a run is."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from accounts.policies import Principal
from accounts.roles import Permission, Scope
from evaluations.models import Cell, EvaluationRun, EvaluationSet, ModelConnection
from evaluations.planning import plan_of
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.ids import decode
from promptforge.lib.verdicts import require
from prompts.models import Channel, Prompt, PromptVersion
from prompts.reading import find_channel, find_prompt, resolve
from prompts.selectors import parse_reference, parse_selector

_WITH_ALL = (
    "candidate__prompt",
    "baseline__prompt",
    "channel",
    "set_revision__set",
    "connection",
    "judge",
    "created_by",
    "project",
)


def visible_runs(principal: Principal) -> QuerySet[EvaluationRun]:
    """The runs of prompts within the principal's reach."""
    require(principal.may_somewhere(Permission.READ, Scope.EVALUATIONS_RUN))
    prompts = Prompt.objects.visible_to(principal, Scope.EVALUATIONS_RUN)
    return EvaluationRun.objects.filter(project=principal.project, candidate__prompt__in=prompts).select_related(
        *_WITH_ALL
    )


def find_run(principal: Principal, run_id: str) -> EvaluationRun:
    pk = decode("run", run_id, "not_found")
    run = EvaluationRun.objects.filter(project=principal.project, pk=pk).select_related(*_WITH_ALL).first()
    if (
        run is None
        or not principal.may_with_scope(Permission.READ, Scope.EVALUATIONS_RUN, run.candidate.prompt).allowed
    ):
        raise DomainError("not_found", "There is no such run within reach.")
    return run


def find_result(run: EvaluationRun, result_id: str) -> Cell:
    """One cell of a run by its id."""
    cell = Cell.objects.filter(run=run, pk=decode("cel", result_id, "not_found")).select_related("case").first()
    if cell is None:
        raise DomainError("not_found", "There is no such result in this run.")
    cell.run = run
    return cell


def find_set_named(principal: Principal, name: str) -> EvaluationSet:
    found = EvaluationSet.objects.filter(project=principal.project, name__iexact=name).select_related("prompt").first()
    if found is None or (
        found.prompt is not None
        and not principal.may_with_scope(Permission.READ, Scope.EVALUATIONS_RUN, found.prompt).allowed
    ):
        raise DomainError("not_found", f"There is no evaluation set {shorten(name)} within reach.")
    return found


def parts_of(
    principal: Principal, candidate: str, baseline: str | None
) -> tuple[PromptVersion, PromptVersion | None, Channel | None]:
    """The candidate by its reference, and what it is held against: what is live on a channel, a number, or nothing."""
    name, selector = parse_reference(candidate)
    prompt = find_prompt(principal, name, Permission.EDIT, Scope.EVALUATIONS_RUN)
    version = resolve(principal, prompt, selector).version
    if baseline is None:
        return version, None, None
    against = parse_selector(baseline)
    try:
        found = resolve(principal, prompt, against)
    except DomainError as refusal:
        if refusal.code != "channel_empty":
            raise
        # The first promotion: nothing is live yet, so there is nothing to be held against.
        return version, None, find_channel(principal, against.channel or "")
    return version, found.version, found.channel


def find_connection_named(principal: Principal, name: str) -> ModelConnection:
    standing = ModelConnection.objects.standing().filter(project=principal.project, name__iexact=name).first()
    if standing is None:
        raise DomainError("not_found", f"There is no model connection {shorten(name)} in this project.")
    return standing


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is in the look that it works on. `rate` is cells a second, None while nobody can tell."""

    done: int
    total: int
    unscored: int
    calling: int
    waiting: int
    rate: float | None
    seconds_left: float | None
    looks: int


def progress_of(runs: list[EvaluationRun]) -> dict[int, Progress]:
    """Each run's progress, in one question."""
    state = Cell.State
    counted: dict[int, Any] = {
        row["run"]: row
        for row in Cell.objects.filter(run__in=runs)
        .values("run")
        .annotate(
            total=Count("id"),
            done=Count("id", filter=Q(state=state.DONE)),
            unscored=Count("id", filter=Q(state=state.UNSCORED)),
            calling=Count("id", filter=Q(state__in=[state.CALLING, state.ANSWERED])),
            waiting=Count("id", filter=Q(state=state.PENDING)),
        )
    }
    return {run.pk: _progress(run, counted.get(run.pk, {}), timezone.now()) for run in runs}


def _progress(run: EvaluationRun, row: dict[str, int], now: datetime) -> Progress:
    done, total = row.get("done", 0), row.get("total", 0)
    unscored = row.get("unscored", 0)
    rate = seconds = None
    if run.started_at is not None and run.status == EvaluationRun.Status.RUNNING:
        taken = max((now - run.started_at) / timedelta(seconds=1), 0.001)
        rate = (done + unscored) / taken or None
        seconds = None if rate is None else (total - done - unscored) / rate
    return Progress(
        done, total, unscored, row.get("calling", 0), row.get("waiting", 0), rate, seconds, len(plan_of(run).looks)
    )
