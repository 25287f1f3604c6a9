"""Starting and ending runs. What happens in between is the engine's (`running`)."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from accounts.policies import Principal
from accounts.roles import Permission, Scope
from evaluations.asked_of import demands_of
from evaluations.asked_with import frozen_sampling, versions_of
from evaluations.asking import check_cases
from evaluations.calibrating import advisory_criteria, judge_settings, judged_criterion
from evaluations.evidence import of_promotions
from evaluations.models import Case, Cell, EvaluationRun, EvaluationSet, GateRefusal, Label, ModelConnection
from evaluations.planning import (
    arms_of,
    calls_of,
    cases_of,
    insert_repeats,
    most_calls,
    plan_json,
    plan_of_cases,
    set_digest,
    usual_seed,
)
from evaluations.running.caching import ADAPTER_VERSION
from evaluations.running.canaries import CANARIES
from evaluations.statistics import Plan
from events.actions import SYSTEM, record
from events.kinds import EventKind
from promptforge.lib.errors import DomainError, shorten, wrong
from promptforge.lib.json import canonical_json
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import require
from prompts.models import Channel, Promotion, Prompt, PromptVersion

_OPEN = (EvaluationRun.Status.QUEUED, EvaluationRun.Status.RUNNING, EvaluationRun.Status.PAUSED)


def start_run(
    *,
    by: Principal,
    candidate: PromptVersion,
    baseline: PromptVersion | None,
    channel: Channel | None = None,
    owner: EvaluationSet,
    connection: ModelConnection,
    judge: ModelConnection | None = None,
    margin: float | None = None,
    repeats: int | None = None,
    max_cost_usd: Decimal | None = None,
    seed: int | None = None,
) -> EvaluationRun:
    """Queue the comparison of two versions of a prompt over a set's newest revision; nothing is called yet."""
    require(by.may_with_scope(Permission.EDIT, Scope.EVALUATIONS_RUN, candidate.prompt))
    run = EvaluationRun(
        project=by.project,
        candidate=candidate,
        baseline=baseline,
        channel=channel,
        connection=connection,
        created_by=by.user,
        max_cost_usd=max_cost_usd,
    )
    with refusals(), transaction.atomic():
        return queue_run(
            run, owner, judge, plan=lambda cases: plan_of_cases(cases, margin, repeats), seed=seed, actor=by.actor
        )


def queue_run(
    run: EvaluationRun,
    owner: EvaluationSet,
    judge: ModelConnection | None,
    *,
    plan: Callable[[int], Plan],
    seed: int | None,
    actor: tuple[str, int],
) -> EvaluationRun:
    """Freeze all that decides the run's answers, and insert it with the cells of its first look.

    `plan` answers for a number of cases; without `seed` it is the usual one. The caller holds a transaction.
    """
    prompt = run.candidate.prompt
    _check_parts(prompt, owner, run.connection, judge)
    run.set_revision, cases = cases_of(owner)
    check_cases(versions_of(run).values(), cases, run.connection)
    settled = plan(len(cases))
    run.set_digest, run.settings = b"", canonical_json(run.connection.snapshot)
    judged = _settle_plan(run, cases, settled, judge or run.connection)
    again = CANARIES * max(judged) if run.purpose == EvaluationRun.Purpose.DRIFT else 0
    run.max_calls = most_calls(calls_of(settled, len(arms_of(run)), judged)[1] + again)
    run.seed = usual_seed(run.settings, set_digest(run.set_revision.pk)) if seed is None else seed
    run.save(force_insert=True)
    insert_repeats(run, cases, 0, settled.looks[0])
    _tell(EventKind.RUN_STARTED, run, actor, set=owner.name, prompt=prompt.name, version=run.candidate.number)
    run.refresh_from_db(fields=["created_at", "set_digest"])
    return run


def cancel_run(*, by: Principal, run: EvaluationRun) -> EvaluationRun:
    """End a run without a verdict. Calls on their way are still paid, and what they bring is not kept."""
    require(by.may_with_scope(Permission.EDIT, Scope.EVALUATIONS_RUN, run.candidate.prompt))
    with refusals(), transaction.atomic():
        held = _open(run)
        _stop_demanding(held, by)
        held.status = EvaluationRun.Status.CANCELLED
        held.save(update_fields=["status"])
        _tell(EventKind.RUN_CANCELLED, held, by.actor)
    return held


def resume_run(*, by: Principal, run: EvaluationRun) -> EvaluationRun:
    """Go on with a run that paused, from the cell at which it stopped."""
    require(by.may_with_scope(Permission.EDIT, Scope.EVALUATIONS_RUN, run.candidate.prompt))
    with refusals(), transaction.atomic():
        held = _open(run)
        if held.status != EvaluationRun.Status.PAUSED:
            raise DomainError("run_not_paused", f"The run is {held.status}: only a paused run is resumed.")
        if (why := cannot_call(held)) is not None:
            raise DomainError("run_not_resumable", why)
        held.status, held.pause_reason = EvaluationRun.Status.RUNNING, ""
        held.save(update_fields=["status", "pause_reason"])
        _tell(EventKind.RUN_RESUMED, held, by.actor)
    return held


def pause_run(run_id: int, why: str) -> bool:
    """Stop calling until somebody resumes the run: what is wrong would be wrong for every further call."""
    with transaction.atomic():
        run = EvaluationRun.objects.select_for_update().get(pk=run_id)
        if run.status not in (EvaluationRun.Status.QUEUED, EvaluationRun.Status.RUNNING):
            return False
        run.status, run.pause_reason = EvaluationRun.Status.PAUSED, why
        run.save(update_fields=["status", "pause_reason"])
        _tell(EventKind.RUN_PAUSED, run, SYSTEM, why=why)
    return True


