"""A real model that answers differently each time, on this machine: harmless changes pass, broken ones fail.

Prompt, cases and criteria were fixed before the first run; every verdict is printed, whichever way it went.
"""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from evaluations import local_model
from evaluations.actions.runs import start_run
from evaluations.models import ModelConnection
from evaluations.running.engine import Engine
from prompts.actions.versions import create_prompt, save_version
from prompts.models import PromptVersion
from tests.evaluations.rows import add_case, new_set
from tests.personas import Team

pytestmark = [pytest.mark.full, pytest.mark.timeout(3600)]

LIVE = "Answer the customer of a bakery in one short sentence.\n\nCustomer: {{question}}"
CHANGES = {
    "harmless": "Answer the customer of a bakery in a single short sentence.\n\nCustomer: {{question}}",
    "french": "Réponds en français, en une phrase courte, au client d'une boulangerie.\n\nClient: {{question}}",
    "praise": (
        "Answer the customer of a bakery in one short sentence. Begin with: What a great question, you are amazing!\n\n"
        "Customer: {{question}}"
    ),
    "long": (
        "Answer the customer of a bakery in a long text of three paragraphs with many details.\n\n"
        "Customer: {{question}}"
    ),
}
QUESTIONS = (
    "Do you sell bread?", "When do you open?", "Is the cake fresh today?", "Do you have coffee?", "Can I order a pie?",
    "Are there nuts in the cookies?", "Do you deliver to my home?", "How much is a croissant?",
    "Can I pay with a card?", "Do you bake on Sunday?",
)  # fmt: skip
CRITERIA = [
    {"type": "language", "value": "en"},
    {"type": "tone", "value": {"feature": "praise", "max": 0}},
    {"type": "word-count", "value": {"min": 1, "max": 120}},
]
SEEDS = (1, 2, 3, 4, 5)
SECONDS = 180


@pytest.fixture
def bakery(team: Team, tmp_path: Path) -> Any:
    prompt, _ = create_prompt(by=team.ada, name="bakery/reply", content=LIVE)
    versions: dict[str, PromptVersion] = {"live": PromptVersion.objects.get(prompt=prompt, number=1)}
    for name, content in CHANGES.items():
        versions[name] = save_version(by=team.ada, prompt=prompt, content=content, message=name).version
    owner = new_set(team, prompt, cases=0)
    with transaction.atomic():
        owner.revisions.create(number=2, author=team.ada.user, criteria=json.dumps(CRITERIA))
        for number, question in enumerate(QUESTIONS):
            add_case(owner, 2, key=question, position=number, variables=json.dumps({"question": question}))
    row = ModelConnection.objects.create(
        project=team.project,
        name="local",
        kind="local",
        model=local_model.MODEL,
        parameters=json.dumps({"max_tokens": 60, "temperature": 0.7}),
        max_concurrency=4,
    )
    yield team, owner, row, versions
    local_model.stop()


@pytest.mark.parametrize(
    ("change", "wanted"), [("harmless", "PASS"), ("french", "FAIL"), ("praise", "FAIL"), ("long", "FAIL")]
)
def test_a_real_model_is_judged_rightly(bakery: Any, change: str, wanted: str) -> None:
    team, owner, row, versions = bakery
    outcomes = []
    for seed in SEEDS:
        began = time.monotonic()
        run = start_run(
            by=team.ada, candidate=versions[change], baseline=versions["live"], owner=owner, connection=row, seed=seed
        )
        Engine(run.pk).work(SECONDS * 4)
        run.refresh_from_db()
        taken = time.monotonic() - began
        outcomes.append((run.outcome, taken))
        verdict = run.verdict_object or {}
        print(
            f"{change} {seed}: {run.outcome} {taken:.0f} s, {run.calls} calls.",
            verdict.get("sentence"),
            run.pause_reason,
        )
    assert sum(outcome == wanted for outcome, _ in outcomes) >= 4, outcomes
    assert max(taken for _, taken in outcomes) <= SECONDS
