"""Who approves, who objects, and for how long that counts."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.actions.members import set_roles
from accounts.models import ApiKey
from promptforge.lib.digests import digest_of
from prompts.models import Promotion, Prompt
from tests.guards.attacks import (
    apply,
    forge_version,
    head,
    held,
    let_time_pass,
    open_promotion,
    passed_checks,
    refused,
    review,
    run,
    set_policy,
)
from tests.guards.promoting import (
    close,
    dismiss,
    half_ready,
    make_live,
    reviewer_without_right,
    take_activity,
    take_membership,
)
from tests.personas import Team


# --- Four eyes --------------------------------------------------------------------------------------------------------
def test_the_author_does_not_approve(careful_team: Team) -> None:
    team = careful_team
    set_roles(project=team.project, user=team.ada.user, roles=["editor", "reviewer"], by=None)
    promotion = open_promotion(team, team.prompt(), 1, by=team.emil.user)
    with refused("four_eyes"):
        review(promotion, team.ada)


def test_the_author_of_a_version_between_does_not_approve(careful_team: Team) -> None:
    """1 is live, Emil wrote 2, Ada wrote 3: what goes live holds Emil's work too."""
    team = careful_team
    prompt = team.prompt()
    make_live(team, prompt, 1)
    forge_version(prompt, team.emil.user, content="Emil's")
    forge_version(prompt, team.ada.user, content="Ada's")
    promotion = open_promotion(team, prompt, 3)
    with refused("four_eyes"):
        review(promotion, team.emil)


def test_the_author_of_what_is_live_already_may_approve(careful_team: Team) -> None:
    team = careful_team
    prompt = Prompt.objects.create(project=team.project, name="emils", type="text")
    forge_version(prompt, team.emil.user)
    make_live(team, prompt, 1)
    forge_version(prompt, team.ada.user, content="Ada's")
    promotion = half_ready(team, prompt, 2)
    review(promotion, team.emil)
    apply(team, promotion)
    assert head(prompt, team.stable).revision == 2


@pytest.mark.parametrize("depth", [1, 2])
def test_the_author_of_a_new_include_does_not_approve(careful_team: Team, depth: int) -> None:
    """Also when it is included by what is included."""
    team = careful_team
    snippet = Prompt.objects.create(project=team.project, name="snippet", type="text")
    pinned = forge_version(snippet, team.emil.user)
    for level in range(1, depth):
        middle = Prompt.objects.create(project=team.project, name=f"middle-{level}", type="text")
        pinned = forge_version(middle, team.ada.user, includes=[pinned.pk])
    prompt = team.prompt()
    forge_version(prompt, team.ada.user, includes=[pinned.pk])
    promotion = open_promotion(team, prompt, 2)
    with refused("four_eyes"):
        review(promotion, team.emil)


@pytest.mark.parametrize("depth", [1, 2])
def test_the_author_of_what_an_include_moves_past_does_not_approve(careful_team: Team, depth: int) -> None:
    """Its version 1 is live, Emil wrote 2, Ada mended a comma in 3: what goes live holds Emil's work too."""
    team = careful_team
    snippet = Prompt.objects.create(project=team.project, name="snippet", type="text")
    pins = [forge_version(snippet, author) for author in (team.cleo.user, team.emil.user, team.ada.user)]
    if depth == 2:
        middle = Prompt.objects.create(project=team.project, name="middle", type="text")
        pins = [forge_version(middle, team.ada.user, includes=[pin.pk]) for pin in (pins[0], pins[2])]
    prompt = Prompt.objects.create(project=team.project, name="parent", type="text")
    for pin in (pins[0], pins[-1]):
        forge_version(prompt, team.ada.user, includes=[pin.pk])
    make_live(team, prompt, 1)
    promotion = open_promotion(team, prompt, 2)
    with refused("four_eyes"):
        review(promotion, team.emil)
    review(promotion, team.ben)


def test_whoever_opened_does_not_approve(careful_team: Team) -> None:
    team = careful_team
    promotion = open_promotion(team, team.prompt(), 1, by=team.emil.user)
    with refused("four_eyes"):
        review(promotion, team.emil)


def test_whoever_opened_what_was_renewed_does_not_approve(careful_team: Team) -> None:
    """Two renewals later: the request is still Emil's."""
    team = careful_team
    first = open_promotion(team, team.prompt(), 1, by=team.emil.user)
    for number in (first.pk + 100, first.pk + 200):
        old = Promotion.objects.get(state="OPEN")
        with transaction.atomic():
            close(team, old, "SUPERSEDED", successor_id=number)
            renewed = open_promotion(team, first.prompt, 1, pk=number)
    with refused("four_eyes"):
        review(renewed, team.emil)
    review(renewed, team.ben)


