"""Everything that must not get a version live: each attempt is refused with its sentence, and writes nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from accounts.actions.members import remove_member, set_roles
from accounts.models import ApiKey, Membership
from accounts.policies import Principal
from promptforge.lib.errors import DomainError
from promptforge.lib.refusals import refusals
from prompts.actions.promotions import apply_promotion, renew
from prompts.actions.reviews import review
from prompts.actions.rights import set_prompt_rights
from prompts.actions.versions import save_version
from prompts.models import Head, Promotion, Release, Review
from prompts.shapes import digest_text
from tests.api.conftest import Caller, body_of, problem_of
from tests.api.people import person
from tests.authorization.world import everything
from tests.guards.attacks import set_policy
from tests.personas import Team
from tests.promotions.steps import applied, approved, requested
from tests.promotions.test_refusals import path_of
from tests.races.conftest import at_once


def approve(by: Principal, promotion: Promotion) -> Review:
    return review(by=by, promotion=promotion, decision="approve", diff_digest=digest_text(promotion.diff_digest))


def refused(act: Callable[[], Any], code: str) -> str:
    """The sentence of a refusal, after which everything stands as it stood."""
    before = everything()
    with pytest.raises(DomainError) as refusal, refusals():
        act()
    assert refusal.value.code == code, refusal.value
    assert everything() == before
    return refusal.value.detail


# Four eyes ------------------------------------------------------------------------------------------------------------
def test_a_contributor_may_say_no_or_a_word(careful_team: Team) -> None:
    """Only approving takes other eyes; who else may approve by which door is the table in doors.py and tricks.py."""
    team = careful_team
    mine = requested(team, team.prompt(), 1, by=team.emil)
    refused(lambda: approve(team.emil, mine), "four_eyes")
    for decision in ("request_changes", "comment"):
        assert review(by=team.emil, promotion=mine, decision=decision, diff_digest=digest_text(mine.diff_digest)).pk


def test_a_renewal_by_somebody_else_frees_nobody(careful_team: Team) -> None:
    team = careful_team
    prompt = team.prompt(versions=2)
    promotion = requested(team, prompt, 2, by=team.emil)
    applied(team, prompt, 1)
    successor = renew(by=team.ada, promotion=promotion)
    refused(lambda: approve(team.emil, successor), "four_eyes")
    refused(lambda: approve(team.ben, promotion), "promotion_closed")
    approve(team.ben, successor)
    apply_promotion(by=team.cleo, promotion=successor)


def test_who_may_no_longer_review_counts_no_longer(careful_team: Team) -> None:
    team = careful_team
    promotion = approved(team, team.prompt(), 1)
    member = Membership.objects.get(project=team.project, user=team.ben.user)
    remove_member(membership=member, by=team.farah)
    sentence = refused(lambda: apply_promotion(by=team.cleo, promotion=promotion), "promotion_not_ready")
    assert "One approval of one is missing." in sentence
    refused(lambda: approve(team.ben, promotion), "forbidden")
    set_roles(project=team.project, user=team.ben.user, roles=["viewer"], by=team.farah)
    refused(lambda: approve(team.ben, promotion), "forbidden")
    set_roles(project=team.project, user=team.ben.user, roles=["reviewer"], by=team.farah)  # back, and so is his word
    apply_promotion(by=team.cleo, promotion=promotion)


# Review groups and rights on one prompt -------------------------------------------------------------------------------
def test_one_of_each_group_approves(careful_team: Team) -> None:
    team = careful_team
    set_policy(team, review_groups=[["role:admin"], [f"user:{team.ben.user.pk}", "role:release-manager"]])
    promotion = approved(team, team.prompt(), 1)
    sentence = refused(lambda: apply_promotion(by=team.cleo, promotion=promotion), "promotion_not_ready")
    assert "An approval by one of: admin is missing." in sentence
    approve(team.emil, promotion)
    apply_promotion(by=team.cleo, promotion=promotion)


def test_rights_on_one_prompt_reach_no_other(careful_team: Team) -> None:
    """Noor, who reads, may review one prompt and Ada release it: so a team owns its prompts."""
    team = careful_team
    own, other = team.prompt("own/one"), team.prompt("other/one")
    set_prompt_rights(by=team.farah, prompt=own, user=team.noor.user, rights=["review"])
    set_prompt_rights(by=team.farah, prompt=own, user=team.ada.user, rights=["release"])
    mine, foreign = requested(team, own, 1), approved(team, other, 1)
    refused(lambda: approve(team.noor, foreign), "forbidden")
    refused(lambda: apply_promotion(by=team.ada, promotion=foreign), "forbidden")
    noor, ada = person(team, "noor"), person(team, "ada")
    body = {"decision": "approve", "diff_digest": digest_text(mine.diff_digest)}
    given = body_of(noor.post(path_of(mine, "/reviews"), body), 201)
    problem_of(noor.post(path_of(foreign, "/reviews"), body), 403, "forbidden")
    problem_of(ada.post(path_of(foreign, "/apply"), {}), 403, "forbidden")
    problem_of(noor.post(path_of(mine, "/apply"), {}), 403, "forbidden")
    problem_of(noor.post(path_of(mine, f"/reviews/{given['id']}/dismiss"), {"reason": "x"}), 403, "forbidden")
    assert body_of(ada.post(path_of(mine, "/apply"), {}))["status"] == "applied"
    set_prompt_rights(by=team.farah, prompt=own, user=team.noor.user, rights=[])
    save_version(by=team.ada, prompt=own, content="Second")
    second = requested(team, own, 2)
    refused(lambda: approve(team.noor, second), "forbidden")


# At the same moment ---------------------------------------------------------------------------------------------------
def test_of_two_ready_promotions_one_goes_live(careful_team: Team) -> None:
    team = careful_team
    prompt = team.prompt(versions=4)
    ready = [approved(team, prompt, number) for number in (1, 2, 3, 4)]
    answers = at_once(4, lambda n: apply_promotion(by=team.cleo, promotion=ready[n]))
    won = [answer for answer in answers if isinstance(answer, Release)]
    lost = [answer for answer in answers if isinstance(answer, DomainError)]
    assert (len(won), len(lost)) == (1, 3), answers
    assert {tuple(fault.code for fault in error.faults) for error in lost} == {("stale_base",)}
    assert Head.objects.get(prompt=prompt, channel=team.stable).version_id == won[0].version_id


def test_one_promotion_is_applied_once(careful_team: Team) -> None:
    team = careful_team
    promotion = approved(team, team.prompt(), 1)
    answers = at_once(5, lambda _: apply_promotion(by=team.cleo, promotion=promotion))
    assert sum(isinstance(answer, Release) for answer in answers) == 1
    assert {answer.code for answer in answers if isinstance(answer, DomainError)} == {"promotion_closed"}
    assert Release.objects.count() == 1


@pytest.mark.parametrize("round_", range(4))
def test_an_objection_in_the_same_second_stands_or_comes_too_late(careful_team: Team, round_: int) -> None:
    team = careful_team
    promotion = approved(team, team.prompt(), 1)
    digest = digest_text(promotion.diff_digest)
    acts = [
        lambda: apply_promotion(by=team.cleo, promotion=promotion),
        lambda: review(by=team.emil, promotion=promotion, decision="request_changes", diff_digest=digest),
    ]
    applied_, objected = at_once(2, lambda n: acts[n]())
    if isinstance(applied_, Release):
        assert isinstance(objected, DomainError), objected
        assert objected.code == "promotion_closed"
    else:
        assert [fault.code for fault in applied_.faults] == ["changes_requested"]
        assert isinstance(objected, Review)


def test_the_same_promotion_is_opened_once(careful_team: Team) -> None:
    team = careful_team
    prompt = team.prompt()
    answers = at_once(5, lambda _: requested(team, prompt, 1))
    assert sum(isinstance(answer, Promotion) for answer in answers) == 1
    assert {answer.code for answer in answers if isinstance(answer, DomainError)} == {"duplicate_promotion"}


def test_a_key_that_ended_applies_nothing(careful_team: Team) -> None:
    team = careful_team
    promotion = approved(team, team.prompt(), 1)
    text = team.key("releases:write")
    key = ApiKey.objects.latest("pk")
    by = Principal(key.service_account, team.project, key)
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    problem_of(Caller(text).post(path_of(promotion, "/apply"), {}), 401, "key_revoked")
    refused(lambda: apply_promotion(by=by, promotion=promotion), "forbidden")  # remembered from before it ended
