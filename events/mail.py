"""Carrying events to people by e-mail: each event once to each person whom `subscriptions.MAILED_TO` names."""

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, mailers
from django.db import transaction
from django.db.models import F, OuterRef, Subquery
from django.db.models.functions import Coalesce, Now
from django.utils.module_loading import import_string

from events.fence import is_fenced
from events.models import Event, EventSeal, Letter, MailCursor, Serving
from events.telling import Told, tell
from events.webhooks import pause_after
from promptforge.lib.ids import encode

log = logging.getLogger("promptforge.mail")

LEASE = timedelta(minutes=5)  # longer than a mail server may take for a batch
BATCH = 20


def post() -> None:
    """Write the letters of what happened, and send what is due; without EMAIL_URL none is written."""
    if is_fenced():
        return
    write_letters()
    while letters := _lease():
        _send(letters)


# --- From seals to letters -------------------------------------------------------------------------------------------
def write_letters() -> None:
    """Note for each project's newest events whom they are mailed to."""
    newest = EventSeal.objects.filter(project_id=OuterRef("pk")).order_by("-seq").values("seq")[:1]
    known = MailCursor.objects.filter(pk=OuterRef("pk")).values("seq")
    behind = Serving.objects.annotate(told=Coalesce(Subquery(known), 0), newest=Subquery(newest))
    for pk in behind.filter(told__lt=F("newest")).values_list("pk", flat=True):
        _write(pk)


@transaction.atomic
def _write(project_id: int) -> None:
    MailCursor.objects.get_or_create(pk=project_id)
    cursor = MailCursor.objects.select_for_update().get(pk=project_id)
    seals = EventSeal.objects.filter(project_id=project_id, seq__gt=cursor.seq).select_related("event")
    found = list(seals.order_by("seq")[:1000])
    if settings.SENDS_MAIL:
        written = [Letter(event=s.event, person_id=pk, next_at=Now()) for s in found for pk in _receivers(s.event)]
        Letter.objects.bulk_create(written, ignore_conflicts=True)
    if found:
        MailCursor.objects.filter(pk=project_id).update(seq=found[-1].seq)


def _receivers(event: Event) -> Iterable[int]:
    path = settings.EVENT_MAILED_TO.get(event.kind)
    if path is None:
        return ()
    receivers: Callable[[Event], set[int]] = import_string(path)
    return sorted(receivers(event))


# --- From letters to mail --------------------------------------------------------------------------------------------
@transaction.atomic
def _lease() -> list[Letter]:
    due = Letter.objects.filter(next_at__lte=Now()).select_related("event__seal").order_by("next_at")
    found = list(due.select_for_update(skip_locked=True, of=("self",))[:BATCH])
    if found:
        ids = [letter.pk for letter in found]
        Letter.objects.filter(pk__in=ids).update(next_at=Now() + LEASE, tries=F("tries") + 1)
    return found


def _send(letters: list[Letter]) -> None:
    """Send a batch through one connection. Who has left since gets nothing."""
    addresses: Callable[[list[tuple[int, int]]], dict[tuple[int, int], str]] = import_string(settings.EVENT_ADDRESSES)
    members = addresses([(letter.event.project_id, letter.person_id) for letter in letters])
    told = tell([letter.event.seal for letter in letters])
    try:
        connection = mailers.default
        connection.open()
    except Exception as error:  # noqa: BLE001 - a mail server fails in many ways
        _put_off(letters, error)
        return
    try:
        for letter, said in zip(letters, told, strict=True):
            address = members.get((letter.event.project_id, letter.person_id))
            _send_one(connection, letter, said, address)
    finally:
        connection.close()


def _send_one(connection: Any, letter: Letter, told: Told, address: str | None) -> None:
    if address is None:
        Letter.objects.filter(pk=letter.pk).update(next_at=None)
        return
    try:
        connection.send_messages([message(letter, told, address)])
    except Exception as error:  # noqa: BLE001 - a mail server fails in many ways
        _put_off([letter], error)
    else:
        Letter.objects.filter(pk=letter.pk).update(next_at=None, sent_at=Now())


def message(letter: Letter, told: Told, address: str) -> EmailMessage:
    """A short text with one link. Its Message-ID is the same in every try, so that a mailbox may know it again."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].partition("@")[2] or "localhost"
    return EmailMessage(
        subject=f"[PromptForge] {told.sentence}"[:200],
        body=f"{told.sentence}\n\n{told.url}\n\nYou get this as a member of {told.project}.\n",
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[address],
        headers={
            "Message-ID": f"<{encode('evt', letter.event_id)}.{letter.person_id}@{domain}>",
            "Auto-Submitted": "auto-generated",
        },
    )


def _put_off(letters: list[Letter], error: Exception) -> None:
    # Not its words: they may quote an address or a password.
    log.warning("%s letters could not be sent (%s)", len(letters), type(error).__name__)
    for letter in letters:
        pause = pause_after(letter.tries + 1)
        Letter.objects.filter(pk=letter.pk).update(next_at=None if pause is None else Now() + pause)
