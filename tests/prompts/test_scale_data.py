"""Large projects for measurements: made through the guards, whole after every transaction, continued where they end."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Project
from events.models import Event
from prompts.actions.scale_data import Size, fill_project
from prompts.models import Head, Prompt, PromptVersion, Release
from tests.guards.attacks import contents
from tests.transfer.conftest import assert_adds_up

SIZE = {"projects": 2, "prompts": 6, "versions": 72, "releases": 132}


def counts() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Project, Prompt, PromptVersion, Release))


def make(**options: Any) -> None:
    call_command("make_scale_data", **(SIZE | options))


def test_projects_that_add_up(committed_db: str, capsys: pytest.CaptureFixture[str]) -> None:
    make()
    assert counts() == (2, 6, 72, 132)
    assert "2 projects, each with 3 prompts, 36 versions and 66 releases." in capsys.readouterr().out
    assert set(Head.objects.values_list("revision", "version__number")) == {(11, 12 - 1)}
    assert Event.objects.filter(kind="version.saved").count() == 72
    assert Event.objects.filter(kind="release.made").count() == 132
    assert_adds_up()


def test_a_second_run_changes_nothing(committed_db: str) -> None:
    make()
    before = contents()
    make()
    assert contents() == before


@pytest.mark.parametrize("ends_after", [36, 36 + 60])
def test_what_was_left_half_made_is_continued(committed_db: str, ends_after: int) -> None:
    def stop(rows: int) -> None:
        if rows >= ends_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill_project(name="scale-0001", size=Size(3, 12, 11), tell=stop)
    assert counts()[2:] != (36, 66)
    assert_adds_up()
    make()
    assert counts() == (2, 6, 72, 132)
    assert_adds_up()


def test_not_on_a_production_system_unless_asked_twice(committed_db: str, settings: Any) -> None:
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="production"):
        make()
    assert counts() == (0, 0, 0, 0)
    make(yes=True, projects=1, prompts=1, versions=1, releases=2)
    assert counts() == (1, 1, 1, 2)


@pytest.mark.parametrize(
    "wrong", [{"projects": 0}, {"prompts": 1}, {"versions": 5}, {"releases": 11}, {"projects": -1, "prompts": -1}]
)
def test_sizes_that_cannot_be(committed_db: str, wrong: dict[str, int]) -> None:
    with pytest.raises(CommandError, match="At least one project"):
        make(**wrong)
    assert counts() == (0, 0, 0, 0)
