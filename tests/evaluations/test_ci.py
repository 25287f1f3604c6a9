"""The program for pull requests, as its own process against a real server, while a worker works."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from evaluations.running.engine import work
from prompts.actions.releases import promote
from tests.evaluations.running import make_bench
from tests.evaluations.stub_provider import Provider
from tests.personas import Team
from tests.plugin import ROOT
from tests.serving.fleet import fleet
from tests.startup.conftest import wait_until

PROGRAM = ROOT / "deploy/ci/evaluate.py"


@pytest.mark.parametrize(
    ("text", "says", "code"), [("Hi", "PASS", 0), ("Bonjour", "FAIL", 1)], ids=["harmless", "worse"]
)
def test_a_pull_request_is_answered(
    team: Team, provider: Provider, tmp_path: Path, text: str, says: str, code: int
) -> None:
    provider.behave(texts={"Bonjour": "Bonjour.", "Hi": "Hello Ada!", "Text": "Hello Ada!"})
    bench = make_bench(team, provider)
    promote(by=team.cleo, prompt=bench.prompt, channel=team.stable, version=team.version(bench.prompt, 2))
    key = team.key("versions:write", "evaluations:run", "prompts:read")
    file, verdict = tmp_path / "greeting.txt", tmp_path / "verdict.md"
    file.write_text(f"{text} {{{{customer_name}}}}!")
    asked = [sys.executable, PROGRAM, "support/greeting", file]
    with fleet(1) as [server]:
        wait_until(lambda: server.caller(key).call("GET", "/api/v1/prompts/support/greeting")[0] == 200, 30)
        started = subprocess.Popen(
            [*asked, "--set", bench.owner.name, "--connection", "stub", "--markdown", verdict, "--minutes", "1"],
            env={"FORGE_URL": f"http://127.0.0.1:{server.port}", "FORGE_KEY": key},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

        def ended() -> bool:
            work(5)
            return started.poll() is not None

        wait_until(ended, 60)
    told, complaint = started.communicate()
    assert (started.returncode, complaint) == (code, ""), told
    assert told.startswith(f"support/greeting@3: {says}.")
    assert says in verdict.read_text()


def test_a_refusal_is_told(team: Team, tmp_path: Path) -> None:
    file = tmp_path / "greeting.txt"
    file.write_text("Hi")
    with fleet(1) as [server]:
        done = subprocess.run(
            [sys.executable, PROGRAM, "support/greeting", file, "--set", "core", "--connection", "stub"],
            env={"FORGE_URL": f"http://127.0.0.1:{server.port}", "FORGE_KEY": "pf_live_wrong"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr.partition(":")[0]) == (2, "key_malformed")


def test_the_example_calls_the_program_as_it_is() -> None:
    steps = yaml.safe_load((ROOT / "deploy/ci/github-workflow.yml").read_text())["jobs"]["evaluate"]["steps"]
    [command] = [step["run"] for step in steps if "evaluate.py" in step.get("run", "")]
    options = {word for word in command.split() if word.startswith("--")}
    told = subprocess.run([sys.executable, PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
    assert {option for option in options if option in told} == options >= {"--set", "--connection", "--markdown"}
