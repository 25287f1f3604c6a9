"""Saving versions."""

from prompts.actions.versions import save_version
from tests.personas import Team


def test_what_equals_the_newest_version_makes_none(team: Team) -> None:
    prompt = team.prompt()
    saved = save_version(by=team.ada, prompt=prompt, content="Text 1 for {{customer_name}}")
    assert (saved.version.number, saved.created) == (1, False)
    assert prompt.versions.count() == 1
