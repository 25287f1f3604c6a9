"""Letters for a new password: each goes once, however slow the mail server is and whoever sends beside."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from accounts.models import ResetLetter
from accounts.reset_letters import LEASE, send_letters
from tests.personas import Team


class Server(EmailBackend):
    """A mail server during whose work other things happen."""

    meanwhile: ClassVar[list[Any]] = []

    def send_messages(self, messages: Any) -> int:
        assert not connection.in_atomic_block, "PostgreSQL ends a transaction that waits for a mail server"
        for happens in self.meanwhile:
            happens()
        return int(super().send_messages(messages))


@pytest.fixture(autouse=True)
def mail_server(team: Team) -> Iterator[type[Server]]:
    with override_settings(MAILERS={"default": {"BACKEND": f"{__name__}.Server"}}):
        mail.outbox = []
        ResetLetter.objects.create(user=team.ada.user)
        yield Server
        Server.meanwhile.clear()


def test_a_letter_goes_once_although_the_next_sweep_comes_while_it_is_sent(mail_server: type[Server]) -> None:
    mail_server.meanwhile.append(send_letters)
    send_letters()
    assert [letter.to for letter in mail.outbox] == [["ada@shop.example"]]
    assert not ResetLetter.objects.exists()


def test_a_letter_that_could_not_be_sent_waits_no_longer_than_its_link_would_last(mail_server: type[Server]) -> None:
    def refuse() -> None:
        raise ConnectionRefusedError

    asked_at = ResetLetter.objects.get().asked_at
    mail_server.meanwhile.append(refuse)
    send_letters()
    assert ResetLetter.objects.get().asked_at == asked_at
    ResetLetter.objects.update(asked_at=timezone.now() - timedelta(seconds=3601))
    mail_server.meanwhile.clear()
    send_letters()
    assert not mail.outbox
    assert not ResetLetter.objects.exists()


def test_a_worker_that_dies_while_it_sends_leaves_the_letter_to_a_later_sweep(mail_server: type[Server]) -> None:
    mail_server.meanwhile.append(sys.exit)
    with pytest.raises(SystemExit):
        send_letters()
    mail_server.meanwhile.clear()
    send_letters()
    assert not mail.outbox, "another worker may still be sending it"
    ResetLetter.objects.update(asked_at=timezone.now() - LEASE)
    send_letters()
    assert len(mail.outbox) == 1
