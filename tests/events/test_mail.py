"""Letters: each event once to each person it concerns, never to somebody who left, and never in the way of anything."""

from typing import Any

import pytest
from django.conf import LazySettings
from django.core import mail
from django.utils import timezone

from accounts.actions.members import grant_break_glass, remove_member, set_roles
from accounts.models import Membership, User
from events import mail as post_office
from events.mail import post, write_letters
from events.models import Letter
from prompts.actions.promotions import open_promotion
from prompts.actions.releases import break_glass
from prompts.actions.reviews import review
from prompts.shapes import digest_text
from tests.personas import Team, make_team


@pytest.fixture(autouse=True)
def sending(settings: LazySettings) -> None:
    """With a mail server: Django's tests put one in memory in its place."""
    settings.SENDS_MAIL = True
    mail.outbox = []


def quiet(team: Team) -> None:
    post()
    mail.outbox.clear()


def alarm(team: Team) -> None:
    prompt = team.prompt()
    grant_break_glass(project=team.project, user=team.cleo.user, minutes=15, by=team.farah)
    quiet(team)
    break_glass(
        by=team.cleo,
        prompt=prompt,
        channel=team.stable,
        version=team.version(prompt, 1),
        reason="The live answer insults every customer.",
    )


def receivers() -> list[str]:
    return sorted(address for letter in mail.outbox for address in letter.to)


def test_a_broken_glass_goes_to_release_managers_and_admins_but_for_whoever_broke_it(team: Team) -> None:
    alarm(team)
    post()
    assert receivers() == ["emil@shop.example", "farah@shop.example"]
    letter = mail.outbox[0]
    assert letter.subject == "[PromptForge] Cleo broke glass and put support/greeting@1 on stable live (shop)."
    lines = letter.body.split("\n")
    assert lines[0] == "Cleo broke glass and put support/greeting@1 on stable live (shop)."
    assert lines[2].startswith("http://127.0.0.1:8000/p/shop/prompts/")
    assert letter.body.count("http") == 1
    assert letter.from_email == "PromptForge <promptforge@localhost>"
    post()
    post()
    assert len(mail.outbox) == 2


def test_an_ordinary_release_is_mailed_to_nobody(team: Team) -> None:
    from tests.api.conftest import release

    quiet(team)
    release(team, team.prompt(), 1)
    post()
    assert mail.outbox == []


def test_a_new_member_is_told(team: Team) -> None:
    quiet(team)
    set_roles(project=team.project, user=team.outsider, roles=["editor", "viewer"], by=team.farah)
    post()
    assert receivers() == ["oda@shop.example"]
    assert mail.outbox[0].subject == "[PromptForge] Farah made Oda a member: editor, viewer (shop)."


def test_somebody_who_left_or_was_locked_out_gets_nothing(team: Team) -> None:
    alarm(team)
    write_letters()
    remove_member(membership=Membership.objects.get(project=team.project, user=team.farah.user), by=None)
    User.objects.filter(pk=team.emil.user.pk).update(is_active=False)
    post()
    assert mail.outbox == []
    assert not Letter.objects.exclude(next_at=None).exists()
    # Back again, they are not written what is long past.
    User.objects.filter(pk=team.emil.user.pk).update(is_active=True)
    post()
    assert mail.outbox == []


def test_members_of_another_project_get_nothing(team: Team) -> None:
    rival = make_team("rival", preset="solo")
    alarm(team)
    post()
    assert not [address for address in receivers() if address.endswith("@rival.example")]
    assert rival.project.pk != team.project.pk


def test_a_mail_server_that_fails_gets_it_later_and_once(team: Team, monkeypatch: Any) -> None:
    alarm(team)
    real = post_office.message

    def fails(letter: Letter, told: Any, address: str) -> Any:
        if address == "emil@shop.example":
            raise OSError("554 for emil@shop.example")
        return real(letter, told, address)

    monkeypatch.setattr(post_office, "message", fails)
    post()
    assert receivers() == ["farah@shop.example"]
    waiting = Letter.objects.exclude(next_at=None).get()
    assert (waiting.person_id, waiting.tries) == (team.emil.user.pk, 1)
    assert waiting.next_at is not None
    assert waiting.next_at > timezone.now()
    post()
    assert len(mail.outbox) == 1
    monkeypatch.setattr(post_office, "message", real)
    Letter.objects.exclude(next_at=None).update(next_at=timezone.now())
    post()
    assert receivers() == ["emil@shop.example", "farah@shop.example"]


def test_the_message_id_is_the_same_in_every_try(team: Team) -> None:
    alarm(team)
    post()
    first = {letter.to[0]: letter.extra_headers["Message-ID"] for letter in mail.outbox}
    Letter.objects.filter(sent_at__gte=timezone.now() - timezone.timedelta(minutes=5)).update(next_at=timezone.now())
    mail.outbox.clear()
    post()
    again = {letter.to[0]: letter.extra_headers["Message-ID"] for letter in mail.outbox}
    assert set(again) >= {"emil@shop.example", "farah@shop.example"}
    assert {address: again[address] for address in first} == first
    assert len(set(first.values())) == 2


def test_names_put_nothing_into_the_head(team: Team) -> None:
    User.objects.filter(pk=team.cleo.user.pk).update(name="Cleo\r\nBcc: all@shop.example")
    team.cleo.user.refresh_from_db()
    alarm(team)
    post()
    assert receivers() == ["emil@shop.example", "farah@shop.example"]
    for letter in mail.outbox:
        assert "Bcc" not in letter.message()
        assert "\n" not in letter.subject


def test_without_a_mail_server_nothing_is_kept_for_later(team: Team, settings: LazySettings) -> None:
    settings.SENDS_MAIL = False
    alarm(team)
    post()
    assert Letter.objects.count() == 0
    settings.SENDS_MAIL = True
    post()
    assert mail.outbox == []


def test_a_promotion_goes_to_who_may_review_and_comes_back_to_who_opened(careful_team: Team) -> None:
    team = careful_team
    prompt = team.prompt(versions=1)
    quiet(team)
    promotion = open_promotion(by=team.ada, prompt=prompt, channel=team.stable, version=team.version(prompt, 1))
    post()
    assert receivers() == ["ben@shop.example", "cleo@shop.example", "emil@shop.example"]
    assert mail.outbox[0].subject == "[PromptForge] Ada asks to promote support/greeting@1 to stable (shop)."
    mail.outbox.clear()

    seen = digest_text(promotion.diff_digest)
    review(by=team.ben, promotion=promotion, decision="approve", diff_digest=seen)
    post()
    assert receivers() == []
    review(by=team.ben, promotion=promotion, decision="request_changes", diff_digest=seen, body="Too soft.")
    post()
    assert receivers() == ["ada@shop.example"]
    assert mail.outbox[0].subject == "[PromptForge] Ben asks for changes to support/greeting@1 to stable (shop)."


def test_who_opened_gets_no_request_to_review(careful_team: Team) -> None:
    """Emil may review, and wrote nothing; having opened it, he never approves it."""
    team = careful_team
    prompt = team.prompt()
    quiet(team)
    open_promotion(by=team.emil, prompt=prompt, channel=team.stable, version=team.version(prompt, 1))
    post()
    assert receivers() == ["ben@shop.example", "cleo@shop.example"]
