"""Invariant 5: nothing goes live on a protected channel that is not backed by rows which satisfy every rule."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.actions.members import remove_member, set_roles
from accounts.models import ApiKey, Membership
from promptforge.lib.digests import digest_of
from promptforge.lib.json import canonical_json
from prompts.actions.projects import create_channel
from prompts.actions.versions import save_version
from prompts.models import (
    Channel,
    ChannelPolicy,
    Check,
    FreezeWindow,
    Promotion,
    Prompt,
    Release,
    Review,
    ReviewDismissal,
    Schedule,
)
from tests.guards.attacks import (
    apply,
    chat,
    check,
    enact,
    forge_release,
    forge_version,
    head,
    held,
    let_time_pass,
    newest_policy,
    open_promotion,
    passed_checks,
    propose,
    refused,
    review,
    run,
    set_policy,
)
from tests.personas import Team, make_team


@pytest.fixture
def ready(careful_team: Team) -> Promotion:
    """An open promotion of version 2 that lacks nothing: approved by Ben, every required check passed."""
    promotion = half_ready(careful_team)
    review(promotion, careful_team.ben)
    return promotion


def half_ready(team: Team, prompt: Prompt | None = None, number: int = 2) -> Promotion:
    """An open promotion that lacks nothing but approvals."""
    promotion = open_promotion(team, prompt or team.prompt(versions=2), number)
    passed_checks(promotion)
    return promotion


def make_live(team: Team, prompt: Prompt, number: int) -> None:
    promotion = half_ready(team, prompt, number)
    review(promotion, team.ben)
    apply(team, promotion)


def test_what_satisfies_every_rule_goes_live(careful_team: Team, ready: Promotion) -> None:
    """Without this, every refusal below would prove nothing."""
    release = apply(careful_team, ready)
    ready.refresh_from_db()
    assert head(ready.prompt, ready.channel).version_id == ready.version_id
    held(ready.state, "APPLIED", "a promotion is closed by its release")
    assert (ready.closed_by_id, Release.objects.get().pk) == (careful_team.cleo.user.pk, release.pk)


def test_a_protected_channel_takes_no_direct_release(careful_team: Team) -> None:
    prompt = careful_team.prompt()
    with refused("promotion_required"):
        forge_release(prompt, careful_team.stable, careful_team.version(prompt, 1), careful_team.cleo)


def test_a_channel_without_a_policy_takes_no_direct_release(team: Team) -> None:
    channel = Channel.objects.create(project=team.project, name="beta")
    prompt = team.prompt()
    with refused("promotion_required"):
        forge_release(prompt, channel, team.version(prompt, 1), team.cleo)


def test_a_channel_with_a_borrowed_policy_takes_no_promotion(team: Team) -> None:
    channel = Channel.objects.create(project=team.project, name="beta", policy=team.stable.policy)
    promotion = open_promotion(team, team.prompt(), 1, channel=channel)
    with refused("promotion_policy"):
        apply(team, promotion)


def test_a_check_alone_protects(careful_team: Team) -> None:
    set_policy(careful_team, required_approvals=0, required_checks=["secrets"])
    prompt = careful_team.prompt()
    with refused("promotion_required"):
        forge_release(prompt, careful_team.stable, careful_team.version(prompt, 1), careful_team.cleo)


# Four eyes -----------------------------------------------------------------------------------------------------------


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


# Reviews --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["noor", "farah", "outsider", "superuser", "inactive", "removed", "key"])
def test_only_who_may_review_decides(careful_team: Team, who: str) -> None:
    team = careful_team
    promotion = open_promotion(team, team.prompt(), 1)
    reviewer = reviewer_without_right(team, who)
    for decision in ("approve", "request_changes"):
        with refused("review_right"):
            review(promotion, reviewer, decision)


def reviewer_without_right(team: Team, who: str) -> Any:
    if who == "superuser":
        team.outsider.is_superuser = True
        team.outsider.save()
        return team.outsider
    if who == "inactive":
        take_activity(team)
        return team.ben
    if who == "removed":
        take_membership(team)
        return team.ben
    if who == "key":
        team.key("manage")
        return ApiKey.objects.get().service_account
    return getattr(team, who)


def take_activity(team: Team) -> None:
    team.ben.user.is_active = False
    team.ben.user.save()


def take_membership(team: Team) -> None:
    remove_member(membership=Membership.objects.get(project=team.project, user=team.ben.user), by=None)


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


def dismiss(given: Review, by: Any, reason: str = "Settled by mail") -> ReviewDismissal:
    return ReviewDismissal.objects.create(review=given, dismissed_by=by, reason=reason)


def test_a_dismissed_approval_falls_away(careful_team: Team, ready: Promotion) -> None:
    dismiss(ready.reviews.get(), careful_team.cleo.user)
    with refused("promotion_approvals"):
        apply(careful_team, ready)


def test_a_dismissed_objection_falls_away(careful_team: Team, ready: Promotion) -> None:
    dismiss(review(ready, careful_team.emil, "request_changes"), careful_team.cleo.user)
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


# Checks --------------------------------------------------------------------------------------------------------------


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


# What a promotion is bound to ---------------------------------------------------------------------------------------


def test_an_approved_version_is_not_swapped(careful_team: Team, ready: Promotion) -> None:
    team = careful_team
    with refused("promotion_matches"):
        forge_release(ready.prompt, team.stable, team.version(ready.prompt, 1), team.cleo, promotion=ready)


def test_an_approval_for_one_channel_is_none_for_another(careful_team: Team, ready: Promotion) -> None:
    """Both channels share their policy's row, so that nothing but the channel differs."""
    team = careful_team
    beta = Channel.objects.create(project=team.project, name="beta")
    run("ALTER TABLE public.prompts_channelpolicy DISABLE TRIGGER policy_insert")
    run("ALTER TABLE public.prompts_channelpolicy DISABLE TRIGGER policy_frozen")
    run("ALTER TABLE public.prompts_channel DISABLE TRIGGER channel_update")
    run("UPDATE public.prompts_channelpolicy SET channel_id = %s WHERE id = %s", [beta.pk, ready.policy_id])
    run("UPDATE public.prompts_channel SET policy_id = %s WHERE id = %s", [ready.policy_id, beta.pk])
    with refused("promotion_matches"):
        forge_release(ready.prompt, beta, ready.version, team.cleo, promotion=ready)


