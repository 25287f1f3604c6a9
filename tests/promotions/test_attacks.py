"""Everything that must not get a version live: each attempt is refused with its sentence, and writes nothing."""

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts.actions.members import remove_member, set_roles
from accounts.models import ApiKey, Membership
from accounts.policies import Principal
from promptforge.lib.errors import DomainError
from promptforge.lib.refusals import refusals
from prompts.actions.promotions import apply_promotion, open_promotion, renew
from prompts.actions.reviews import dismiss_review, review
from prompts.actions.rights import set_prompt_rights
from prompts.actions.versions import save_version
from prompts.models import Check, Head, Promotion, Release, Review
from prompts.shapes import digest_text
from tests.api.conftest import Caller, body_of, problem_of
from tests.api.people import person, signed_in
from tests.authorization.world import everything
from tests.guards.attacks import enact, in_another_session, propose, run, set_policy
from tests.personas import Team
from tests.promotions.steps import NAME, applied, approved, opened, requested
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


def refused_with(act: Callable[[], Any]) -> str | None:
    with pytest.raises(DomainError) as refusal, refusals():
        act()
    return refusal.value.code


# Four eyes ------------------------------------------------------------------------------------------------------------
def test_nobody_approves_their_own(careful_team: Team) -> None:
    """Emil may do everything, so only four eyes stand in his way."""
    team = careful_team
    prompt = team.prompt()
    applied(team, prompt, 1)
    save_version(by=team.emil, prompt=prompt, content="Emil's")
    save_version(by=team.ada, prompt=prompt, content="Ada's, on top of it")
    for promotion in (requested(team, prompt, 3), requested(team, prompt, 2)):
        sentence = refused(lambda promotion=promotion: approve(team.emil, promotion), "four_eyes")
        assert sentence == f"You wrote {NAME}@2, so somebody else approves it."
    mine = requested(team, team.prompt("support/other"), 1, by=team.emil)
    assert "You opened this promotion" in refused(lambda: approve(team.emil, mine), "four_eyes")
    # Saying no, or a word, is open to him.
    for decision in ("request_changes", "comment"):
        assert review(by=team.emil, promotion=mine, decision=decision, diff_digest=digest_text(mine.diff_digest)).pk


def test_the_author_of_a_new_include_does_not_approve(careful_team: Team) -> None:
    team = careful_team
    snippet = team.prompt("house-style", content="Kind.")
    save_version(by=team.emil, prompt=snippet, content="Short.")
    prompt = team.prompt(content="{{> house-style@1 }} Hi")
    applied(team, prompt, 1)
    save_version(by=team.ada, prompt=prompt, content="{{> house-style@2 }} Hi")
    promotion = requested(team, prompt, 2)
    assert "newly includes" in refused(lambda: approve(team.emil, promotion), "four_eyes")


def test_the_person_behind_a_key_does_not_approve(careful_team: Team) -> None:
    """Emil answers for the key that saved, and for the one that opened."""
    team = careful_team
    team.prompt()
    writer = Caller(team.key("versions:write", "prompts:read"))
    body_of(writer.post("versions", {"prompt": NAME, "content": "By a machine"}), 201)
    opener = Caller(team.key("promotions:write"))
    for promotion, did in (
        (opened(person(team, "ada"), 2), f"You answer for the key that saved {NAME}@2,"),
        (opened(opener, 1), "You opened this promotion,"),
    ):
        body = {"decision": "approve", "diff_digest": promotion["diff_digest"]}
        answer = person(team, "emil").post(f"promotions/{promotion['id']}/reviews", body)
        assert problem_of(answer, 403, "four_eyes")["detail"].startswith(did)
        body_of(person(team, "ben").post(f"promotions/{promotion['id']}/reviews", body), 201)


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


def test_a_comment_erases_no_objection(careful_team: Team) -> None:
    team = careful_team
    promotion = approved(team, team.prompt(), 1)
    digest = digest_text(promotion.diff_digest)
    review(by=team.emil, promotion=promotion, decision="request_changes", diff_digest=digest)
    review(by=team.emil, promotion=promotion, decision="comment", body="Never mind the rest")
    approve(team.ben, promotion)
    sentence = refused(lambda: apply_promotion(by=team.cleo, promotion=promotion), "promotion_not_ready")
    assert "Emil asked for changes." in sentence


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


