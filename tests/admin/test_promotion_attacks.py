"""What the admin's pages about promotions must not do: each attempt is refused with its sentence and writes nothing."""

import time
from datetime import timedelta
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.actions.members import remove_member, set_roles
from accounts.models import Membership, User
from accounts.sign_in import SIGNED_IN_AT
from events.admin.seen import page_of
from prompts.actions.promotions import open_promotion
from prompts.actions.reviews import review
from prompts.actions.versions import save_version
from prompts.models import Promotion, Release, Review, Schedule
from prompts.shapes import digest_text
from tests.admin.conftest import Browser, snapshot
from tests.admin.desk import Desk, errors_of, page_for, text_of
from tests.guards.attacks import set_policy
from tests.personas import Team
from tests.promotions.steps import NAME, applied, approved, requested
from tests.races.conftest import at_once

VERBS = ("review", "apply", "schedule", "unschedule", "renew", "withdraw", "reject")
SOON = f"{timezone.now() + timedelta(days=1):%Y-%m-%dT%H:%M}"
TYPED = {"decision": "approve", "reason": "Because it is so.", "apply_at": SOON}
CHANGED = (
    "Since this page was opened, the live version, the policy or a review of your own has changed. "
    "Look at the promotion as it is now, then decide."
)
RELEASE = "Your role in shop does not let you release and roll back."


def test_nobody_approves_their_own(careful_team: Team, browser: Browser) -> None:
    """Emil may do everything, so only four eyes stand in his way."""
    team = careful_team
    prompt = team.prompt()
    save_version(by=team.emil, prompt=prompt, content="Emil's")
    save_version(by=team.ada, prompt=prompt, content="Ada's, on top of it")
    emil = Desk(browser(team.emil.user))
    mine = emil.opens(team.version(team.prompt("support/other"), 1))
    before = snapshot()
    for promotion, why in (
        (requested(team, prompt, 3), f"You wrote {NAME}@2, so somebody else approves it."),
        (mine, "You opened this promotion, so somebody else approves it."),
    ):
        before = snapshot()
        page = emil.client.get(page_for(promotion, "review"))
        assert [value for value, _ in page.context["form"]["decision"].field.widget.choices] == [
            "request_changes",
            "comment",
        ]
        assert why in text_of(page)
        assert why in emil.read(promotion)
        assert emil.is_refused(promotion, "review", decision="approve") == [why]
        assert snapshot() == before
        assert emil.does(promotion, "review", decision="request_changes") == "You asked for changes."


def test_another_projects_promotion_is_not_there(careful_team: Team, others: Team, browser: Browser) -> None:
    theirs = Promotion.objects.get(prompt__project=others.project)
    rows = [(theirs, VERBS), (theirs.version, ("promotion",)), (theirs.reviews.get(), ("dismiss",))]
    rows.append((Release.objects.get(kind="break_glass"), ("ratify",)))
    client, before = browser(careful_team.emil.user), snapshot()
    for row, words in rows:
        for word in words:
            theirs_page = page_for(row, word)
            row_id, row.pk = row.pk, 2**31
            for page in (theirs_page, page_for(row, word)):
                assert client.get(page).status_code == 404, page
                assert client.post(page, TYPED).status_code == 404, page
            row.pk = row_id
    assert snapshot() == before


def test_a_superuser_sees_all_and_decides_nothing(careful_team: Team, root: User, browser: Browser) -> None:
    team = careful_team
    prompt = team.prompt(versions=2)
    promotion = approved(team, prompt, 1)
    boss, before = Desk(browser(root)), snapshot()
    assert "Approved by Ben." in boss.read(promotion)
    assert boss.offered(promotion) == []
    for word in VERBS:
        [why] = errors_of(boss.client.post(page_for(promotion, word), boss.form(page_for(promotion, word)) | TYPED))
        assert why.startswith("Your role in shop does not let you "), (word, why)
    assert boss.is_refused(promotion.reviews.get(), "dismiss", reason="No") == [RELEASE]
    assert boss.is_refused(team.version(prompt, 2), "promotion") == [
        "Your role in shop does not let you save versions."
    ]
    assert snapshot() == before


def test_looking_changes_nothing_and_a_post_takes_a_token(careful_team: Team, browser: Browser) -> None:
    team = careful_team
    promotion = approved(team, team.prompt(versions=2), 1)
    emil, before = Desk(browser(team.emil.user)), snapshot()
    emil.read(promotion)
    for word in VERBS:
        for ask in (emil.client.get, emil.client.head):
            assert ask(page_for(promotion, word), TYPED).status_code == 200
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = emil.client.cookies
    for word in VERBS:
        assert strict.post(page_for(promotion, word), TYPED).status_code == 403
    for action in ("delete_selected", "apply", ""):
        asked = {"action": action, "_selected_action": [promotion.pk]}
        emil.client.post(reverse("admin:prompts_promotion_changelist"), asked)
    assert emil.client.post(page_of(promotion), {"state": "APPLIED", "_save": "Save"}).status_code == 403
    assert snapshot() == before