def test_the_live_version_has_not_moved_since(careful_team: Team) -> None:
    team = careful_team
    prompt = team.prompt(versions=3)
    late = half_ready(team, prompt, 3)
    review(late, team.ben)
    make_live(team, prompt, 2)
    with refused("promotion_base"):
        apply(team, late)


def test_the_policy_has_not_changed_since(careful_team: Team, ready: Promotion) -> None:
    set_policy(careful_team, required_approvals=1, required_checks=["secrets"])
    with refused("promotion_policy"):
        apply(careful_team, ready)


def test_a_policy_swapped_in_the_same_transaction_helps_nobody(careful_team: Team) -> None:
    team = careful_team
    promotion = half_ready(team)
    change = propose(team, team.cleo.user, required_approvals=0, required_checks=[])
    with refused("promotion_policy"):
        enact(change, team.emil.user)
        apply(team, promotion)


@pytest.mark.parametrize("state", ["WITHDRAWN", "REJECTED"])
def test_a_closed_promotion_is_not_applied(careful_team: Team, ready: Promotion, state: str) -> None:
    """The rule that closes once is taken away first: this one refuses alone."""
    close(careful_team, ready, state)
    run("ALTER TABLE public.prompts_promotion DISABLE TRIGGER promotion_update")
    with refused("promotion_open"):
        apply(careful_team, ready)


def close(team: Team, promotion: Promotion, state: str, **fields: Any) -> None:
    row = {"state": state, "closed_by": team.cleo.user, "closed_at": timezone.now()}
    Promotion.objects.filter(pk=promotion.pk).update(**row | fields)


def test_a_freeze_stops_a_ready_promotion(careful_team: Team, ready: Promotion) -> None:
    now = timezone.now()
    FreezeWindow.objects.create(
        channel=careful_team.stable,
        starts_at=now - timedelta(hours=1),
        ends_at=now + timedelta(hours=1),
        reason="Holidays",
        created_by=careful_team.farah.user,
    )
    with refused("freeze"):
        apply(careful_team, ready)


def test_a_superuser_applies_nothing(careful_team: Team, ready: Promotion) -> None:
    team = careful_team
    team.outsider.is_superuser = True
    team.outsider.save()
    with refused("release_right"):
        forge_release(ready.prompt, team.stable, ready.version, team.outsider, promotion=ready)


# Promotions -----------------------------------------------------------------------------------------------------------


def test_a_promotion_is_opened_on_the_present(careful_team: Team) -> None:
    team = careful_team
    prompt, other = team.prompt(versions=2), team.prompt("other")
    make_live(team, prompt, 1)
    beta = create_channel(project=team.project, name="beta", policy={"required_approvals": 0}, creator=None)
    closed = {"closed_by": team.ada.user, "closed_at": timezone.now()}
    for forged in (
        {"base_version_id": None},
        {"base_revision": 0},
        {"policy_id": beta.policy_id},
        {"version_id": team.version(other, 1).pk},
        {"state": "APPLIED"} | closed,
        {"state": "WITHDRAWN"} | closed,
    ):
        with refused("promotion_on_the_present"):
            open_promotion(team, prompt, 2, **forged)