# Other doors ----------------------------------------------------------------------------------------------------------
def test_a_superuser_decides_nothing(careful_team: Team) -> None:
    team = careful_team
    promotion = approved(team, team.prompt(versions=2), 1)
    root = team.outsider
    root.is_superuser = root.is_staff = True
    root.save()
    before = everything()
    caller = signed_in(root, team.project)
    for verb, body in (
        ("apply", {}), ("reviews", {"decision": "approve"}), ("reject", {"reason": "x"}),
        ("withdraw", None), ("renew", None),
    ):  # fmt: skip
        problem_of(caller.post(path_of(promotion, f"/{verb}"), body), 404, "project_not_found")
    problem_of(caller.get("promotions"), 404, "project_not_found")
    assert everything() == before
    by = Principal(root, team.project)
    refused(lambda: apply_promotion(by=by, promotion=promotion), "forbidden")
    refused(lambda: approve(by, promotion), "forbidden")
    refused(lambda: dismiss_review(by=by, review=promotion.reviews.get(), reason="x"), "forbidden")
    version = team.version(promotion.prompt, 2)
    refused(lambda: open_promotion(by=by, prompt=promotion.prompt, channel=team.stable, version=version), "forbidden")


def forged(team: Team, promotion: Promotion) -> dict[str, Callable[[], Any]]:
    """What code that forgot all rules, a shell or a script would try to get an unapproved promotion live."""
    at = Head.objects.get(prompt=promotion.prompt, channel=team.stable)
    release = Release(
        prompt=promotion.prompt, channel=team.stable, revision=at.revision + 1, kind="promote",
        version=promotion.version, actor=team.cleo.user, promotion=promotion, reason="x",
        at=None, previous_digest=b"", digest=b"",  # type: ignore[misc]
    )  # fmt: skip
    own = Review(promotion=promotion, reviewer=team.ada.user, decision="approve", diff_digest=promotion.diff_digest)
    return {
        "bulk release": lambda: Release.objects.bulk_create([release]),
        "bulk review": lambda: Review.objects.bulk_create([own]),
        "update of the state": lambda: Promotion.objects.filter(pk=promotion.pk).update(
            state="APPLIED", closed_by=team.cleo.user, closed_at=timezone.now()
        ),
        "update of the head": lambda: Head.objects.filter(pk=at.pk).update(version=promotion.version, revision=1),
        "raw review": lambda: run(
            "INSERT INTO prompts_review (promotion_id, reviewer_id, decision, body, diff_digest, acknowledged) "
            "VALUES (%s, %s, 'approve', '', %s, '{}')",
            [promotion.pk, team.farah.user.pk, promotion.diff_digest],
            "default",
        ),
        "raw policy": lambda: run(
            "UPDATE prompts_channelpolicy SET required_approvals = 0, required_checks = '{}'", using="default"
        ),
        "raw promotion": lambda: run("UPDATE prompts_promotion SET opener_id = %s", [team.noor.user.pk], "default"),
        "raw deletion": lambda: run("DELETE FROM prompts_review", using="default"),
    }


DOORS = [
    "bulk release", "bulk review", "update of the state", "update of the head", "raw review", "raw policy",
    "raw promotion", "raw deletion",
]  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_no_other_door_gets_it_live(careful_team: Team, door: str) -> None:
    team = careful_team
    set_roles(project=team.project, user=team.ada.user, roles=["editor", "reviewer"], by=None)
    promotion = requested(team, team.prompt(), 1)
    review(by=team.ben, promotion=promotion, decision="comment")
    attempts = forged(team, promotion)
    assert list(attempts) == DOORS
    before = everything()
    with pytest.raises((DomainError, DatabaseError)), refusals(), transaction.atomic():
        attempts[door]()
    assert everything() == before
    assert Head.objects.get(prompt=promotion.prompt, channel=team.stable).version_id is None


