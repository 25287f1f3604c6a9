"""Letters with a link to set a new password: rows are the queue, so that asking takes as long for everybody."""

import logging
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import EmailMessage, mailers
from django.db import transaction
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import int_to_base36

from accounts.models import ResetLetter, User
from events.fence import is_fenced

log = logging.getLogger("promptforge.mail")

LEASE = timedelta(minutes=5)  # longer than a mail server may take for a letter


def send_letters() -> None:
    """Send every letter that is due; one that cannot be sent is tried again for as long as its link would last."""
    if is_fenced():
        return
    lasts = settings.PASSWORD_RESET_TIMEOUT
    ResetLetter.objects.filter(asked_at__lt=Now() - timedelta(seconds=lasts)).delete()
    tried: list[int] = []
    while letter := _lease(tried):
        tried.append(letter.pk)
        _send(letter)


@transaction.atomic
def _lease(tried: list[int]) -> ResetLetter | None:
    """The next letter, which is as if asked for later until it is sent or put back: nobody else sends it meanwhile."""
    due = ResetLetter.objects.filter(asked_at__lte=Now()).exclude(pk__in=tried).order_by("asked_at")
    letter = due.select_related("user").select_for_update(skip_locked=True, of=("self",)).first()
    if letter is not None:
        ResetLetter.objects.filter(pk=letter.pk).update(asked_at=Now() + LEASE)
    return letter


def _send(letter: ResetLetter) -> None:
    row = ResetLetter.objects.filter(pk=letter.pk)
    try:
        mailers.default.send_messages([message(letter.user)])
    except Exception as error:  # noqa: BLE001 - a mail server fails in many ways
        # Not its words: they may quote an address or a password.
        log.warning("A letter for a new password could not be sent (%s)", type(error).__name__)
        row.update(asked_at=letter.asked_at)
    else:
        row.delete()


def message(user: User) -> EmailMessage:
    token = default_token_generator.make_token(user)
    path = reverse("account_reset_password_from_key", kwargs={"uidb36": int_to_base36(user.pk), "key": token})
    return EmailMessage(
        subject="[PromptForge] A new password",
        body=render_to_string("account/email/new_password.txt", {"user": user, "url": settings.ORIGIN + path}),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[user.email],
        headers={"Auto-Submitted": "auto-generated"},
    )
