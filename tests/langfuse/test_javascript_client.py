"""Langfuse's JavaScript client from npm, unchanged, against a running server: only the host is another."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.langfuse.world import furnish, serving
from tests.personas import Team
from tests.plugin import ROOT

SOURCE, PLACE = ROOT / "tests/clients/javascript", ROOT / "var/clients/javascript"


@pytest.fixture(scope="module")
def client() -> Path:
    """The client as its lock names it, under var/. Only where CI runs everything must it be had."""
    wanted = os.environ.get("CI") == "true"
    if shutil.which("node") is None or shutil.which("npm") is None:
        (pytest.fail if wanted else pytest.skip)("node 20 or newer, with npm, is needed to run Langfuse's client.")
    shutil.copytree(SOURCE, PLACE, dirs_exist_ok=True)
    words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    installed = subprocess.run(words, cwd=PLACE, capture_output=True, text=True, timeout=180, check=False)
    if installed.returncode != 0:
        (pytest.fail if wanted else pytest.skip)(f"npm cannot install Langfuse's client: {installed.stderr[-500:]}")
    return PLACE


@pytest.mark.full
@pytest.mark.timeout(300)
def test_the_javascript_client(team: Team, client: Path) -> None:
    furnish(team)
    with serving(team) as port:
        told = {"PROMPTFORGE_ADDRESS": f"http://127.0.0.1:{port}"}
        told["PROMPTFORGE_KEY"] = team.key("prompts:read", "releases:write")
        words = ["node", "check.mjs"]
        done = subprocess.run(
            words, cwd=client, env=os.environ | told, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    assert "every answer was as Langfuse's client expects it" in done.stdout
