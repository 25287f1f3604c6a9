"""The runs of a project, and starting one: what would be compared, and what that would take."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.paginator import Paginator
from django.db.models import F, JSONField, Q, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse

from accounts.pages.door import ProjectPage
from accounts.policies import Principal
from accounts.roles import Permission, Scope
from evaluations.actions.runs import start_run
from evaluations.estimating import estimate_run
from evaluations.models import EvaluationRun, EvaluationSet, ModelConnection
from evaluations.pages.numbers import counted, money, points
from evaluations.pages.run import run_url
from evaluations.pages.run_words import CHIPS, OPEN
from evaluations.run_reading import find_connection_named, find_set_named, parts_of, visible_runs
from evaluations.set_reading import visible_sets
from promptforge.lib.errors import DomainError, wrong
from promptforge.lib.verdicts import require
from prompts.models import Head, Prompt
from prompts.reading import find_prompt

LISTED, NEWEST, MOST_VERSIONS, MOST_NAMED = 30, 8, 30, 500
# What a list needs no more of: both may be long.
_LONG = ("verdict", "settings", "judge_settings", "plan", "candidate__content", "baseline__content")


@dataclass(frozen=True)
class RunRow:
    """A run as lists show it."""

    run: EvaluationRun
    shape: str
    word: str
    says: str

    @property
    def is_open(self) -> bool:
        return self.run.status in OPEN


def listed(principal: Principal) -> QuerySet[EvaluationRun]:
    """The runs within reach, newest first, of their verdicts the sentence alone; drift has pages of its own."""
    comparisons = visible_runs(principal).filter(purpose=EvaluationRun.Purpose.COMPARISON)
    sentence = Cast(F("verdict"), JSONField())
    return comparisons.alias(told=sentence).annotate(sentence=KT("told__sentence")).defer(*_LONG).order_by("-pk")


def newest_runs(principal: Principal, owner: EvaluationSet | None = None) -> list[RunRow]:
    """What the page of sets shows of them, or that of one set: `evaluations/runs_list.html` draws it."""
    found = listed(principal) if owner is None else listed(principal).filter(set_revision__set=owner)
    return [as_row(run) for run in found[:NEWEST]]


def sets_of(principal: Principal, prompt: Prompt) -> QuerySet[EvaluationSet]:
    """The sets that a version of a prompt can be asked: its own first, then those that all prompts share."""
    mine = Q(prompt=prompt) | Q(prompt=None)
    found = visible_sets(principal).filter(mine, archived_at=None)
    return found.order_by(F("prompt").asc(nulls_last=True), "name")


def as_row(run: Any) -> RunRow:
    shape, word = CHIPS[run.outcome or run.status]
    says = run.sentence or run.pause_reason
    if not says and run.status in OPEN:
        says = f"{counted(run.calls, 'call')} so far." if run.calls else ""
    return RunRow(run, shape, word, says)


class RunsPage(ProjectPage):
    place = "evaluations"

    def get(self, request: HttpRequest) -> HttpResponse:
        page = Paginator(listed(self.principal), LISTED).get_page(request.GET.get("page"))
        return self.show("evaluations/runs.html", {"page": page, "rows": [as_row(run) for run in page.object_list]})


class NewRunPage(ProjectPage):
    """What is compared with what, by which set and model; what it would take stands there before it starts."""

    place = "evaluations"

    def get(self, request: HttpRequest) -> HttpResponse:
        given = self.typed or request.GET
        name = str(given.get("prompt", "")).strip()
        if not name:
            return self._which_prompt()
        prompt = find_prompt(self.principal, name)
        require(self.principal.may(Permission.EDIT, prompt))
        sets = list(sets_of(self.principal, prompt))
        connections = list(ModelConnection.objects.standing().filter(project=prompt.project_id).order_by("name"))
        chosen = {
            "prompt": prompt.name,
            "version": given.get("version") or str(prompt.next_number - 1),
            "against": given.get("against", _usual_channel(prompt)),
            "set": given.get("set") or (sets[0].name if sets else ""),
            "connection": given.get("connection") or (connections[0].name if connections else ""),
            "judge": given.get("judge", ""),
            "max_cost_usd": given.get("max_cost_usd", ""),
        }
        estimate, trouble = self._estimate(chosen) if sets and connections else (None, "")
        return self.show(
            "evaluations/run_new.html",
            {
                "prompt": prompt,
                "chosen": chosen,
                "versions": prompt.versions.order_by("-number").values_list("number", "message")[:MOST_VERSIONS],
                "channels": _live(prompt),
                "sets": sets,
                "connections": connections,
                "estimate": estimate,
                "trouble": trouble,
            },
            part="estimate",
        )

    def _which_prompt(self) -> HttpResponse:
        require(self.principal.may_somewhere(Permission.EDIT, Scope.EVALUATIONS_RUN))
        prompts = Prompt.objects.visible_to(self.principal).filter(archived_at=None).order_by("name")
        return self.show(
            "evaluations/run_prompt.html", {"prompts": prompts.values_list("name", flat=True)[:MOST_NAMED]}
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self._asked(request.POST)
        run = start_run(by=self.principal, max_cost_usd=_ceiling(request.POST.get("max_cost_usd", "")), **asked)
        return self.done(run_url(run), "The run is started.", "Its page tells how far it is; you may leave it.")

    def _asked(self, given: Any) -> dict[str, Any]:
        """What a form or an address names, found among what the person may see."""
        reference = f"{given.get('prompt', '')}@{given.get('version', '')}"
        candidate, baseline, channel = parts_of(self.principal, reference, given.get("against") or None)
        judge = given.get("judge", "")
        return {
            "candidate": candidate,
            "baseline": baseline,
            "channel": channel,
            "owner": find_set_named(self.principal, given.get("set", "")),
            "connection": find_connection_named(self.principal, given.get("connection", "")),
            "judge": find_connection_named(self.principal, judge) if judge else None,
        }

    def _estimate(self, chosen: dict[str, str]) -> tuple[dict[str, Any] | None, str]:
        """What it would take, in words; or why it cannot start."""
        try:
            found = estimate_run(by=self.principal, **self._asked(chosen))
        except DomainError as refusal:
            return None, refusal.detail
        least, most = found["least_cost_usd"], found["most_cost_usd"]
        cost = "cannot be told ahead" if least is None else money(least)
        if least is not None and most != least:
            cost = f"{money(least)} at the first look, {money(most)} at most"
        return {
            "cases": found["cases"],
            "looks": ", ".join(str(each) for each in found["looks"]),
            "margin": points(found["margin"]),
            "calls": f"{found['least_calls']:,} at the first look, {found['most_calls']:,} at most",
            "cost": cost,
        }, ""


def _usual_channel(prompt: Prompt) -> str:
    return next((name for name, _ in _live(prompt)), "stable")


def _live(prompt: Prompt) -> list[tuple[str, int]]:
    """The channels in which something of a prompt is live, with what it is."""
    heads = Head.objects.filter(prompt=prompt, version__isnull=False).order_by("channel__position")
    return list(heads.values_list("channel__name", "version__number"))


def _ceiling(text: str) -> Decimal | None:
    if not text.strip():
        return None
    try:
        found = Decimal(text.strip().removeprefix("$"))
    except InvalidOperation:
        found = Decimal(-1)
    if not found.is_finite() or found <= 0 or found >= Decimal(1_000_000):
        raise wrong("max_cost_usd", "A number of dollars above 0, such as 2.50. Empty means no ceiling of its own.")
    return round(found, 6)
