"""The whole harness in its smallest size: every scenario gives figures, and no answer is wrong."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import SCENARIOS
from promptforge.env import ROOT
from tests.startup.conftest import clean_environment, home

__all__ = ["home"]

SHOWN = {
    "fetch", "fetch, 304", "fetch of 15 variables", "render of 15 variables", "list of 50 prompts",
    "document of 41 prompts", "save a version", "50 saves at once", "observations, batches of 100",
    "observations, one by one", "promote under 300 reads/s", "rollback under 300 reads/s",
    "the next request after a move", "300 reads/s meanwhile",
}  # fmt: skip


@pytest.mark.full
@pytest.mark.skipif(shutil.which("cc") is None, reason="the load generator takes a C compiler")
@pytest.mark.timeout(400)
def test_every_scenario_gives_figures_and_no_wrong_answer(home: Path) -> None:
    document = home.parent / "page.md"
    document.write_text("before\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nafter\n")
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--var", str(home), "--document", str(document)],
        cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads((home / "figures.json").read_text())
    rows: list[dict[str, Any]] = figures["rows"]
    assert {row["scenario"] for row in rows} >= SHOWN
    assert {row["who"] for row in rows if row["scenario"] == "fetch"} == {
        "promptforge", "bare granian", "plain DRF view"
    }  # fmt: skip
    for row in rows:
        if row.get("note") == "not there yet":
            continue
        assert (row["errors"], row["wrong"], row.get("stale", 0)) == (0, 0, 0), row
        assert row["expected"]["count"] > 0, row
    assert len([row for row in rows if row["scenario"] == "fetch" and row["cpu_us"] > 0]) > 0
    assert {one["who"] for one in figures["memory"]} == {"promptforge", "bare granian", "plain DRF view"}
    page = document.read_text()
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert "old" not in page
    assert "| fetch | promptforge | 4 |" in page
    assert done.stdout.strip() in page


def test_the_readme_names_every_scenario() -> None:
    told = (ROOT / "bench" / "README.md").read_text()
    assert all(f"| `{name}` |" in told for name in SCENARIOS)