def test_one_promotion_of_a_version_is_open(careful_team: Team, ready: Promotion) -> None:
    with refused("promotion_open_once"):
        open_promotion(careful_team, ready.prompt, 2)


@pytest.mark.parametrize("state", ["WITHDRAWN", "REJECTED", "APPLIED"])
def test_a_promotion_is_closed_once(careful_team: Team, ready: Promotion, state: str) -> None:
    apply(careful_team, ready)
    with refused("promotion_closes_once"):
        close(careful_team, ready, state)


def test_a_closed_promotion_is_not_opened_again(careful_team: Team, ready: Promotion) -> None:
    close(careful_team, ready, "WITHDRAWN")
    with refused("promotion_closes_once"):
        Promotion.objects.filter(pk=ready.pk).update(state="OPEN", closed_by=None, closed_at=None)


def test_an_open_promotion_is_not_changed(careful_team: Team, ready: Promotion) -> None:
    team = careful_team
    other = team.version(ready.prompt, 1)
    for forged in (
        {"version": other},
        {"base_version": other},
        {"base_revision": 1},
        {"diff_digest": b"forged"},
        {"opener": team.noor.user},
        {"opened_by": team.noor.user},
        {"opened_at": timezone.now()},
        {"title": "Harmless"},
        {"note": "Harmless"},
    ):
        with refused("promotion_closes_once"):
            close(team, ready, "WITHDRAWN", **forged)


@pytest.mark.parametrize("state", ["SUPERSEDED", "WITHDRAWN"])
def test_only_a_superseded_promotion_has_a_successor(careful_team: Team, ready: Promotion, state: str) -> None:
    successor = open_promotion(careful_team, ready.prompt, 1) if state == "WITHDRAWN" else None
    with refused("promotion_closes_once"):
        close(careful_team, ready, state, successor=successor)


def test_a_promotion_is_applied_by_its_release_alone(careful_team: Team, ready: Promotion) -> None:
    with refused("promotion_applied_by_release"):
        close(careful_team, ready, "APPLIED")


def test_only_an_open_promotion_is_scheduled(careful_team: Team, ready: Promotion) -> None:
    apply(careful_team, ready)
    with refused("schedule_of_open"):
        Schedule.objects.create(promotion=ready, apply_at=timezone.now(), actor=careful_team.cleo.user)


def test_the_database_dates_what_people_decide(careful_team: Team, ready: Promotion) -> None:
    old = timezone.now() - timedelta(days=400)
    given = review(ready, careful_team.emil, at=old)
    stored = check(ready, "secrets", at=old)
    dismissal = ReviewDismissal.objects.create(review=given, dismissed_by=careful_team.cleo.user, reason="No", at=old)
    schedule = Schedule.objects.create(promotion=ready, actor=careful_team.cleo.user, at=old)
    rows = [*Review.objects.all(), *Check.objects.all(), dismissal, schedule, stored]
    for row in rows:
        row.refresh_from_db()
    held(all(row.at > old for row in rows), True, "the database says when it was decided")
    close(careful_team, ready, "REJECTED", closed_at=old)
    ready.refresh_from_db()
    held(ready.closed_at is not None and ready.closed_at > old, True, "the database says when it was closed")


# Policies -----------------------------------------------------------------------------------------------------------


def alone(team: Team, **fields: Any) -> ChannelPolicy:
    """A policy without a proposal."""
    row = {"channel": team.stable, "revision": 2, "author": team.cleo.user, "required_approvals": 0}
    return ChannelPolicy.objects.create(**row | fields)


@pytest.mark.parametrize("fields", [{}, {"author": None}, {"required_approvals": 5}])
def test_nobody_changes_a_protected_channel_alone(careful_team: Team, fields: dict[str, Any]) -> None:
    with refused("policy_four_eyes"):
        alone(careful_team, **fields)


@pytest.mark.parametrize("who", ["cleo", "ada", "ben", "noor", "outsider", "superuser", "nobody"])
def test_another_person_who_may_configure_approves_it(careful_team: Team, who: str) -> None:
    team = careful_team
    change = propose(team, team.cleo.user, required_approvals=0, required_checks=[])
    found = None if who == "nobody" else reviewer_without_right(team, who)
    with refused("policy_four_eyes"):
        enact(change, getattr(found, "user", found))


def test_the_person_behind_the_proposing_key_does_not_approve_it(careful_team: Team) -> None:
    team = careful_team
    team.key("manage")
    change = propose(team, ApiKey.objects.get().service_account, required_approvals=0, required_checks=[])
    with refused("policy_four_eyes"):
        enact(change, team.emil.user)


