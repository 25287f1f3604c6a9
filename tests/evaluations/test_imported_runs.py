"""What came in as a file is run: a real promptfoo configuration, and a table of five hundred rows."""

import json

import pytest

from evaluations.models import Cell, EvaluationSet, ModelConnection
from prompts.actions.versions import create_prompt, save_version
from prompts.models import Prompt
from tests.api.conftest import Caller, body_of
from tests.api.test_evaluation_sets import CSV, YAML, make, send_file
from tests.evaluations.running import FREE, Bench, finished
from tests.evaluations.stub_provider import Provider
from tests.evaluations.test_promptfoo import EXAMPLES
from tests.personas import Team

ROWS = 500
CONFIGURATION = (EXAMPLES / "init-compare.yaml").read_bytes()


def bench_of(team: Team, provider: Provider, prompt: Prompt) -> Bench:
    row = ModelConnection.objects.create(
        project=team.project, name="stub", kind="openai", base_url=provider.url("openai"), model="stub-1", price=FREE,
        max_concurrency=40,
    )  # fmt: skip
    bench = Bench(team, prompt, EvaluationSet.objects.get(), row, provider)
    bench.set_key("sk-good")
    return bench


def written(team: Team, first: str, second: str) -> Prompt:
    prompt, _ = create_prompt(by=team.ada, name="imported", content=first)
    save_version(by=team.ada, prompt=prompt, content=second, message="Another way")
    return prompt


def test_a_promptfoo_configuration_is_imported_and_run(team: Team, provider: Provider) -> None:
    """Its two prompts are the two versions; its assertions count, and its judge advises."""
    prompt = written(team, "Write a tweet about {{topic}}", "Write a concise, funny tweet about {{topic}}")
    keeper = Caller(team.key("evaluations:run"))
    short = {"type": "word-count", "value": {"max": 30}}
    told = body_of(send_file(keeper, make(keeper, prompt=prompt.name, criteria=[short]), YAML, CONFIGURATION))
    assert told["cases"] == 3
    texts = {"Does the answer fulfil": "GRADE: PASS", "avocado toast": "Avocado again!", "": "Have you seen it?"}
    provider.behave(texts=texts)
    run = finished(bench_of(team, provider, prompt).start(repeats=5, margin=0.3))
    assert (run.status, run.outcome, Cell.objects.filter(run=run, state="done").count()) == ("done", "PASS", 30)
    by_type = {
        line["criterion"]: line["passed"]
        for cell in Cell.objects.filter(run=run, state="done")
        for line in json.loads(cell.scores)
    }
    assert len(by_type) == 3
    assert set(by_type.values()) == {True}
    asked = [call["messages"][-1]["content"] for call in provider.calls()]
    assert any(text == "Write a concise, funny tweet about new york city" for text in asked)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_five_hundred_rows_are_imported_and_run(team: Team, provider: Provider) -> None:
    """The second version answers one question in ten otherwise: a drop of ten points, which 500 cases see."""
    prompt = written(team, "Say it: {{question}}", "Say it soon: {{question}}")
    keeper = Caller(team.key("evaluations:run"))
    table = "question,expected\n" + "".join(f'"What is {n}, please?",Answer {n % 10}\n' for n in range(ROWS))
    owner = make(keeper, prompt=prompt.name, criteria=[{"type": "equals"}])
    assert body_of(send_file(keeper, owner, CSV, table))["cases"] == ROWS
    right = {f"{digit}, please": f"Answer {digit}" for digit in range(10)}
    provider.behave(texts={"Say it soon && 3, please": "No idea", **right})
    run = finished(bench_of(team, provider, prompt).start(repeats=1), seconds=600)
    print(run.outcome, run.calls, (run.verdict_object or {}).get("sentence"))
    assert (run.status, run.outcome) == ("done", "FAIL")
    assert Cell.objects.filter(run=run, state="done", confirms=False).count() >= 2 * ROWS
    assert not Cell.objects.filter(run=run, state="unscored").exists()