def drop_paused(run_id: int) -> None:
    """End a run that paused and that nobody resumed while it was of use."""
    with transaction.atomic():
        run = EvaluationRun.objects.select_for_update().get(pk=run_id)
        if run.status != EvaluationRun.Status.PAUSED:
            return
        run.status = EvaluationRun.Status.CANCELLED
        run.save(update_fields=["status"])
        _tell(EventKind.RUN_CANCELLED, run, SYSTEM)


def finish_run(run: EvaluationRun, outcome: str, verdict: dict[str, Any]) -> None:
    """Write the verdict of a run that the caller holds locked; the database holds it against the cells."""
    run.status, run.outcome, run.verdict = EvaluationRun.Status.DONE, outcome, canonical_json(verdict)
    EvaluationRun.objects.filter(pk=run.pk).update(
        status=run.status, outcome=outcome, verdict=run.verdict, finished_at=Now()
    )
    _tell(EventKind.RUN_FINISHED, run, SYSTEM, outcome=outcome)


def label_answer(*, by: Principal, cell: Cell, criterion: str, passed: bool) -> Label:
    """Say as a person whether an answer passes a judged criterion: what its judge is calibrated with."""
    require(by.may_with_scope(Permission.EDIT, Scope.EVALUATIONS_RUN, cell.run.candidate.prompt))
    if by.key is not None:
        raise DomainError("forbidden", "A key labels nothing: a person does, who has read the answer.")
    if cell.state != Cell.State.DONE or judged_criterion(cell, criterion) is None:
        raise wrong("criterion", f"No judge has answered {shorten(criterion)} for this answer.")
    with refusals():
        label, is_new = Label.objects.get_or_create(
            cell=cell, criterion=criterion, person=by.user, defaults={"passed": passed}
        )
    if not is_new and label.passed != passed:
        raise DomainError("already_labelled", "You labelled this answer before, the other way. A label is not changed.")
    return label


def cannot_call(run: EvaluationRun) -> str | None:
    """Why the run's connections may not be called now, if so; asked before each call."""
    pairs = [(run.connection, run.settings), (run.judge, run.judge_settings)]
    for row, stored in pairs:
        if row is None:
            continue
        snapshot = canonical_json(row.snapshot)
        wanted = stored if row is run.connection else judge_settings(row)
        if row.removed_at is not None:
            return f"The connection {row} was removed. Start another run with a connection that stands."
        if (snapshot if row is run.connection else wanted) != stored:
            return (
                f"The connection {row} was changed since the run began, and two settings are not compared. "
                "Set it back, or start another run."
            )
    return None


def _check_parts(
    prompt: Prompt, owner: EvaluationSet, connection: ModelConnection, judge: ModelConnection | None
) -> None:
    if prompt.archived_at is not None:
        raise DomainError("archived", f"{prompt} is archived.")
    if owner.prompt_id not in (None, prompt.pk):
        raise wrong("set", f"The set {owner} belongs to another prompt.")
    if owner.archived_at is not None:
        raise wrong("set", f"The set {owner} is archived.")
    for name, row in (("connection", connection), ("judge", judge)):
        if row is not None and row.removed_at is not None:
            raise wrong(name, f"The connection {row} was removed.")


def _settle_plan(run: EvaluationRun, cases: list[Case], plan: Plan, judge: ModelConnection) -> list[int]:
    """Freeze the plan, what of the versions' configs applies, who judges and which of its criteria count.

    Returns how many judged criteria each case has.
    """
    has_baseline = run.baseline is not None
    asked = [demands_of(run.set_revision, case, (), has_baseline=has_baseline) for case in cases]
    judged = [criterion for demands in asked for criterion in demands.judged]
    advisory: list[str] = []
    if judged:
        run.judge, run.judge_settings = judge, judge_settings(judge)
        advisory = advisory_criteria(run.project_id, run.judge_settings, judged)
    frozen = {"sampling": frozen_sampling(run), "adapter": ADAPTER_VERSION}
    run.plan = canonical_json(plan_json(plan, advisory) | frozen)
    for case in cases:
        if not demands_of(run.set_revision, case, advisory, has_baseline=has_baseline).counts:
            why = " What a judge says does not count before it agreed with people in 30 labels." if advisory else ""
            raise DomainError(
                "nothing_counts", f"No criterion of case {shorten(case.key)} counts, so nothing could fail.{why}"
            )
    return [len(demands.judged) for demands in asked]


def _open(run: EvaluationRun) -> EvaluationRun:
    held = (
        EvaluationRun.objects.select_for_update(of=("self",))
        .select_related("connection", "judge", "candidate__prompt", "baseline__prompt", "set_revision__set", "project")
        .get(pk=run.pk)
    )
    if held.status not in _OPEN:
        raise DomainError("run_ended", f"The run is {held.status} already.")
    return held


def _stop_demanding(run: EvaluationRun, by: Principal) -> None:
    """Whoever cancels what promotions wait for does not want it: the gate starts it again when somebody asks."""
    waiting = Promotion.objects.filter(
        state=Promotion.State.OPEN, version=run.candidate_id, base_version=run.baseline_id
    ).values_list("pk", flat=True)
    for promotion, found in of_promotions(waiting).items():
        for each in found:
            if each.going_id == run.pk:
                GateRefusal.objects.update_or_create(
                    promotion_id=promotion,
                    rule_id=each.rule_id,
                    set_revision=run.set_revision.number,
                    defaults={"why": f"{by.user} cancelled the evaluation. It starts again when somebody asks for it."},
                )


def _tell(kind: EventKind, run: EvaluationRun, actor: tuple[str, int], **data: Any) -> None:
    record(kind, project_id=run.project_id, actor=actor, subject=("run", run.pk), **data)
