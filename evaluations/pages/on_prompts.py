"""What a prompt's page shows under Tests: its sets, and what the newest run of each said."""

from dataclasses import dataclass
from typing import Any

from accounts.policies import Principal
from evaluations.models import EvaluationSet, ModelConnection
from evaluations.pages.runs import RunRow, as_row, listed, sets_of
from prompts.models import Prompt

SHOWN = 10


@dataclass(frozen=True)
class SetRow:
    """A set that can be asked of the prompt, with the newest run of it on this prompt."""

    set: EvaluationSet
    newest: RunRow | None


def tests(principal: Principal, prompt: Prompt) -> dict[str, Any]:
    """The part of the page and what it needs, in a fixed number of questions."""
    sets = list(sets_of(principal, prompt)[:SHOWN])
    runs = listed(principal).filter(candidate__prompt=prompt, set_revision__set__in=sets)
    newest = runs.order_by("set_revision__set", "-pk").distinct("set_revision__set")
    rows = {run.set_revision.set_id: as_row(run) for run in newest}
    return {
        "template": "evaluations/tests_tab.html",
        "sets": [SetRow(each, rows.get(each.pk)) for each in sets],
        "can_call": ModelConnection.objects.standing().filter(project=prompt.project_id).exists(),
    }