def test_exactly_what_was_proposed_becomes_the_policy(careful_team: Team) -> None:
    team = careful_team
    change = propose(team, team.cleo.user, required_approvals=2)
    forged: dict[str, Any] = {
        "required_approvals": 0,
        "required_checks": [],
        "review_groups": [["role:viewer"]],
        "approval_ttl_days": 365,
        "evidence_ttl_days": 365,
        "rollout_plan": [1],
        "rollback_roles": ["viewer"],
    }
    for field, lie in forged.items():
        with refused("policy_four_eyes"):
            enact(change, team.emil.user, **{field: lie})


@pytest.mark.parametrize("about", ["author", "channel", "base"])
def test_a_proposal_is_for_one_channel_as_it_stands(careful_team: Team, about: str) -> None:
    team = careful_team
    change = propose(team, team.cleo.user, required_approvals=0, required_checks=[])
    forged: dict[str, Any] = {}
    if about == "author":
        forged["author"] = team.farah.user
    if about == "channel":
        beta = create_channel(project=team.project, name="beta", policy={"required_approvals": 1}, creator=None)
        forged["channel"] = beta
        forged["revision"] = 2
    if about == "base":
        set_policy(team, required_approvals=3)
    with refused("policy_four_eyes"):
        enact(change, team.emil.user, **forged)


@pytest.mark.parametrize("revision", [1, 3, 0])
def test_policies_are_numbered_without_a_gap(team: Team, revision: int) -> None:
    run("ALTER TABLE public.prompts_channelpolicy DROP CONSTRAINT channel_policy_revision_once")
    with refused("policy_revision_next"):
        alone(team, revision=revision)


def test_a_channel_points_at_its_newest_policy(careful_team: Team) -> None:
    team = careful_team
    weak = create_channel(project=team.project, name="beta", policy={"required_approvals": 0}, creator=None).policy
    first = newest_policy(team.stable)
    held(Channel.objects.get(pk=team.stable.pk).policy_id, first.pk, "the channel points at its newest policy")
    set_policy(team, required_approvals=2)
    for policy in (weak, first, None):
        with refused("channel_policy_newest"):
            Channel.objects.filter(pk=team.stable.pk).update(policy=policy)


def test_the_channel_follows_its_newest_policy(team: Team) -> None:
    channel = Channel.objects.get(pk=team.stable.pk)
    held(channel.policy_id, newest_policy(channel).pk, "the channel points at its first policy")
    policy = alone(team)
    channel.refresh_from_db()
    held(channel.policy_id, policy.pk, "the channel points at its newest policy")


@pytest.mark.parametrize("field", ["name", "project"])
def test_a_channel_keeps_its_name_and_project(team: Team, field: str) -> None:
    forged = "other" if field == "name" else make_team("other", preset="solo").project
    with refused("channel_policy_newest"):
        Channel.objects.filter(pk=team.stable.pk).update(**{"name": "x", field: forged})


def frozen_week(team: Team) -> FreezeWindow:
    now = timezone.now()
    return FreezeWindow.objects.create(
        channel=team.stable,
        starts_at=now,
        ends_at=now + timedelta(days=7),
        reason="Holidays",
        created_by=team.cleo.user,
    )


def test_a_freeze_is_set_and_lifted_by_who_may(team: Team) -> None:
    freeze = frozen_week(team)
    now = timezone.now()
    for person in (team.ada.user, team.noor.user, team.outsider):
        with refused("freeze_right"):
            FreezeWindow.objects.create(
                channel=team.stable, starts_at=now, ends_at=now + timedelta(days=1), reason="x", created_by=person
            )
        with refused("freeze_lift_right"):
            FreezeWindow.objects.filter(pk=freeze.pk).update(lifted_at=now, lifted_by=person)


@pytest.mark.parametrize("field", ["starts_at", "ends_at", "reason", "created_by", "created_at", "lifted_by"])
def test_a_freeze_is_lifted_and_not_changed(team: Team, field: str) -> None:
    freeze = frozen_week(team)
    now = timezone.now()
    row: dict[str, Any] = {"lifted_at": now, "lifted_by": team.cleo.user}
    forged = {"reason": "x", "created_by": team.ada.user, "lifted_by": None, "starts_at": now, "created_at": now}
    with refused("freeze_lifted_once"):
        FreezeWindow.objects.filter(pk=freeze.pk).update(**row | {field: forged.get(field, now + timedelta(hours=1))})


def test_a_freeze_is_lifted_once(team: Team) -> None:
    freeze = frozen_week(team)
    old = timezone.now() - timedelta(days=3)
    FreezeWindow.objects.filter(pk=freeze.pk).update(lifted_at=old, lifted_by=team.cleo.user)
    freeze.refresh_from_db()
    held(freeze.lifted_at is not None and freeze.lifted_at > old, True, "the database says when it was lifted")
    for row in ({"lifted_at": None, "lifted_by": None}, {"lifted_at": timezone.now()}):
        with refused("freeze_lifted_once"):
            FreezeWindow.objects.filter(pk=freeze.pk).update(**row)
