"""The command line says and refuses the same as REST."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from prompts.models import Head, Promotion, Release
from tests.authorization.world import everything
from tests.personas import Team
from tests.promotions.steps import NAME, requested


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, "--project", "shop", stdout=out, stderr=StringIO())
    return out.getvalue().strip()


def refused(*arguments: str) -> str:
    """The sentence with its code, exit status 1, and nothing written."""
    before, said = everything(), StringIO()
    with pytest.raises(SystemExit) as end:
        call_command(*arguments, "--project", "shop", stdout=StringIO(), stderr=said)
    assert end.value.code == 1
    assert everything() == before
    return said.getvalue().strip()


def test_from_the_opening_to_the_release(careful_team: Team) -> None:
    team = careful_team
    team.prompt(versions=2)
    ref, ada, ben, cleo = f"{NAME}@2", "ada@shop.example", "ben@shop.example", "cleo@shop.example"
    assert "Open a promotion of" in refused("promote", ref, "--as", cleo)
    assert "There is no promotion" in refused("promotion", "show", ref, "--as", ada)
    said = run("promotion", "open", ref, "--as", ada, "--title", "Shorter", "--note", "For phones")
    assert said == f"{ref} to stable: in_review\n- One approval of one is missing."
    assert "(duplicate_promotion)" in refused("promotion", "open", ref, "--as", ada)
    assert "(forbidden)" in refused("promotion", "open", f"{NAME}@1", "--as", ben)
    assert run("promotion", "review", ref, "--as", "noor@shop.example", "--body", "Nice") == said
    assert "(forbidden)" in refused("promotion", "review", ref, "--as", ada, "--decision", "approve")
    refusal = refused("promote", ref, "--as", cleo)
    assert refusal == f"{ref} cannot go live on stable yet. One approval of one is missing. (promotion_not_ready)"
    said = run("promotion", "review", ref, "--as", ben, "--decision", "request_changes", "--body", "Too short")
    assert said.splitlines()[:2] == [f"{ref} to stable: changes_requested", "- Ben asked for changes."]
    assert run("promotion", "review", ref, "--as", ben, "--decision", "approve") == f"{ref} to stable: ready"
    assert "(forbidden)" in refused("promote", ref, "--as", ben)
    said = run("promote", ref, "--as", cleo)
    assert said == f"{ref} is live on stable (revision 1). The next request gets it."
    assert Release.objects.get().reason == "Shorter"
    shape: dict[str, Any] = json.loads(run("promotion", "show", ref, "--as", ada, "--json"))
    assert (shape["status"], shape["note"], len(shape["reviews"])) == ("applied", "For phones", 3)
    assert "(already_live)" in refused("promote", ref, "--as", cleo)


def test_the_person_of_a_command_contributes(careful_team: Team) -> None:
    """Emil opened it on the command line, so he does not approve it there either."""
    careful_team.prompt()
    run("promotion", "open", f"{NAME}@1", "--as", "emil@shop.example")
    assert "(four_eyes)" in refused(
        "promotion", "review", f"{NAME}@1", "--as", "emil@shop.example", "--decision", "approve"
    )


def test_hidden_text_is_acknowledged(careful_team: Team) -> None:
    careful_team.prompt(content="Hi\u202e")
    run("promotion", "open", f"{NAME}@1", "--as", "ada@shop.example")
    approve = ("promotion", "review", f"{NAME}@1", "--as", "ben@shop.example", "--decision", "approve")
    assert "Ben must acknowledge hidden-text" in run(*approve)
    assert run(*approve, "--acknowledge", "hidden-text") == f"{NAME}@1 to stable: ready"


def test_an_unprotected_channel_is_moved_directly(team: Team) -> None:
    """Even beside an open promotion, which then compares with the past."""
    prompt = team.prompt()
    requested(team, prompt, 1)
    run("promote", f"{NAME}@1", "--as", "cleo@shop.example")
    assert Promotion.objects.get().state == "OPEN"
    assert Head.objects.get(prompt=prompt, channel=team.stable).revision == 1