@pytest.mark.parametrize("did", ["saved", "opened"])
def test_the_person_behind_a_key_does_not_approve(careful_team: Team, did: str) -> None:
    """Not even when somebody else answers for the key by now."""
    team = careful_team
    team.key("versions:write", "promotions:write")
    account = ApiKey.objects.get().service_account
    prompt = team.prompt()
    if did == "saved":
        forge_version(prompt, account)
    promotion = open_promotion(team, prompt, prompt.versions.count(), by=account if did == "opened" else None)
    account.responsible = team.noor.user
    account.save()
    with refused("four_eyes"):
        review(promotion, team.emil)


# --- Reviews ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("who", ["noor", "farah", "outsider", "superuser", "inactive", "removed", "key"])
def test_only_who_may_review_decides(careful_team: Team, who: str) -> None:
    team = careful_team
    promotion = open_promotion(team, team.prompt(), 1)
    reviewer = reviewer_without_right(team, who)
    for decision in ("approve", "request_changes"):
        with refused("review_right"):
            review(promotion, reviewer, decision)


def take_role(team: Team) -> None:
    set_roles(project=team.project, user=team.ben.user, roles=["viewer"], by=None)


def make_service(team: Team) -> None:
    team.ben.user.kind, team.ben.user.responsible = "service", team.emil.user
    team.ben.user.save()


@pytest.mark.parametrize("lose", [take_activity, take_membership, take_role, make_service])
def test_an_approval_ends_with_the_right_to_give_it(careful_team: Team, ready: Promotion, lose: Any) -> None:
    lose(careful_team)
    with refused("promotion_approvals"):
        apply(careful_team, ready)


def test_an_outsider_does_not_even_comment(careful_team: Team) -> None:
    promotion = open_promotion(careful_team, careful_team.prompt(), 1)
    with refused("review_right"):
        review(promotion, careful_team.outsider, "comment")


def test_another_diff_is_not_approved(careful_team: Team) -> None:
    promotion = open_promotion(careful_team, careful_team.prompt(), 1)
    with refused("stale_diff"):
        review(promotion, careful_team.ben, diff_digest=b"what an older promotion showed")


def test_the_diff_is_of_exactly_these_versions(careful_team: Team) -> None:
    promotion = open_promotion(careful_team, careful_team.prompt(), 1, diff_digest=b"forged")
    expected = digest_of("diff.v1", None, bytes(promotion.version.digest).hex())
    held(bytes(promotion.diff_digest), expected, "the database computes the diff's digest")


def test_a_closed_promotion_takes_no_review(careful_team: Team, ready: Promotion) -> None:
    apply(careful_team, ready)
    with refused("promotion_closed"):
        review(ready, careful_team.emil)


def test_nothing_goes_live_without_an_approval(careful_team: Team) -> None:
    promotion = half_ready(careful_team)
    with refused("promotion_approvals"):
        apply(careful_team, promotion)


def test_two_approvals_by_one_person_are_one(careful_team: Team) -> None:
    team = careful_team
    set_policy(team, required_approvals=2)
    promotion = half_ready(team)
    review(promotion, team.ben)
    review(promotion, team.ben)
    with refused("promotion_approvals"):
        apply(team, promotion)
    review(promotion, team.emil)
    apply(team, promotion)
    assert head(promotion.prompt, team.stable).revision == 1


def test_a_comment_is_no_approval(careful_team: Team) -> None:
    promotion = half_ready(careful_team)
    review(promotion, careful_team.ben, "comment")
    with refused("promotion_approvals"):
        apply(careful_team, promotion)


@pytest.mark.parametrize("later", ["comment", None])
def test_a_request_for_changes_stands(careful_team: Team, ready: Promotion, later: str | None) -> None:
    """Whatever others approve, and whatever its author remarks afterwards."""
    review(ready, careful_team.emil, "request_changes")
    if later:
        review(ready, careful_team.emil, later)
    with refused("promotion_objection"):
        apply(careful_team, ready)


def test_even_a_contributor_s_objection_stands(careful_team: Team) -> None:
    team = careful_team
    promotion = open_promotion(team, team.prompt(), 1, by=team.emil.user)
    passed_checks(promotion)
    review(promotion, team.ben)
    review(promotion, team.emil, "request_changes")
    with refused("promotion_objection"):
        apply(team, promotion)