def test_what_is_sent_again_is_refused_or_changes_nothing(careful_team: Team, browser: Browser) -> None:
    team = careful_team
    prompt = team.prompt(versions=3)
    ada, ben, cleo = (Desk(browser(who.user)) for who in (team.ada, team.ben, team.cleo))

    def twice(desk: Desk, row: Any, word: str, **typed: Any) -> list[str]:
        """Send a form, then the same bytes once more; the sentences of the second answer."""
        page = page_for(row, word)
        sent = desk.form(page) | typed
        assert desk.client.post(page, sent).status_code == 302
        before = snapshot()
        again = desk.client.post(page, sent)
        assert snapshot() == before, word
        return [] if again.status_code == 302 else errors_of(again)

    one, two, three = (team.version(prompt, number) for number in (1, 2, 3))
    assert twice(ada, one, "promotion") == [
        f"A promotion of {NAME}@1 to stable is open already.",
        "Go on with the one that is open.",
    ]
    first = Promotion.objects.get()
    for decision in ("comment", "request_changes", "approve"):
        assert twice(ben, first, "review", decision=decision, body="Kind.") == [CHANGED]
    assert twice(cleo, first, "schedule", apply_at=SOON) == []
    assert Schedule.objects.count() == 1
    assert twice(cleo, first, "unschedule") == []
    rivals = [ada.opens(two), ada.opens(three)]
    assert twice(cleo, first, "apply") == ["The promotion is closed: it was applied."]
    assert twice(ada, rivals[0], "renew") == ["The promotion is closed: it was superseded."]
    assert twice(ada, rivals[1], "withdraw") == ["The promotion is closed: it was withdrawn."]
    last = Promotion.objects.get(state="OPEN")
    assert twice(ben, last, "reject", reason="No") == ["The promotion is closed: it was rejected."]


def test_one_form_that_is_sent_four_times_at_once_is_one_review(careful_team: Team, browser: Browser) -> None:
    team = careful_team
    set_policy(team, required_approvals=2)
    promotion = requested(team, team.prompt(), 1)
    ben = Desk(browser(team.ben.user))
    page = page_for(promotion, "review")
    sent = ben.form(page) | {"decision": "approve"}
    clients = [browser(team.ben.user) for _ in range(4)]
    answers = at_once(4, lambda number: clients[number].post(page, sent))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 302]
    assert {tuple(errors_of(answer)) for answer in answers if answer.status_code == 200} == {(CHANGED,)}
    assert Review.objects.count() == 1
    assert "One approval of two is missing." in ben.read(promotion)


def test_who_left_or_lost_the_role_decides_nothing_with_an_open_page(careful_team: Team, browser: Browser) -> None:
    team = careful_team
    promotion = requested(team, team.prompt(), 1)
    ben = Desk(browser(team.ben.user))
    page = page_for(promotion, "review")
    sent = ben.form(page) | {"decision": "approve", "body": "Kept, whatever happens"}
    set_roles(project=team.project, user=team.ben.user, roles=["viewer"], by=team.farah)
    before = snapshot()
    answer = ben.client.post(page, sent)
    assert errors_of(answer) == ["Your role in shop does not let you review."]
    assert "Kept, whatever happens" in text_of(answer)
    assert snapshot() == before
    remove_member(membership=Membership.objects.get(user=team.ben.user), by=team.farah)
    before = snapshot()
    assert ben.client.post(page, sent).status_code == 404
    assert snapshot() == before


def test_a_page_that_grew_old_decides_nothing(careful_team: Team, browser: Browser) -> None:
    team = careful_team
    prompt = team.prompt(versions=3)
    applied(team, prompt, 1)
    ben, cleo = Desk(browser(team.ben.user)), Desk(browser(team.cleo.user))
    promotion = approved(team, prompt, 3)
    pages = {word: page_for(promotion, word) for word in ("review", "apply", "schedule")}
    desks = {"review": ben, "apply": cleo, "schedule": cleo}
    opened = {word: desks[word].form(page) for word, page in pages.items()}
    typed = {"decision": "approve", "body": "Kept", "reason": "Kept", "apply_at": SOON}

    def sent(word: str) -> Any:
        before = snapshot()
        answer = desks[word].client.post(pages[word], opened[word] | typed)
        assert snapshot() == before
        assert "Kept" in text_of(answer)
        return answer

    applied(team, prompt, 2)  # the base moved
    stale = "It was opened when version 1 was live on stable; by now version 2 is. Renew the promotion."
    answer = sent("review")
    assert errors_of(answer) == [CHANGED]
    for word in ("apply", "schedule"):
        assert errors_of(sent(word)) == [f"{NAME}@3 cannot go live on stable yet. {stale}"]
    # The page came again as things are now: sent as it stands, it is a decision on what it shows.
    again = {name: answer.context["form"][name].value() or "" for name in ("seen", "diff_digest", "body")}
    assert ben.client.post(pages["review"], again | {"decision": "request_changes"}).status_code == 302

    opened["review"] = ben.form(pages["review"])
    set_policy(team, required_approvals=2)  # the policy moved
    assert errors_of(sent("review")) == [CHANGED]
    assert "The policy of stable has changed since it was opened." in errors_of(sent("apply"))[0]

    opened["review"] = ben.form(pages["review"])
    Desk(browser(team.ada.user)).does(promotion, "renew")  # another promotion took its place
    for word in pages:
        assert errors_of(sent(word)) == ["The promotion is closed: it was superseded."]


