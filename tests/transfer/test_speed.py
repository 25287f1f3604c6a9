"""A large project in a moment: every version with its guards, seals and events."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from prompts.models import PromptVersion, Release
from tests.personas import Team, make_team
from tests.transfer.conftest import assert_adds_up, bytes_below, day, run_export, run_import


def langfuse_export(prompts: int, count: int) -> list[dict[str, Any]]:
    return [
        {
            "name": f"team-{number % 10}/prompt-{number}", "version": version, "type": "text",
            "prompt": f"Version {version} of {number}.\n" + "Answer {{question}} for {{customer_name}}. " * 30,
            "config": {"model": "m", "temperature": version / 100}, "tags": ["large"],
            "commitMessage": f"Change {version}",
            "labels": {count: ["latest", "staging"], count - 1: ["production"]}.get(version, []),
            "createdBy": "API", "createdAt": day(version), "updatedAt": day(version + 0.5),
        }
        for number in range(prompts)
        for version in range(1, count + 1)
    ]  # fmt: skip


LARGE = pytest.param(500, 20, 90, marks=[pytest.mark.full, pytest.mark.timeout(600)])


@pytest.mark.parametrize(("prompts", "count", "seconds"), [(40, 5, 20), LARGE])
def test_a_large_project(team: Team, tmp_path: Path, prompts: int, count: int, seconds: int) -> None:
    given = tmp_path / "export.json"
    given.write_text(json.dumps(langfuse_export(prompts, count)))
    took = {}

    def measured(name: str, path: Path, project: str) -> dict[str, Any]:
        begun = time.perf_counter()
        report = run_import(path, project)
        took[name] = time.perf_counter() - begun
        return report

    report = measured("from Langfuse", given, "shop")
    assert (len(report["taken"]), report["left"], report["notes"]) == (prompts, [], [])
    assert PromptVersion.objects.count() == prompts * count
    assert Release.objects.count() == prompts * 2
    assert len(measured("from Langfuse again", given, "shop")["unchanged"]) == prompts
    begun = time.perf_counter()
    run_export(tmp_path / "a")
    took["to our form"] = time.perf_counter() - begun
    make_team("rival", preset="team")
    assert len(measured("from our form", tmp_path / "a", "rival")["taken"]) == prompts
    run_export(tmp_path / "b", "rival")
    assert bytes_below(tmp_path / "a") == bytes_below(tmp_path / "b")
    begun = time.perf_counter()
    assert_adds_up()
    took["verify of both"] = time.perf_counter() - begun
    for name, duration in took.items():
        print(f"{prompts} prompts × {count} versions {name}: {duration:.1f} s")
    assert max(took["from Langfuse"], took["from our form"]) <= seconds


def test_the_number_of_queries_grows_with_prompts_and_longest_history_only(team: Team, tmp_path: Path) -> None:
    """Two to four a prompt, and two for each wave of versions, however many prompts are in it."""
    (tmp_path / "e.json").write_text(json.dumps(langfuse_export(20, 10)))
    with CaptureQueriesContext(connection) as queries:
        run_import(tmp_path / "e.json")
    assert len(queries) < 20 * 4 + 10 * 4 + 60