def test_a_comment_erases_no_approval(careful_team: Team, ready: Promotion) -> None:
    review(ready, careful_team.ben, "comment")
    apply(careful_team, ready)
    assert head(ready.prompt, ready.channel).revision == 1


def test_a_newer_decision_replaces_the_older(careful_team: Team, ready: Promotion) -> None:
    review(ready, careful_team.ben, "request_changes")
    with refused("promotion_objection"):
        apply(careful_team, ready)


def test_a_dismissed_approval_falls_away(careful_team: Team, ready: Promotion) -> None:
    dismiss(ready.reviews.get(), careful_team.cleo.user)
    with refused("promotion_approvals"):
        apply(careful_team, ready)


def test_a_dismissed_objection_falls_away(careful_team: Team, ready: Promotion) -> None:
    dismiss(review(ready, careful_team.emil, "request_changes"), careful_team.cleo.user)
    apply(careful_team, ready)
    assert head(ready.prompt, ready.channel).revision == 1


@pytest.mark.parametrize("later", ["request_changes", "approve"])
def test_a_dismissal_revives_no_approval(careful_team: Team, ready: Promotion, later: str) -> None:
    """What Ben replaced himself stays replaced: whoever dismisses his newer word does not decide for him."""
    dismiss(review(ready, careful_team.ben, later), careful_team.cleo.user)
    with refused("promotion_approvals"):
        apply(careful_team, ready)
    review(ready, careful_team.ben)
    apply(careful_team, ready)
    assert head(ready.prompt, ready.channel).revision == 1


@pytest.mark.parametrize("who", ["ada", "ben", "farah", "noor", "outsider", "superuser"])
def test_only_who_may_release_dismisses(careful_team: Team, ready: Promotion, who: str) -> None:
    given = review(ready, careful_team.emil, "request_changes")
    found = reviewer_without_right(careful_team, who)
    with refused("dismissal_right"):
        dismiss(given, getattr(found, "user", found))


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_dismissal_takes_a_reason(careful_team: Team, ready: Promotion, reason: str) -> None:
    with refused("dismissal_right"):
        dismiss(ready.reviews.get(), careful_team.cleo.user, reason)


def test_a_closed_promotion_s_reviews_stay(careful_team: Team, ready: Promotion) -> None:
    apply(careful_team, ready)
    with refused("dismissal_right"):
        dismiss(ready.reviews.get(), careful_team.cleo.user)


def test_an_approval_expires(careful_team: Team, ready: Promotion) -> None:
    """A promotion is as old as its oldest approval: it is made younger here, so that only the approval's age counts."""
    let_time_pass(days=15)
    passed_checks(ready)
    run("ALTER TABLE public.prompts_promotion DISABLE TRIGGER promotion_update")
    Promotion.objects.filter(pk=ready.pk).update(opened_at=timezone.now() + timedelta(days=14))
    run("ALTER TABLE public.prompts_promotion ENABLE ALWAYS TRIGGER promotion_update")
    with refused("promotion_approvals"):
        apply(careful_team, ready)


def test_a_promotion_expires(careful_team: Team, ready: Promotion) -> None:
    """Its approval and checks are given anew, so that its own age alone stands in the way."""
    let_time_pass(days=15)
    passed_checks(ready)
    review(ready, careful_team.ben)
    with refused("promotion_open"):
        apply(careful_team, ready)


def test_the_longest_life_of_an_approval_is_the_policy_s(careful_team: Team, ready: Promotion) -> None:
    let_time_pass(days=13, hours=23)
    passed_checks(ready)
    apply(careful_team, ready)
    assert head(ready.prompt, ready.channel).revision == 1


@pytest.mark.parametrize(
    "groups", [[["role:admin"]], [["role:reviewer"], ["user:0"]], [[]], [["role:release-manager"]]]
)
def test_every_review_group_approves(careful_team: Team, groups: list[list[str]]) -> None:
    """Ben is a reviewer and nothing else."""
    team = careful_team
    set_policy(team, review_groups=groups)
    promotion = half_ready(team)
    review(promotion, team.ben)
    with refused("promotion_groups"):
        apply(team, promotion)


def test_one_of_each_review_group_is_enough(careful_team: Team) -> None:
    team = careful_team
    set_policy(team, review_groups=[["role:admin", "role:reviewer"], [f"user:{team.ben.user.pk}"]])
    promotion = half_ready(team)
    review(promotion, team.ben)
    apply(team, promotion)
    assert head(promotion.prompt, team.stable).revision == 1
