"""What sets, model connections and runs are called where an event is told."""

from collections.abc import Collection

from django.urls import reverse

from evaluations.models import DriftWatch, EvaluationRule, EvaluationRun, EvaluationSet, ModelConnection
from events.telling import Named


def sets(ids: Collection[int]) -> dict[int, Named]:
    found = EvaluationSet.objects.filter(pk__in=ids)
    return {each.pk: Named(each.name, {"set": each.name}) for each in found}


def connections(ids: Collection[int]) -> dict[int, Named]:
    found = ModelConnection.objects.filter(pk__in=ids)
    return {each.pk: Named(each.name, {"connection": each.name, "kind_of_connection": each.kind}) for each in found}


def rules(ids: Collection[int]) -> dict[int, Named]:
    found = EvaluationRule.objects.filter(pk__in=ids).select_related("set", "channel")
    return {rule.pk: Named(str(rule), {"set": rule.set.name, "channel": rule.channel.name}) for rule in found}


def runs(ids: Collection[int]) -> dict[int, Named]:
    found = EvaluationRun.objects.filter(pk__in=ids).select_related(
        "candidate__prompt", "baseline__prompt", "set_revision__set"
    )
    return {
        run.pk: Named(str(run), {"prompt": run.candidate.prompt.name, "set": run.set_revision.set.name})
        for run in found
    }


def watches(ids: Collection[int]) -> dict[int, Named]:
    found = DriftWatch.objects.filter(pk__in=ids).select_related("prompt__project", "rule__channel")
    return {
        watch.pk: Named(
            str(watch),
            {"prompt": watch.prompt.name, "channel": watch.rule.channel.name},
            reverse("drift", args=(watch.prompt.project.name,)),
        )
        for watch in found
    }
