"""`manage.py evaluate`: the verdict as an exit status, with the files that CI takes; no other worker is needed."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from evaluations.models import EvaluationRun
from prompts.actions.releases import promote
from tests.evaluations.running import Bench, make_bench
from tests.evaluations.stub_provider import Provider
from tests.evaluations.test_trials import attempt, drafted, told
from tests.personas import Team


@pytest.fixture
def bench(team: Team, provider: Provider) -> Bench:
    made = make_bench(team, provider, cases=2)
    promote(by=team.cleo, prompt=made.prompt, channel=team.stable, version=team.version(made.prompt, 1))
    return made


def evaluate(bench: Bench, *options: str, **more: Any) -> int:
    reference = f"{bench.prompt.name}@2"
    arguments = ["--against", "stable", "--set", "core", "--as", bench.team.ada.user.email or "", *options]
    with pytest.raises(SystemExit) as left:
        call_command("evaluate", reference, *arguments, **more)
    return int(left.value.code or 0)


@pytest.mark.parametrize(
    ("behaviour", "status", "word"),
    [
        ({"text": "Hello Ada!"}, 0, "PASS"),
        ({"texts": {"Text 2": "Bonjour", "Text 1": "Hello"}}, 1, "FAIL"),
        ({"text": "Hello", "fault": "bad_request", "only": "Text 2"}, 3, "INCONCLUSIVE"),
        ({"text": "Hello", "fault": "wrong_model", "only": "Text 2"}, 4, "NOT_COMPARABLE"),
        ({"text": "Hello", "fault": "bad_key"}, 4, "INCOMPLETE"),
    ],
)
def test_the_exit_status_says_the_outcome(
    bench: Bench, provider: Provider, tmp_path: Path, capsys: Any, behaviour: dict[str, Any], status: int, word: str
) -> None:
    provider.behave(**behaviour)
    junit, markdown = tmp_path / "junit.xml", tmp_path / "comment.md"
    assert evaluate(bench, "--junit", str(junit), "--markdown", str(markdown)) == status
    assert capsys.readouterr().out.startswith(f"{word}: ")
    assert word in markdown.read_text()
    assert ("<failure " in junit.read_text()) == (word == "FAIL")
    assert ("<skipped " in junit.read_text()) == (word == "INCONCLUSIVE")
    assert ("<error " in junit.read_text()) == (status in (3, 4))


def test_what_is_refused_is_no_verdict(bench: Bench, provider: Provider, capsys: Any) -> None:
    assert evaluate(bench, "--connection", "nobody") == 1
    assert "nobody" in capsys.readouterr().err
    assert not EvaluationRun.objects.exists()


def test_while_it_has_the_turn_everybody_is_served(bench: Bench, provider: Provider) -> None:
    """The turn is one for the whole instance: a waiting try and an older run would get it from nobody else."""
    provider.behave(text="Hello Ada!")
    older = bench.start(seed=5)
    attempt(bench, drafted(bench))
    assert evaluate(bench) == 0
    older.refresh_from_db()
    assert older.outcome == "PASS"
    assert {answer.output for answer in told(bench).values()} == {"Hello Ada!"}


def test_json_is_json(bench: Bench, provider: Provider, capsys: Any) -> None:
    provider.behave(text="Hello Ada!")
    assert evaluate(bench, "--json") == 0
    assert json.loads(capsys.readouterr().out)["verdict"]["outcome"] == "PASS"
