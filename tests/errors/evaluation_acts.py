"""Acts that evaluations refuse, each in the state in which they do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import connections, transaction
from django.utils import timezone

from evaluations.actions.connections import set_budget
from evaluations.actions.runs import cancel_run, label_answer, pause_run, resume_run, start_run
from evaluations.actions.trials import try_draft
from evaluations.models import EvaluationRule, ModelConnection, SetRevision, TrialAnswer
from promptforge.lib.json import canonical_json
from prompts.actions.drafts import keep_draft, throw_away
from prompts.models import Promotion, Prompt
from prompts.reading import find_version
from tests.errors.scene import GREETING, Act, Scene
from tests.evaluations.rows import add_case, answer, fill, finish, new_connection, new_run, new_set, revise

HELLO = {"type": "contains", "value": "Hello"}
GREETS = {"type": "llm-rubric", "value": "It greets", "name": "greets"}


def starting(scene: Scene, name: str, *, criteria: list[Any] | None = None, cases: int = 1, **case: Any) -> Act:
    """Starts a run of the greeting's newest version over a set of its own."""
    team, prompt = scene.team, Prompt.objects.get(name=GREETING)
    owner = new_set(team, prompt, cases=0, name=name)
    revision = revise(
        team, owner, *(f"one of {name}" for _ in range(cases)), criteria=canonical_json(criteria or [HELLO])
    )
    if case:
        with transaction.atomic():
            number = revision.number + 1
            SetRevision.objects.create(set=owner, number=number, author=team.ada.user, criteria=revision.criteria)
            add_case(owner, number, key="another", **case)
    row = new_connection(team, name=name)
    return partial(
        start_run, by=team.ada, candidate=find_version(prompt, None), baseline=None, owner=owner, connection=row
    )


@contextmanager
def ended_run(scene: Scene) -> Iterator[Act]:
    run = starting(scene, "ended")()
    cancel_run(by=scene.team.ada, run=run)
    yield partial(cancel_run, by=scene.team.ada, run=run)


@contextmanager
def going_run(scene: Scene) -> Iterator[Act]:
    yield partial(resume_run, by=scene.team.ada, run=starting(scene, "going")())


@contextmanager
def stuck_run(scene: Scene) -> Iterator[Act]:
    run = starting(scene, "stuck")()
    pause_run(run.pk, "The key was revoked.")
    ModelConnection.objects.filter(pk=run.connection_id).update(model="another")
    yield partial(resume_run, by=scene.team.ada, run=run)


@contextmanager
def labelled(scene: Scene) -> Iterator[Act]:
    run = starting(scene, "labelled", criteria=[HELLO, GREETS])()
    cell = answer(run.cells.select_related("case", "run").first())
    say = partial(label_answer, by=scene.team.ada, cell=cell, criterion="greets")
    say(passed=True)
    yield partial(say, passed=False)


@contextmanager
def budget_used_up(scene: Scene) -> Iterator[Act]:
    set_budget(by=scene.team.farah, fields={"calls_per_day": 0, "usd_per_day": None})
    made = json.loads(scene.caller().post("model-connections", {"name": "m", "kind": "openai", "model": "m"}).content)
    yield lambda: scene.caller().send("POST", f"model-connections/{made['id']}/test")


@contextmanager
def trial_under_way(scene: Scene) -> Iterator[Act]:
    ada, prompt = scene.team.ada, Prompt.objects.get(name=GREETING)
    columns = {"source": "Hi", "variables": "[]", "config": "", "message": ""}
    draft = keep_draft(by=ada, prompt=prompt, columns=columns, base=find_version(prompt, None), seen=None)
    values = {each["name"]: "Ada" for each in find_version(prompt, None).variable_list}
    row = new_connection(scene.team, name="tried")
    attempt = partial(
        try_draft,
        by=ada,
        draft=draft,
        content="Hi",
        variables=[],
        config={},
        values={"customer_name": "Ada"} | values,
        connection=row,
    )
    attempt()
    TrialAnswer.objects.update(leased_until=timezone.now() + timedelta(minutes=1))
    yield attempt
    throw_away(by=ada, prompt=prompt)


def evaluated_long_ago(scene: Scene, promotion: Promotion) -> None:
    team, prompt = scene.team, promotion.prompt
    core, connection = new_set(team, prompt), new_connection(team)
    EvaluationRule.objects.create(
        channel=promotion.channel, set=core, connection=connection, margin=0.1, created_by=team.cleo.user
    )
    run = new_run(team, core, prompt, candidate=promotion.version, baseline=None, connection=connection)
    fill(run)
    finish(run, delta=None)
    with connections["owner"].cursor() as owner:
        owner.execute("ALTER TABLE evaluations_evaluationrun DISABLE TRIGGER run_update")
        owner.execute("UPDATE evaluations_evaluationrun SET finished_at = finished_at - interval '2 days'")
        owner.execute("ALTER TABLE evaluations_evaluationrun ENABLE ALWAYS TRIGGER run_update")