@pytest.mark.parametrize("who", ["ada", "farah", "outsider"])
def test_loaded_rows_are_judged_as_all_are(careful_team: Team, tmp_path: Path, who: str) -> None:
    """`loaddata` writes rows past `save()`."""
    team = careful_team
    promotion = requested(team, team.prompt(), 1)
    found = getattr(team, who)
    row = {
        "model": "prompts.review",
        "fields": {
            "promotion": promotion.pk,
            "reviewer": getattr(found, "user", found).pk,
            "decision": "approve",
            "body": "",
            "diff_digest": b64encode(bytes(promotion.diff_digest)).decode(),
            "acknowledged": "[]",
            "at": timezone.now().isoformat(),
        },
    }
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([row]))
    before = everything()
    with pytest.raises(DatabaseError, match=r"right to review|cannot approve"):
        call_command("loaddata", str(path), verbosity=0)
    assert everything() == before


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
def test_the_past_approves_nothing(careful_team: Team, isolation: str) -> None:
    """In an old snapshot the approval still stands that was dismissed since."""
    team = careful_team
    promotion = approved(team, team.prompt(), 1)
    given = promotion.reviews.get()

    def apply_on_a_snapshot() -> None:
        with transaction.atomic():
            run(f"SET TRANSACTION ISOLATION LEVEL {isolation}", using="default")
            run("SELECT 1 FROM prompts_review", using="default")
            in_another_session(lambda: dismiss_review(by=team.emil, review=given, reason="Look again"))
            apply_promotion(by=team.cleo, promotion=promotion)

    with pytest.raises((DomainError, DatabaseError)):
        apply_on_a_snapshot()
    assert not Release.objects.exists()


def test_tables_in_front_of_ours_approve_nothing(careful_team: Team) -> None:
    """Temporary tables that hold an approval, a policy without demands and passed checks."""
    team = careful_team
    promotion = requested(team, team.prompt(), 1)

    def apply_behind_them() -> None:
        with transaction.atomic():
            for table in ("prompts_review", "prompts_check", "prompts_channelpolicy"):
                run(f"CREATE TEMPORARY TABLE {table} AS SELECT * FROM public.{table}", using="default")
            weak = "UPDATE pg_temp.prompts_channelpolicy SET required_approvals = 0, required_checks = '{}'"
            run(weak, using="default")
            apply_promotion(by=team.cleo, promotion=promotion)

    assert refused_with(apply_behind_them) == "promotion_not_ready"
    assert not Release.objects.exists()


def test_a_lie_about_hidden_text_is_not_stored(careful_team: Team) -> None:
    team = careful_team
    promotion = requested(team, team.prompt(content="Pay \u202eevil\u202c"), 1)
    about = {"version": promotion.version, "base_version": None, "policy": promotion.policy}
    lie = {"promotion": promotion, "name": "hidden-text", "conclusion": "passed", "summary": "Clean"}
    refused(lambda: Check.objects.create(**about, **lie), "guard")


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


def test_two_approvals_by_one_person_at_once_are_one(careful_team: Team) -> None:
    team = careful_team
    set_policy(team, required_approvals=2)
    promotion = requested(team, team.prompt(), 1)
    answers = at_once(4, lambda _: approve(team.ben, promotion))
    assert all(isinstance(answer, Review) for answer in answers)
    sentence = refused(lambda: apply_promotion(by=team.cleo, promotion=promotion), "promotion_not_ready")
    assert "One approval of two is missing." in sentence


@pytest.mark.parametrize("round_", range(4))
def test_a_policy_weakened_in_the_same_second_helps_nobody(careful_team: Team, round_: int) -> None:
    """Cleo proposed to demand nothing; Emil approves that in the moment in which an unapproved promotion is applied."""
    team = careful_team
    promotion = requested(team, team.prompt(), 1)
    change = propose(team, team.cleo.user, required_approvals=0, required_checks=[])
    acts = [
        lambda: apply_promotion(by=team.cleo, promotion=promotion),
        lambda: enact(change, team.emil.user),
    ]
    answers = at_once(2, lambda n: acts[n]())
    assert isinstance(answers[0], DomainError), answers
    assert answers[0].code == "promotion_not_ready"
    assert not Release.objects.exists()


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