def test_a_form_without_what_was_seen_decides_nothing(careful_team: Team, browser: Browser) -> None:
    promotion = requested(careful_team, careful_team.prompt(), 1)
    ben, page = Desk(browser(careful_team.ben.user)), page_for(promotion, "review")
    whole, before = ben.form(page) | {"decision": "approve"}, snapshot()
    for name in ("seen", "diff_digest"):
        for value in ("", "0.0.0", "sha256:00"):
            assert errors_of(ben.client.post(page, whole | {name: value}))
    assert errors_of(ben.client.post(page, {name: whole[name] for name in ("seen", "diff_digest")})) == [
        "This field is required."
    ]
    assert errors_of(ben.client.post(page, whole | {"decision": "merge"}))
    assert snapshot() == before


def test_a_sign_in_of_yesterday_leads_to_a_new_one_and_back(careful_team: Team, browser: Browser) -> None:
    team = careful_team
    promotion = approved(team, team.prompt(), 1)
    sentence = "This takes a sign-in within the last 12 hours. Sign in again and repeat."
    for person, words in ((team.ben, ("review", "reject")), (team.cleo, ("apply", "schedule"))):
        desk = Desk(browser(person.user))
        session: Any = desk.client.session
        session[SIGNED_IN_AT] = time.time() - 12 * 3600 - 1
        session.save()
        for word in words:
            page, before = page_for(promotion, word), snapshot()
            link = f'href="{reverse("account_reauthenticate")}?next={page.replace("/", "%2F")}"'
            shown = desk.client.get(page)
            assert sentence in text_of(shown)
            assert link in shown.content.decode()
            answer = desk.client.post(page, desk.form(page) | TYPED | {"body": "Kept"})
            assert errors_of(answer) == [sentence]
            assert link in answer.content.decode()
            assert ("Kept" if word == "review" else SOON if word == "schedule" else "Because") in str(answer.content)
            assert snapshot() == before
    assert Desk(browser(team.cleo.user)).does(promotion, "apply")


def test_hidden_text_is_acknowledged_by_a_box_that_nobody_ticked(careful_team: Team, browser: Browser) -> None:
    team = careful_team
    hidden = "".join(chr(0xE0000 + ord(character)) for character in "<script>alert")
    prompt = team.prompt(content=f"Be kind.{hidden}<script>alert(1)</script>")
    ben, cleo = Desk(browser(team.ben.user)), Desk(browser(team.cleo.user))
    promotion = open_promotion(
        by=team.ada, prompt=prompt, channel=team.stable, version=team.version(prompt, 1), title="\u202eevil <b>"
    )
    page = ben.client.get(page_for(promotion, "review"))
    html = page.content.decode()
    assert "checked" not in html
    assert "13 hidden tag characters that spell “<script>alert”" in text_of(page)
    assert "13 characters that a reader does not see as stored, the first U+E003C in the text, line 1" in text_of(page)
    assert "<script>alert" not in html
    assert "right-to-left override U+202E" in ben.read(promotion)
    assert (
        "\u202e"
        not in ben.client.get(page_of(promotion)).content.decode().split('class="plate"')[1].split("<details")[0]
    )
    ben.does(promotion, "review", decision="approve")
    assert "Ben must acknowledge hidden-text when approving." in cleo.is_refused(promotion, "apply")[0]
    ben.does(promotion, "review", decision="approve", acknowledged="hidden-text")
    assert "Acknowledged by every approver." in cleo.read(promotion)
    cleo.does(promotion, "apply")


def test_the_list_says_how_each_stands_at_the_cost_of_one(careful_team: Team, browser: Browser) -> None:
    team = careful_team
    client, page = browser(team.ben.user), reverse("admin:prompts_promotion_changelist")
    prompt = team.prompt(versions=12)
    approved(team, prompt, 1)

    def cost() -> int:
        client.get(page)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(page).status_code == 200
        return len(queries)

    before = cost()
    for number in range(2, 13):
        promotion = requested(team, prompt, number)
        for who in (team.ben, team.emil):
            review(
                by=who, promotion=promotion, decision="request_changes", diff_digest=digest_text(promotion.diff_digest)
            )
    assert cost() == before
    shown = text_of(client.get(page))
    assert (shown.count("changes requested"), shown.count("ready")) == (12, 2)  # each once more among the filters
    for wanted, count in (("ready", 1), ("changes_requested", 11), ("applied", 0), ("nonsense", 12)):
        assert client.get(page, {"status": wanted}).context["cl"].queryset.count() == count, wanted
