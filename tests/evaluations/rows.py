"""Rows of sets, connections and runs as honest code writes them: what attacks begin with, and tests of the engine."""

import json
from typing import Any

from django.db import transaction

from accounts.models import User
from evaluations.models import Case, Cell, EvaluationRun, EvaluationSet, ModelConnection, SetRevision
from prompts.models import Prompt
from tests.personas import Team

PLAN = {
    "looks": [1],
    "margin": 0.1,
    "unscored_limit": 0.02,
    "pass_rate": 0.8,
    "confirm_repeats": 8,
    "estimand": "these cases",
}


def new_set(team: Team, prompt: Prompt | None = None, cases: int = 2, **fields: Any) -> EvaluationSet:
    """A set with one revision of that many cases."""
    owner = EvaluationSet.objects.create(**{"project": team.project, "prompt": prompt, "name": "core"} | fields)
    revise(team, owner, *(f"case {number}" for number in range(1, cases + 1)))
    owner.refresh_from_db()
    return owner


def revise(team: Team, owner: EvaluationSet, *keys: str, author: User | None = None, **fields: Any) -> SetRevision:
    """The next revision, with cases of these names added."""
    number = SetRevision.objects.filter(set=owner).count() + 1
    with transaction.atomic():
        row = {"set": owner, "number": number, "author": author or team.ada.user} | fields
        revision = SetRevision.objects.create(**row)
        for position, key in enumerate(keys):
            add_case(owner, number, key=key, position=position)
    return revision


def add_case(owner: EvaluationSet, number: int, **fields: Any) -> Case:
    row = {"set": owner, "added_in": number, "variables": '{"customer_name":"Ada"}', "digest": b""}
    return Case.objects.create(**row | fields)


def new_connection(team: Team, **fields: Any) -> ModelConnection:
    row = {"project": team.project, "name": "local", "kind": "local", "model": "small"}
    return ModelConnection.objects.create(**row | fields)


def new_run(team: Team, owner: EvaluationSet, prompt: Prompt, **fields: Any) -> EvaluationRun:
    """Version 2 of the prompt against version 1, by the set's newest revision."""
    connection = fields.pop("connection", None) or new_connection(team)
    row = {
        "project": team.project,
        "candidate": fields.pop("candidate", None) or team.version(prompt, 2),
        "baseline": fields.pop("baseline") if "baseline" in fields else team.version(prompt, 1),
        "set_revision": owner.revisions.latest("number"),
        "set_digest": b"",
        "connection": connection,
        "settings": json.dumps(connection.snapshot),
        "plan": json.dumps(PLAN),
        "seed": 7,
        "max_calls": 100,
        "created_by": team.ada.user,
    }
    return EvaluationRun.objects.create(**row | fields)


def fill(run: EvaluationRun, candidate: float = 1.0, baseline: float = 1.0, repeats: int = 1) -> list[Cell]:
    """Every cell of a run, answered and scored; each side with one score."""
    made = []
    for case in run.set_revision.cases:
        for arm, score in (("candidate", candidate), ("baseline", baseline)):
            if arm == "baseline" and run.baseline_id is None:
                continue
            for repeat in range(repeats):
                cell = Cell.objects.create(run=run, case=case, arm=arm, repeat=repeat, position=len(made))
                made.append(answer(cell, score))
    return made


def answer(cell: Cell, score: float = 1.0) -> Cell:
    """Take a cell, and score what it was answered."""
    Cell.objects.filter(pk=cell.pk).update(state="calling", fence=1, tries=1)
    Cell.objects.filter(pk=cell.pk).update(state="done", output="Hello Ada!", score=score, passed=score >= 0.5)
    cell.refresh_from_db()
    return cell


def finish(run: EvaluationRun, outcome: str = "PASS", delta: float | None = 0.0) -> None:
    """The verdict, past every action."""
    EvaluationRun.objects.filter(pk=run.pk).update(
        status="done", outcome=outcome, verdict=json.dumps({"delta": delta}), finished_at=run.created_at
    )
