"""What sets, model connections and runs are called where an event is told."""

from collections.abc import Collection

from evaluations.models import EvaluationRun, EvaluationSet, ModelConnection
from events.telling import Named


def sets(ids: Collection[int]) -> dict[int, Named]:
    found = EvaluationSet.objects.filter(pk__in=ids)
    return {each.pk: Named(each.name, {"set": each.name}) for each in found}


def connections(ids: Collection[int]) -> dict[int, Named]:
    found = ModelConnection.objects.filter(pk__in=ids)
    return {each.pk: Named(each.name, {"connection": each.name, "kind_of_connection": each.kind}) for each in found}


def runs(ids: Collection[int]) -> dict[int, Named]:
    found = EvaluationRun.objects.filter(pk__in=ids).select_related(
        "candidate__prompt", "baseline__prompt", "set_revision__set"
    )
    return {
        run.pk: Named(str(run), {"prompt": run.candidate.prompt.name, "set": run.set_revision.set.name})
        for run in found
    }
