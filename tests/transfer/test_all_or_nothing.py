"""What goes wrong while an import writes leaves nothing of it behind."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from promptforge.lib.errors import DomainError
from prompts.actions import imports
from prompts.actions.releases import promote
from prompts.actions.versions import save_version
from prompts.formats.composing import Composer
from prompts.models import Prompt, PromptVersion
from tests.guards.attacks import contents
from tests.personas import Team
from tests.transfer.conftest import Files, assert_adds_up, refused_import, run_import, versions
from tests.transfer.test_other_systems import HISTORY

type Make = Callable[[Files], Path]


@pytest.mark.parametrize("step", ["_versions", "_channels", "_release_wave"])
def test_a_failure_in_the_middle(
    team: Team, folder: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    done = getattr(imports._Writer, step)

    def fails(self: Any, *arguments: Any) -> None:
        done(self, *arguments)
        raise DomainError("storage_full", "The disk is full.")

    monkeypatch.setattr(imports._Writer, step, fails)
    before = contents()
    assert refused_import(folder({"e.json": json.dumps(HISTORY)}), capsys) == "The disk is full. (storage_full)"
    assert contents() == before


def test_a_version_that_was_saved_meanwhile(
    team: Team, folder: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = team.prompt("a", content="One")
    compose = Composer.compose

    def composes_while_somebody_saves(self: Composer) -> Any:
        plans = compose(self)
        save_version(by=team.ada, prompt=prompt, content="Meanwhile")
        return plans

    monkeypatch.setattr(Composer, "compose", composes_while_somebody_saves)
    said = refused_import(folder({"a.txt": "Two", "b.txt": "New"}), capsys)
    assert said == "Somebody saved a version meanwhile. Nothing was written; run it again. (stale_base)"
    assert [version.content for version in versions("a")] == ["One", "Meanwhile"]
    assert not Prompt.objects.filter(name="b").exists()


@pytest.mark.parametrize("dry", [False, True])
def test_a_release_that_ended_the_importing_meanwhile(
    team: Team, folder: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, dry: bool
) -> None:
    """The database says so when the import commits; a dry run is told just the same."""
    prompt = team.prompt("own")
    done = imports._Writer._versions

    def writes_while_somebody_promotes(self: Any, plans: Any) -> None:
        done(self, plans)

        def release() -> None:
            promote(by=team.cleo, prompt=prompt, channel=team.stable, version=team.version(prompt, 1))
            connections.close_all()

        thread = threading.Thread(target=release)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()

    monkeypatch.setattr(imports._Writer, "_versions", writes_while_somebody_promotes)
    said = refused_import(folder({"e.json": json.dumps(HISTORY)}), capsys, *(["--dry-run"] if dry else []))
    assert said.endswith("(import_closed)")
    assert list(PromptVersion.objects.values_list("prompt__name", flat=True)) == ["own"]
    assert connection.connection is not None
    assert_adds_up()
    monkeypatch.undo()
    assert run_import(folder({}))["taken"][0]["versions"] == 3
