"""What the tests of history share."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import override_settings

from prompts.models import Prompt
from prompts.verification import verify
from tests.api.conftest import api, reader, release
from tests.personas import Team

__all__ = ["api", "reader"]


@pytest.fixture
def checkpoint_file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "checkpoints.jsonl"
    with override_settings(CHECKPOINT_FILE=path):
        yield path


@pytest.fixture
def history(team: Team) -> Prompt:
    """Three versions of `support/greeting`, released one after the other; and another prompt beside it, live."""
    prompt = team.prompt(versions=3)
    for number in (1, 2, 3):
        release(team, prompt, number)
    release(team, team.prompt("billing/reminder"), 1)
    return prompt


def broken(team: Team) -> dict[str, str]:
    """What `verify` says, as the command tells it and by its exit status."""
    out = StringIO()
    status = 0
    try:
        call_command("verify", project=team.project.name, stdout=out)
    except SystemExit as ended:
        status = int(str(ended.code))
    findings = {f.subject: f.broken for f in verify(team.project) if f.broken is not None}
    assert status == (1 if findings else 0)
    for subject, sentence in findings.items():
        assert f"shop  BROKEN  {subject}: {sentence}" in out.getvalue().splitlines()
    assert ("Everything adds up." in out.getvalue()) == (not findings)
    return findings
