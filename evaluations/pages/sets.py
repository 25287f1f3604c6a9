"""Evaluation sets: which there are, what each asks, what came of its newest run; and making one."""

import json
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, F, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.pages.door import ProjectPage
from accounts.roles import Permission, Scope
from evaluations.actions.sets import create_set
from evaluations.models import Case, EvaluationRun, EvaluationSet, SetRevision
from evaluations.pages.run_words import chip
from evaluations.pages.runs import newest_runs
from evaluations.scoring import read_criteria, sentence
from evaluations.set_reading import visible_sets
from promptforge.lib.ids import encode
from promptforge.lib.verdicts import require
from prompts.models import Prompt
from prompts.reading import find_prompt

PER_PAGE, MOST_NAMED, MOST_ASKED = 40, 200, 3


class SetsPage(ProjectPage):
    place = "evaluations"

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = {name: request.GET.get(name, "").strip()[:200] for name in ("q", "prompt", "state")}
        everything = visible_sets(self.principal)
        archived = everything.exclude(archived_at=None)
        sets = archived if asked["state"] == "archived" else everything.filter(archived_at=None)
        if asked["q"]:
            sets = sets.filter(name__icontains=asked["q"])
        if asked["prompt"]:
            sets = sets.filter(prompt__name=asked["prompt"])
        page = Paginator(_counted(sets).order_by("name", "pk"), PER_PAGE).get_page(request.GET.get("page"))
        may_make = self.principal.may_somewhere(Permission.EDIT, Scope.EVALUATIONS_RUN).allowed
        return self.show(
            "evaluations/sets.html",
            {
                "asked": asked,
                "page": page,
                "rows": _rows(list(page.object_list)),
                "archived": archived.count(),
                "is_narrowed": any(asked.values()),
                "may_make": may_make,
                "runs": newest_runs(self.principal),
            },
            part="answer",
        )


class NewSetPage(ProjectPage):
    place = "evaluations"

    def get(self, request: HttpRequest) -> HttpResponse:
        require(self.principal.may_somewhere(Permission.EDIT, Scope.EVALUATIONS_RUN))
        prompts = Prompt.objects.visible_to(self.principal).filter(archived_at=None).order_by("name")
        return self.show(
            "evaluations/set_new.html",
            {"given": self.typed or request.GET, "prompts": prompts.values_list("name", flat=True)[:MOST_NAMED]},
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        sent = request.POST
        require(self.principal.may_somewhere(Permission.EDIT, Scope.EVALUATIONS_RUN))
        name = sent.get("prompt", "").strip()
        made = create_set(
            by=self.principal,
            name=sent.get("name", "").strip(),
            prompt=find_prompt(self.principal, name) if name else None,
            description=sent.get("description", "").strip()[:2_000],
        )
        here = reverse("evaluation_set", args=(self.principal.project.name, encode("set", made.pk)))
        return self.done(here, f"{made} is there.", "Add cases: questions that people really ask.")


def _counted(sets: QuerySet[EvaluationSet]) -> QuerySet[EvaluationSet]:
    """With the number of their cases, what the newest revision asks, and their newest run."""
    standing = Case.objects.filter(set=OuterRef("pk"), removed_in=None).order_by().values("set")
    newest = SetRevision.objects.filter(set=OuterRef("pk"), number=OuterRef("revision"))
    runs = EvaluationRun.objects.filter(
        set_revision__set=OuterRef("pk"), purpose=EvaluationRun.Purpose.COMPARISON
    ).order_by("-pk")
    return sets.annotate(
        count=Coalesce(Subquery(standing.annotate(n=Count("pk")).values("n"), output_field=IntegerField()), 0),
        asks=Subquery(newest.values("criteria")[:1]),
        revised_at=Subquery(newest.values("at")[:1]),
        run=Subquery(runs.values("pk")[:1]),
        prompt_name=F("prompt__name"),
    )


def _rows(sets: list[Any]) -> list[dict[str, Any]]:
    runs = EvaluationRun.objects.select_related("candidate__prompt", "baseline", "set_revision").in_bulk(
        [each.run for each in sets if each.run]
    )
    found = [(each, runs.get(each.run)) for each in sets]
    return [{"set": each, **_asks(each.asks), "run": run, "chip": chip(run) if run else None} for each, run in found]


def _asks(stored: str | None) -> dict[str, Any]:
    criteria = read_criteria(json.loads(stored or "[]"), "/criteria")
    return {"asks": [sentence(each) for each in criteria[:MOST_ASKED]], "further": max(0, len(criteria) - MOST_ASKED)}
