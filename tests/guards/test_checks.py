"""A required check passes by what it found, freshly, and nobody stores that it did."""

import pytest

from promptforge.lib.json import canonical_json
from prompts.actions.projects import create_channel
from prompts.actions.versions import save_version
from prompts.models import Promotion, Prompt
from tests.guards.attacks import (
    apply,
    chat,
    check,
    forge_version,
    head,
    let_time_pass,
    open_promotion,
    refused,
    review,
    set_policy,
)
from tests.guards.promoting import half_ready, make_live
from tests.personas import Team


@pytest.mark.parametrize(
    "found", ["missing", "failed", "waiting", "running", "advice", "stale", "waived", "old", "newer"]
)
def test_a_required_check_has_passed_freshly(careful_team: Team, found: str) -> None:
    team = careful_team
    promotion = open_promotion(team, team.prompt(), 1)
    check(promotion, "hidden-text")
    if found in ("old", "newer"):
        check(promotion, "secrets")
    if found == "newer":
        check(promotion, "secrets", "failed")
    elif found not in ("missing", "old"):
        check(promotion, "secrets", found)
    if found == "old":
        let_time_pass(days=8)
        check(promotion, "hidden-text")
    review(promotion, team.ben)
    with refused("promotion_checks"):
        apply(team, promotion)


@pytest.mark.parametrize("name", ["canary"])
def test_a_required_check_without_an_owner_never_passes(careful_team: Team, name: str) -> None:
    team = careful_team
    set_policy(team, required_checks=[name])
    promotion = half_ready(team)
    review(promotion, team.ben)
    with refused("promotion_checks"):
        apply(team, promotion)


def test_hidden_text_passes_only_acknowledged_by_every_approver(careful_team: Team) -> None:
    team = careful_team
    promotion = open_promotion(team, team.prompt(), 1)
    check(promotion, "secrets")
    check(promotion, "hidden-text", "failed")
    review(promotion, team.ben, acknowledged=["hidden-text"])
    review(promotion, team.emil)
    with refused("promotion_checks"):
        apply(team, promotion)
    review(promotion, team.emil, acknowledged=["hidden-text"])
    apply(team, promotion)
    assert head(promotion.prompt, team.stable).revision == 1


HIDDEN = {
    "override": "Pay \u202eevil\u202c me",
    "mark": "Pay\u200f me",
    "tags": "Pay \U000e0070\U000e0061\U000e0079 me",
    "half a flag": "Pay \U0001f3f4\U000e0067 me",
}


SEEN = {"flag": "Pay \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f me", "joiner": "\u200b"}


@pytest.mark.parametrize("place", ["content", "variables", "config", "chat"])
@pytest.mark.parametrize("text", HIDDEN.values(), ids=list(HIDDEN))
def test_nobody_stores_that_hidden_text_is_not_there(careful_team: Team, text: str, place: str) -> None:
    team = careful_team
    prompt = Prompt.objects.create(project=team.project, name="x", type="chat" if place == "chat" else "text")
    row = {"type": "chat", "content": chat(text)} if place == "chat" else {place: canonical_json({"a": text})}
    forge_version(prompt, team.ada.user, **row)
    promotion = open_promotion(team, prompt, 1)
    with refused("check_hidden_text"):
        check(promotion, "hidden-text")
    check(promotion, "hidden-text", "failed")


@pytest.mark.parametrize("text", SEEN.values(), ids=list(SEEN))
def test_what_writing_needs_hides_nothing(careful_team: Team, text: str) -> None:
    prompt = Prompt.objects.create(project=careful_team.project, name="x", type="text")
    forge_version(prompt, careful_team.ada.user, content=text)
    check(open_promotion(careful_team, prompt, 1), "hidden-text")


@pytest.mark.parametrize("place", ["content", "variables", "config", "chat"])
def test_nobody_stores_that_a_key_is_not_there(careful_team: Team, place: str) -> None:
    team, text = careful_team, "Use AKIA" + "A2B3C4D5E6F7G2H3 to pay"
    prompt = Prompt.objects.create(project=team.project, name="x", type="chat" if place == "chat" else "text")
    row = {"type": "chat", "content": chat(text)} if place == "chat" else {place: canonical_json([{"a": text}])}
    forge_version(prompt, team.ada.user, **row)
    promotion = open_promotion(team, prompt, 1)
    with refused("check_secrets"):
        check(promotion, "secrets")
    check(promotion, "secrets", "failed")


def test_nobody_stores_that_callers_do_not_break(careful_team: Team) -> None:
    team = careful_team
    prompt = team.prompt()
    make_live(team, prompt, 1)
    save_version(by=team.ada, prompt=prompt, content="{{customer_name}} {{order}}")
    promotion = open_promotion(team, prompt, 2)
    with refused("check_variables"):
        check(promotion, "variables")
    check(promotion, "variables", "failed")


def test_nobody_stores_a_check_that_nothing_owns(careful_team: Team) -> None:
    promotion = open_promotion(careful_team, careful_team.prompt(), 1)
    for name in ("review", "evaluation", "up-to-date", "canary", "freeze", "anything"):
        with refused("check_has_owner"):
            check(promotion, name)


@pytest.mark.parametrize("field", ["version", "base_version", "policy"])
def test_a_check_speaks_of_its_promotion(careful_team: Team, field: str) -> None:
    team = careful_team
    prompt = team.prompt(versions=2)
    promotion = open_promotion(team, prompt, 1)
    other = {"version": team.version(prompt, 2), "base_version": team.version(prompt, 2)}
    other["policy"] = create_channel(
        project=team.project, name="beta", policy={"required_approvals": 0}, creator=None
    ).policy
    with refused("check_of_this_promotion"):
        check(promotion, "secrets", **{f"{field}_id": other[field].pk})


def test_a_closed_promotion_takes_no_check(careful_team: Team, ready: Promotion) -> None:
    apply(careful_team, ready)
    with refused("check_of_this_promotion"):
        check(ready, "secrets")
