"""Finding evaluation sets on behalf of a principal, and how they look in answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from accounts.policies import Principal
from accounts.roles import Permission, Scope
from accounts.shapes import actor_shape
from evaluations.actions.sets import case_fields
from evaluations.models import Case, EvaluationSet, SetRevision
from evaluations.statistics import SetPower, plan_for, set_power
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.ids import decode, encode
from promptforge.lib.instants import format_instant
from promptforge.lib.verdicts import require
from prompts.models import Prompt

MOST_ADVICE = 5


def visible_sets(principal: Principal) -> QuerySet[EvaluationSet]:
    """The sets of the project that belong to a prompt within reach, and those that all prompts share."""
    require(principal.may_somewhere(Permission.READ, Scope.EVALUATIONS_RUN))
    sets = EvaluationSet.objects.filter(project=principal.project).select_related("prompt")
    return sets.filter(Q(prompt=None) | Q(prompt__in=Prompt.objects.visible_to(principal, Scope.EVALUATIONS_RUN)))


def find_set(principal: Principal, set_id: str) -> EvaluationSet:
    found = visible_sets(principal).filter(pk=decode("set", set_id, "not_found")).first()
    if found is None:
        raise DomainError("not_found", f"There is no evaluation set with the id {shorten(set_id)} within reach.")
    return found


def find_revision(owner: EvaluationSet, asked: str | None) -> SetRevision:
    """The revision of a number, or the newest."""
    number = owner.revision
    if asked is not None:
        if not (asked.isascii() and asked.isdecimal() and len(asked) <= 9):
            raise DomainError("bad_value", f"revision is a whole number from 1, not {shorten(asked, 40)}.")
        number = int(asked)
    found = SetRevision.objects.select_related("author").filter(set=owner, number=number).first()
    if found is None:
        raise DomainError("not_found", f"The set {owner} has no revision {number}; its newest is {owner.revision}.")
    return found


def sized(revisions: QuerySet[SetRevision]) -> QuerySet[SetRevision]:
    """Each with its `size`: how many cases stand in it."""
    standing = Case.objects.standing_in(OuterRef("set_id"), OuterRef("number")).order_by()
    counted = standing.values("set_id").annotate(count=Count("pk")).values("count")
    return revisions.annotate(size=Coalesce(Subquery(counted), 0))


def set_shapes(owners: Sequence[EvaluationSet]) -> list[dict[str, Any]]:
    """Sets with what their newest revision holds, in a fixed number of queries."""
    newest = {
        revision.set_id: revision
        for revision in sized(SetRevision.objects.filter(set__in=owners, number=F("set__revision")))
    }
    return [_set_shape(owner, newest[owner.pk]) for owner in owners]


def set_shape(owner: EvaluationSet) -> dict[str, Any]:
    [shape] = set_shapes([owner])
    return shape


def _set_shape(owner: EvaluationSet, newest: Any) -> dict[str, Any]:
    return {
        "id": encode("set", owner.pk),
        "name": owner.name,
        "prompt": owner.prompt.name if owner.prompt else None,
        "description": owner.description,
        "criteria": newest.criteria_list,
        "cases": newest.size,
        "revision": newest.number,
        "archived": owner.archived_at is not None,
        "created_at": format_instant(owner.created_at),
    }


def case_shape(case: Case) -> dict[str, Any]:
    return case_fields(case) | {"revision": case.added_in}


def revision_shape(revision: Any) -> dict[str, Any]:
    """One of those that are `sized`."""
    return {
        "number": revision.number,
        "at": format_instant(revision.at),
        "author": actor_shape(revision.author),
        "message": revision.message,
        "criteria": revision.criteria_list,
        "cases": revision.size,
    }


def counts_of(revision: SetRevision) -> dict[str, int]:
    """Its cases, those that must pass, and how many of them are fresh samples: a group of cases is one."""
    found = revision.cases.order_by().aggregate(
        cases=Count("pk"),
        critical=Count("pk", filter=Q(critical=True)),
        groups=Count("group", filter=~Q(group=""), distinct=True),
        alone=Count("pk", filter=Q(group="")),
    )
    return {"cases": found["cases"], "critical": found["critical"], "groups": found["groups"] + found["alone"]}


def power_of(counts: Mapping[str, int]) -> SetPower:
    """How small a drop the set can see, by the plan that a run of it follows."""
    return set_power(counts["cases"], counts["groups"], plan_for(counts["cases"]))


def advice(owner: EvaluationSet) -> list[str]:
    """What a person should know about the newest revision: how small a drop it sees, and which cases add nothing."""
    counts = counts_of(find_revision(owner, None))
    if not counts["cases"]:
        return ["The set has no cases yet. Ten are a start; thirty see smaller drops."]
    return [power_of(counts).sentence, *duplicates_told(owner)]


def duplicates_told(owner: EvaluationSet) -> list[str]:
    """Cases that ask the same: they count double and add nothing."""
    cases = Case.objects.standing_in(owner.pk, owner.revision)
    same = cases.order_by().values("variables", "messages").annotate(times=Count("pk")).filter(times__gt=1)
    told = []
    for row in same[:MOST_ADVICE]:
        keys = cases.filter(variables=row["variables"], messages=row["messages"]).values_list("key", flat=True)[:4]
        told.append(f"{row['times']} cases ask the same: {', '.join(keys)}. Keep one of them.")
    return told
