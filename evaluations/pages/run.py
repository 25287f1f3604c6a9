"""One evaluation run: what it says, how sure it is, where it got worse, what it cost, and what happens now."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse

from accounts.pages.door import ProjectPage
from accounts.policies import held
from evaluations import evidence
from evaluations.actions.gate import evaluate_promotion
from evaluations.actions.runs import cancel_run, resume_run
from evaluations.asked_with import not_judged
from evaluations.models import EvaluationRun
from evaluations.pages import run_words
from evaluations.pages.run_cases import KINDS, Tally, page_of, shown_cases, tallies, whole_case
from evaluations.pages.run_words import OPEN
from evaluations.reporting import FILES, report_of
from evaluations.run_reading import find_run, progress_of
from evaluations.run_shapes import whole_shape
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.ids import encode
from prompts.models import Head, Promotion
from prompts.reading import find_promotion

MOST_BEFORE, MOST_PROMOTIONS = 20, 5


def address_of(project: str, run_id: int) -> str:
    return reverse("run", args=(project, encode("run", run_id)))


def run_url(run: EvaluationRun) -> str:
    return address_of(run.project.name, run.pk)


class RunPage(ProjectPage):
    place = "evaluations"

    def get(self, request: HttpRequest, run_id: str) -> HttpResponse:
        run = find_run(self.principal, run_id)
        progress = progress_of([run])[run.pk]
        is_open = run.status in OPEN
        found = tallies(run)
        promotions = promotions_of(run)
        return self.show(
            "evaluations/run.html",
            {
                "run": run,
                "prompt": run.candidate.prompt,
                "may": held(self.principal.user, self.principal.project, run.candidate.prompt),
                "is_open": is_open,
                "chip": run_words.chip(run),
                "told": run_words.told(run),
                "facts": run_words.facts(run, progress, len(found), sum(not any(t.unscored.values()) for t in found)),
                "live": run_words.live(run, progress) if is_open else None,
                "stopped": f"{run.pause_reason} Once that is mended, resume it: it goes on where it stopped.",
                "measured": run_words.measured(run),
                "unscored": run_words.unscored(run),
                "not_judged": not_judged(run),
                "before": run_words.before(before(run)),
                "now": promotions,
                "stable": self._live_in(run),
                "files": [*FILES, "json"],
                **self._cases(request, run, found),
            },
        )

    def post(self, request: HttpRequest, run_id: str) -> HttpResponse:
        run = find_run(self.principal, run_id)
        act = self._acts.get(request.POST.get("act", ""))
        if act is None:
            raise DomainError("bad_value", "The form does not say what to do with the run.")
        return act(self, run)

    @staticmethod
    def _live_in(run: EvaluationRun) -> bool:
        """Whether what the run compared with is still what is live there."""
        if run.channel_id is None or run.baseline_id is None:
            return True
        heads = Head.objects.filter(prompt=run.candidate.prompt_id, channel=run.channel_id)
        return heads.filter(version=run.baseline_id).exists()

    def _cases(self, request: HttpRequest, run: EvaluationRun, found: list[Tally]) -> dict[str, Any]:
        """The cases in sight: those of one kind, or one alone with every answer."""
        counts = {kind: sum(kind in each.kinds for each in found) for kind in KINDS}
        if (key := request.GET.get("case")) is not None:
            one = next((each for each in found if each.key == key), None)
            if one is None:
                raise DomainError("not_found", f"The run has no case {shorten(key)}.")
            return {"only": whole_case(run, one), "counts": [], "kind": ""}
        kind = request.GET.get("cases", "")
        if kind not in KINDS:
            kind = next((each for each in KINDS if counts[each]), "worse")
        page = page_of(found, kind, request.GET.get("page"))
        return {
            "only": None,
            "kind": kind,
            "counts": [(each, KINDS[each], counts[each]) for each in KINDS],
            "page": page,
            "cases": shown_cases(run, list(page.object_list), kind),
        }

    def _cancel(self, run: EvaluationRun) -> HttpResponse:
        cancel_run(by=self.principal, run=run)
        return self.done(run_url(run), "The run is cancelled.", "Answers that were paid for already stay paid.")

    def _resume(self, run: EvaluationRun) -> HttpResponse:
        resume_run(by=self.principal, run=run)
        return self.done(run_url(run), "The run goes on.", "From the answer at which it stopped.")

    def _again(self, run: EvaluationRun) -> HttpResponse:
        promotion = find_promotion(self.principal, self.request.POST.get("promotion", ""))
        started = evaluate_promotion(by=self.principal, promotion=promotion)
        if not started:
            return self.done(
                run_url(run), "Nothing was started.", "What the channel asks for has passed or is running."
            )
        return self.done(
            address_of(run.project.name, started[0].pk), "It is evaluated again.", "You may leave this page."
        )

    _acts: ClassVar[Mapping[str, Callable[["RunPage", EvaluationRun], HttpResponse]]] = {
        "cancel": _cancel,
        "resume": _resume,
        "again": _again,
    }


class RunProgress(ProjectPage):
    """How far a run is: what pages ask while it is under way. When it ended, its own page is drawn anew.

    Another page may hold words that somebody is writing: there a link says that it ended.
    """

    def get(self, request: HttpRequest, run_id: str) -> HttpResponse:
        run = find_run(self.principal, run_id)
        if run.status not in (EvaluationRun.Status.QUEUED, EvaluationRun.Status.RUNNING):
            own = reverse("run", args=(self.principal.project.name, run_id))
            if urlsplit(request.headers.get("HX-Current-URL", own)).path != own:
                return render(request, "evaluations/run_ended.html", {"run": run})
            answer = HttpResponse()
            answer["HX-Refresh"] = "true"
            return answer
        progress = progress_of([run])[run.pk]
        context = {
            "run": run,
            "project": self.principal.project,
            "live": run_words.live(run, progress),
            "facts": run_words.facts(run, progress, 0, 0),
        }
        return render(request, "evaluations/run_live.html", context)


class RunFile(ProjectPage):
    """A run as a file, for other programs."""

    def get(self, request: HttpRequest, run_id: str, form: str) -> HttpResponse:
        run = find_run(self.principal, run_id)
        if form == "json":
            answer: HttpResponse = JsonResponse(whole_shape(run))
            ending = "json"
        else:
            kind, ending, write = FILES[form]
            answer = HttpResponse(write(report_of(run)), content_type=kind)
        answer["Content-Disposition"] = f'attachment; filename="{encode("run", run.pk)}.{ending}"'
        return answer


def before(run: EvaluationRun) -> list[EvaluationRun]:
    """The runs before it on exactly the same: versions, cases, connection and judge."""
    same = EvaluationRun.objects.filter(
        candidate=run.candidate_id,
        baseline=run.baseline_id,
        set_digest=run.set_digest,
        settings=run.settings,
        judge_settings=run.judge_settings,
        purpose=run.purpose,
        pk__lt=run.pk,
    )
    return list(same.only("id", "status", "outcome").order_by("-pk")[:MOST_BEFORE])


def promotions_of(run: EvaluationRun) -> list[run_words.Now]:
    """The promotions of the version that the run judged, open ones first, and what it means for each."""
    found = list(
        Promotion.objects.filter(version=run.candidate_id)
        .select_related("prompt__project", "channel", "version", "policy")
        .order_by("-pk")[:MOST_PROMOTIONS]
    )
    found.sort(key=lambda each: each.state != Promotion.State.OPEN)
    known = evidence.of_promotions([each.pk for each in found if each.state == Promotion.State.OPEN])
    return [
        run_words.counts_for(run, each, known.get(each.pk, ()))
        if each.state == Promotion.State.OPEN
        else run_words.Now(each, f"The promotion of version {each.version.number} to {each.channel} is closed.")
        for each in found
    ]
