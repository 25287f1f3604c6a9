"""Finding drift watches on behalf of a principal, with what they found; and the points that are drawn of a watch."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import F, OuterRef, QuerySet, Subquery, Window
from django.db.models.functions import RowNumber

from accounts.policies import Principal
from accounts.roles import Permission, Scope
from evaluations.models import DriftFinding, DriftNight, DriftWatch, EvaluationRun
from promptforge.lib.errors import DomainError
from promptforge.lib.ids import decode, encode
from promptforge.lib.instants import format_instant
from promptforge.lib.verdicts import require
from prompts.models import Prompt

MOST_FINDINGS = 20


def visible_watches(principal: Principal) -> QuerySet[DriftWatch]:
    """The watches whose rule stands, of prompts within the principal's reach."""
    require(principal.may_somewhere(Permission.READ, Scope.EVALUATIONS_RUN))
    prompts = Prompt.objects.visible_to(principal, Scope.EVALUATIONS_RUN)
    return _standing(principal).filter(prompt__in=prompts)


def find_watch(watches: QuerySet[DriftWatch], watch_id: str) -> DriftWatch:
    found = watches.filter(pk=decode("drw", watch_id, "not_found")).first()
    if found is None:
        raise DomainError("not_found", "There is no such drift watch within reach.")
    return found


def watch_to_set(principal: Principal, watch_id: str) -> DriftWatch:
    """One that the principal, who may change channels, may set."""
    require(principal.may(Permission.CONFIGURE))
    return find_watch(_standing(principal), watch_id)


def _standing(principal: Principal) -> QuerySet[DriftWatch]:
    return DriftWatch.objects.filter(rule__removed_at=None, prompt__project=principal.project).select_related(
        "prompt", "version", "rule__channel", "rule__set", "rule__connection", "reference", "freezes_for"
    )


def newest_findings(watches: Collection[DriftWatch]) -> dict[int, DriftFinding]:
    newest = DriftFinding.objects.filter(watch=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    pks = DriftWatch.objects.filter(pk__in=[watch.pk for watch in watches]).values_list(Subquery(newest), flat=True)
    found = DriftFinding.objects.filter(pk__in=[pk for pk in pks if pk]).select_related("night__run")
    return {finding.watch_id: finding for finding in found}


def nights_of(watches: Collection[DriftWatch], most: int) -> dict[int, list[DriftNight]]:
    """The newest nights of each watch that were judged, the oldest first, in one question."""
    numbered = (
        DriftNight.objects.filter(watch__in=watches)
        .exclude(figures="null")
        .annotate(age=Window(RowNumber(), partition_by=F("watch"), order_by=F("pk").desc()))
        .filter(age__lte=most)
        .select_related("run")
    )
    found: dict[int, list[DriftNight]] = defaultdict(list)
    for night in sorted(numbered, key=lambda night: night.pk):
        found[night.watch_id].append(night)
    return found


def paused_nights(watches: Collection[DriftWatch]) -> dict[int, str]:
    """Why the night under way of each watch waits, where it does."""
    found = DriftNight.objects.filter(watch__in=watches, figures="null", run__status=EvaluationRun.Status.PAUSED)
    return dict(found.values_list("watch", "run__pause_reason"))


def watch_shapes(watches: Sequence[DriftWatch]) -> list[dict[str, Any]]:
    newest = newest_findings(watches)
    return [_shape(watch, newest.get(watch.pk)) for watch in watches]


def watch_shape(watch: DriftWatch) -> dict[str, Any]:
    [shape] = watch_shapes([watch])
    findings = watch.findings.select_related("night__run").order_by("-pk")[:MOST_FINDINGS]
    return shape | {"findings": [_finding(each) for each in findings]}


def _shape(watch: DriftWatch, newest: DriftFinding | None) -> dict[str, Any]:
    reference = watch.reference
    return {
        "id": encode("drw", watch.pk),
        "prompt": watch.prompt.name,
        "channel": watch.rule.channel.name,
        "version": watch.version.number,
        "set": watch.rule.set.name,
        "connection": watch.rule.connection.name,
        "state": watch.state,
        "enabled": watch.enabled,
        "freezes_channel": watch.freezes_for_id is not None,
        "every_hours": watch.every_hours,
        "next_at": None if watch.next_at is None else format_instant(watch.next_at),
        "why_not": watch.why_not,
        "reference": None
        if reference is None
        else {
            "run": encode("run", reference.pk),
            "status": reference.status,
            "taken_at": format_instant(reference.created_at),
        },
        "newest": None if newest is None else _finding(newest),
    }


def _finding(finding: DriftFinding) -> dict[str, Any]:
    return {
        "level": finding.level,
        "sentence": finding.sentence,
        "differs": finding.differs,
        "run": encode("run", finding.night.run_id),
        "at": format_instant(finding.at),
    }
