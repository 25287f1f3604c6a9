"""What tests of the engine begin with: a prompt with two versions, a set, and a connection to the stub provider."""

import json
from dataclasses import dataclass
from typing import Any

from evaluations.actions.runs import start_run
from evaluations.models import Cell, ConnectionRate, EvaluationRun, EvaluationSet, ModelConnection
from evaluations.running.engine import work
from promptforge.lib.sealing import seal
from prompts.models import Prompt
from tests.evaluations.rows import new_set, revise
from tests.evaluations.stub_provider import Provider
from tests.personas import Team

HELLO = [{"type": "contains", "value": "Hello"}]
FREE = '{"input":0,"output":0}'


@dataclass
class Bench:
    """Everything that a run needs; `start` starts one of version 2 against version 1."""

    team: Team
    prompt: Prompt
    owner: EvaluationSet
    connection: ModelConnection
    provider: Provider

    def start(self, **fields: Any) -> EvaluationRun:
        asked = {
            "candidate": self.team.version(self.prompt, 2),
            "baseline": self.team.version(self.prompt, 1),
            "channel": self.team.stable,
            "owner": self.owner,
            "connection": self.connection,
        }
        return start_run(by=self.team.ada, **asked | fields)

    def set_key(self, text: str) -> None:
        ModelConnection.objects.filter(pk=self.connection.pk).update(key=seal(text, self.connection.place))


def make_bench(team: Team, provider: Provider, cases: int = 3, criteria: Any = HELLO, **connection: Any) -> Bench:
    prompt = team.prompt(versions=2)
    owner = new_set(team, prompt, cases=cases)
    revise(team, owner, criteria=json.dumps(criteria))
    fields = {"kind": "openai", "base_url": provider.url("openai"), "model": "stub-1", "price": FREE}
    row = ModelConnection.objects.create(project=team.project, name="stub", **fields | connection)
    bench = Bench(team, prompt, owner, row, provider)
    bench.set_key("sk-good")
    return bench


def finished(run: EvaluationRun, seconds: float = 100) -> EvaluationRun:
    """The run after one worker did all that is due."""
    work(seconds)
    run.refresh_from_db()
    return run


def make_due(run: EvaluationRun) -> None:
    """As if time had passed: leases and pauses of the run are over, and its provider may be asked again."""
    ConnectionRate.objects.update(resumes_at=None)
    Cell.objects.filter(run=run).exclude(next_at=None).update(next_at=run.created_at)
    Cell.objects.filter(run=run).exclude(leased_until=None).update(leased_until=run.created_at)


def states(run: EvaluationRun) -> dict[str, int]:
    found: dict[str, int] = {}
    for state in Cell.objects.filter(run=run).values_list("state", flat=True):
        found[state] = found.get(state, 0) + 1
    return found
