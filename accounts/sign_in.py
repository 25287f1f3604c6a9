"""How long ago somebody signed in: grave acts need a recent sign-in. And what every guess of a secret passes first."""

import time

from django import forms
from django.http import HttpRequest
from django.urls import reverse

from accounts.sign_in_limits import Counted, begin
from promptforge.lib.errors import DomainError

SIGNED_IN_AT = "signed_in_at"
FIVE_MINUTES, TWELVE_HOURS = 300, 12 * 3600
SAID_FROM = 5


def signed_in_within(request: HttpRequest, seconds: int) -> bool:
    return bool(time.time() - request.session.get(SIGNED_IN_AT, 0) <= seconds)


def require_recent_sign_in(request: HttpRequest, seconds: int = FIVE_MINUTES) -> None:
    """Refuse a person whose sign-in is older than this. Keys do not sign in; what they may do their scopes say."""
    if not signed_in_within(request, seconds):
        age = f"{seconds // 3600} hours" if seconds >= 3600 else f"{seconds // 60} minutes"
        raise DomainError(
            "reauthentication_required",
            f"This takes a sign-in within the last {age}. Sign in again and repeat.",
            extra={"url": reverse("account_reauthenticate")},
        )


def counted_guess(request: HttpRequest, email: str) -> Counted:
    """Count a guess of a password or a code before it is looked at, or refuse it while it has to wait."""
    return _counted(request, email, "", "Too many sign-ins failed.")


def counted_letter(request: HttpRequest, email: str) -> None:
    """Count a letter that is asked for, to whomever, or refuse it while it has to wait."""
    _counted(request, email, "letter ", "Too many letters were asked for.")


def _counted(request: HttpRequest, email: str, what: str, sentence: str) -> Counted:
    counted = begin(email, str(request.META.get("REMOTE_ADDR")), what)
    if counted.waits:
        raise forms.ValidationError(
            f"{sentence} Wait {counted.waits} seconds, then try again.",
            code="rate_limited",
            params={"seconds": counted.waits},
        )
    return counted


def failed(sentence: str, counted: Counted) -> forms.ValidationError:
    """What is said of a wrong guess; and towards the end how many are left, of an account that is not there too."""
    if 0 < counted.left <= SAID_FROM:
        tries = "One try is" if counted.left == 1 else f"{counted.left} tries are"
        sentence += f" {tries} left before a pause."
    return forms.ValidationError(sentence)
