"""What a promotion's page shows of evaluations: the answers that got worse, or how far a run is."""

from typing import Any

from django.db.models import QuerySet

from evaluations.asked_with import not_judged
from evaluations.evidence import Evidence
from evaluations.models import EvaluationRun
from evaluations.pages import run_words
from evaluations.pages.run import address_of
from evaluations.pages.run_cases import BETTER, SAME, WORSE, shown_cases, tallies
from evaluations.pages.run_words import OPEN
from evaluations.run_reading import progress_of
from prompts.models import Promotion
from prompts.models.channels import CheckName
from prompts.standing import Standing

CASES = 3
# What says nothing, or no longer: then it is run again.
_WANTING = ("EXPIRED", "INCOMPLETE", "NOT_COMPARABLE", None)
_PARTS = (
    "candidate__prompt", "baseline", "channel", "set_revision__set", "connection", "judge", "created_by", "project",
)  # fmt: skip


def what_the_model_says(now: Standing) -> dict[str, Any]:
    """The part of the page and what it needs; of several sets, the one that holds the promotion back goes first."""
    found: list[Evidence] = list(now.evidence.get(CheckName.EVALUATION) or ())
    shown = min((each for each in found if each.going_id or each.run_id), key=_gravity, default=None)
    context: dict[str, Any] = {"template": "evaluations/on_promotion.html", "run": None, "rules": found}
    context["refused"] = " ".join(each.refused for each in found if each.refused and each.run_id is None)
    if shown is None and context["refused"] and now.is_open:
        context["cancelled"] = _compared(now.promotion).filter(status=EvaluationRun.Status.CANCELLED).last()
    if shown is None and (run := _informing(now.promotion)) is None:
        return context
    if shown is not None:
        run = EvaluationRun.objects.select_related(*_PARTS).get(pk=shown.going_id or shown.run_id or 0)
    assert run is not None
    progress = progress_of([run])[run.pk]
    cells = [] if run.status in OPEN else tallies(run)
    kind = next((kind for kind in (WORSE, BETTER, SAME) if any(kind in each.kinds for each in cells)), "")
    first = [each for each in cells if kind in each.kinds]
    chosen = first[-CASES:][::-1] if kind == BETTER else first[:CASES]
    return context | {
        "run": run,
        "chip": run_words.chip(run),
        "told": run_words.told(run),
        "not_judged": not_judged(run),
        "is_open": run.status in OPEN,
        "live": run_words.live(run, progress) if run.status in OPEN else None,
        "facts": run_words.facts(run, progress, 0, 0),
        "kind": kind,
        "cases": shown_cases(run, chosen, kind) if chosen else [],
        "more": len(first) - len(chosen),
        "again": now.is_open and shown is not None and shown.outcome in _WANTING and run.status not in OPEN,
        "counts": shown is not None,
    }


def run_address(promotion: Promotion, found: list[Evidence] | None) -> str:
    """Where the check's line leads: the run that it speaks of."""
    shown = min((each for each in found or () if each.going_id or each.run_id), key=_gravity, default=None)
    if shown is None:
        return ""
    return address_of(promotion.prompt.project.name, shown.going_id or shown.run_id or 0)


def _gravity(each: Evidence) -> tuple[int, int]:
    order = ("FAIL", "NOT_COMPARABLE", "INCOMPLETE", "EXPIRED", None, "INCONCLUSIVE", "PASS")
    return order.index(each.outcome) if each.outcome in order else 0, each.rule_id


def _informing(promotion: Promotion) -> EvaluationRun | None:
    """Where no rule asks for one: the newest run of this version against what is live, which only informs."""
    found = _compared(promotion).exclude(status=EvaluationRun.Status.CANCELLED)
    return found.select_related(*_PARTS).last()


def _compared(promotion: Promotion) -> QuerySet[EvaluationRun]:
    return EvaluationRun.objects.filter(
        candidate=promotion.version_id,
        baseline=promotion.base_version_id,
        purpose=EvaluationRun.Purpose.COMPARISON,
    ).order_by("pk")
