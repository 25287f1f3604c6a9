"""A real model that answers differently each time, on this machine: harmless changes pass, broken ones fail, each for
its own reason.

So small a model obeys examples better than orders, so the prompts hold both. Prompts, cases and criteria were fixed
before the first run; every verdict is printed, whichever way it went.
"""

import importlib.util
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from evaluations import local_model
from evaluations.actions.runs import start_run
from evaluations.models import EvaluationRun, ModelConnection
from evaluations.running.engine import Engine
from prompts.actions.versions import create_prompt, save_version
from prompts.models import PromptVersion
from tests.evaluations.rows import add_case, new_set
from tests.personas import Team

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="script/setup --model was not possible"),
    pytest.mark.xdist_group("local model"),
]

ASKED = ("Do you sell tea?", "Is there parking?", "Do you close at noon?")
SHORT = (
    "Yes, we sell black and green tea.",
    "Yes, you can park behind the shop.",
    "No, we are open all day.",
)
FRENCH = (
    "Oui, nous vendons du thé noir et du thé vert.",
    "Oui, vous pouvez vous garer derrière le magasin.",
    "Non, nous sommes ouverts toute la journée.",
)
LONG = (
    (
        "Yes, we sell black and green tea. We also have a large choice of herbal tea, and our staff will gladly help "
        "you to find the one that you like best. All of it is fresh and comes from small farms."
    ),
    (
        "Yes, you can park behind the shop. There is room for twenty cars, and you can stay there for two hours while "
        "you look around. It is free, and you can walk to the door in one minute."
    ),
    (
        "No, we are open all day. We open early in the morning and stay open until the evening, so you can visit us at "
        "any time that you like. At noon we also have warm soup and fresh rolls for lunch."
    ),
)


def written(order: str, answers: tuple[str, ...]) -> list[dict[str, str]]:
    """A chat prompt: the order, three questions with their answers, the customer's question."""
    examples = [
        {"role": role, "content": text}
        for pair in zip(ASKED, answers, strict=True)
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    return [{"role": "system", "content": order}, *examples, {"role": "user", "content": "{{question}}"}]


LIVE = written("You answer customers of a bakery in one short sentence.", SHORT)
CHANGES = {
    "harmless": written("You answer customers of a bakery in a single short sentence.", SHORT),
    "french": written("Tu réponds en français aux clients d'une boulangerie, en une phrase courte.", FRENCH),
    "praise": written(
        "You answer customers of a bakery in one short sentence, and praise their question first.",
        tuple(f"What a great question! {answer}" for answer in SHORT),
    ),
    "long": written("You answer customers of a bakery in three sentences.", LONG),
}
QUESTIONS = (
    "Do you sell bread?", "When do you open?", "Is the cake fresh today?", "Do you have coffee?", "Can I order a pie?",
    "Are there nuts in the cookies?", "Do you deliver to my home?", "How much is a croissant?",
    "Can I pay with a card?", "Do you bake on Sunday?",
)  # fmt: skip
CRITERIA = [
    {"type": "language", "value": "en", "name": "English"},
    {"type": "tone", "value": {"feature": "praise", "max": 0}, "name": "No praise"},
    {"type": "word-count", "value": {"min": 1, "max": 25}, "name": "Short"},
]
BROKEN = {"french": "English", "praise": "No praise", "long": "Short"}
SEEDS = (1, 2, 3, 4, 5)
SECONDS, CORES = 180, 2


@pytest.fixture
def bakery(team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("PROMPTFORGE_VAR", str(tmp_path))
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
        parameters=json.dumps({"max_tokens": 40, "temperature": 0.5}),
        max_concurrency=4,
    )
    yield team, owner, row, versions
    local_model.stop()


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_real_model_is_judged_rightly(bakery: Any, change: str) -> None:
    team, owner, row, versions = bakery
    local_model.serving()  # its start is no part of a run
    rightly, longest = 0, 0.0
    for seed in SEEDS:
        began, cpu = time.monotonic(), processor_seconds()
        run = start_run(
            by=team.ada, candidate=versions[change], baseline=versions["live"], owner=owner, connection=row, seed=seed
        )
        Engine(run.pk).work(SECONDS * 10)
        taken, spent = time.monotonic() - began, processor_seconds() - cpu
        run.refresh_from_db()
        verdict = run.verdict_object or {}
        met = {each["criterion"]: f"{each['candidate']:.0%}" for each in verdict.get("criteria", [])}
        print(
            f"{change} {seed}: {run.outcome} {taken:.0f} s, {spent:.0f} s of processor, {run.calls} calls, "
            f"k {verdict.get('repeats')}, {met}. {verdict.get('sentence')} {run.pause_reason}",
            flush=True,
        )
        rightly += is_rightly_judged(run, change)
        longest = max(longest, spent / CORES)
    assert rightly >= 4
    assert longest <= SECONDS


def is_rightly_judged(run: EvaluationRun, change: str) -> bool:
    """The outcome, and for a broken change its reason: the criterion that it breaks falls, and no other does."""
    verdict = run.verdict_object or {}
    if change == "harmless":
        return run.outcome == "PASS"
    fallen = [each["criterion"] for each in verdict["criteria"] if each["interval"][1] < -0.2]
    moved = {shift["feature"]: shift["delta"] for shift in verdict["tone"]}
    ratio = next(each["delta"] for each in verdict["guardrails"] if each["name"] == "length")
    shows = {
        "french": moved.get("english", 0) < 0,
        "praise": moved.get("praise", 0) > 0,
        "long": ratio >= 3 and moved.get("words", 0) > 0,
    }
    named = f"It breaks “{BROKEN[change]}” most" in verdict["sentence"]
    return run.outcome == "FAIL" and named and fallen == [BROKEN[change]] and shows[change]


def processor_seconds() -> float:
    """The seconds of processor that the model's server and the engine have used: a clock would count others' work."""
    told = local_model._told(local_model._folder())
    assert told is not None
    fields = Path(f"/proc/{told.pid}/stat").read_text().split()
    return time.process_time() + (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
