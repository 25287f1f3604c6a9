"""What people do about their own sign-in: sessions, password, second factor. Recorded in the chain of no project."""

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import ResetLetter, Session, User
from accounts.second_factor import LAST_COUNTER, has_second_factor
from events.actions import NO_PROJECT, SYSTEM, record
from events.kinds import EventKind
from promptforge.lib.errors import DomainError


def tell_sign_in(*, user: User, factor: str) -> None:
    """Record a sign-in that is complete; `factor` is what it was completed with."""
    _record(EventKind.SESSION_BEGUN, user, user, factor=factor)


@transaction.atomic
def end_sessions(*, user: User, by: User | None, only: str | None = None, but: str | None = None) -> int:
    """End a person's sessions: the next request of each is refused, whichever process gets it. Returns how many."""
    sessions = Session.objects.filter(user=user).exclude(pk=but)
    ended, _ = (sessions if only is None else sessions.filter(pk=only)).delete()
    if ended:
        _record(EventKind.SESSION_ENDED, user, by, sessions=ended)
    return ended


@transaction.atomic
def set_password(*, user: User, password: str, by: User | None, but: str | None = None) -> None:
    """Set a person's password, which ends their sessions `but` one, and asks for no letter any more."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise DomainError("bad_value", " ".join(error.messages)) from None
    user.set_password(password)
    user.save(update_fields=["password"])
    ResetLetter.objects.filter(user=user).delete()
    _record(EventKind.PASSWORD_CHANGED, user, by)
    end_sessions(user=user, by=by, but=but)


@transaction.atomic
def add_second_factor(*, user: User, secret: str, counter: int, session: str | None) -> list[str] | None:
    """From now on a sign-in takes a code. Returns the recovery codes, this once; None when a factor was there.

    `counter` is the step of time whose code proved the secret: that code is used. Sessions that began without the
    factor end, but the one it was added in.
    """
    User.objects.select_for_update().get(pk=user.pk)
    if has_second_factor(user):
        return None
    factor = TOTP.activate(user, secret).instance
    factor.data[LAST_COUNTER] = counter
    factor.save(update_fields=["data"])
    _record(EventKind.FACTOR_ADDED, user, user)
    end_sessions(user=user, by=user, but=session)
    return _new_codes(user)


@transaction.atomic
def renew_recovery_codes(*, user: User) -> list[str] | None:
    """New recovery codes, shown this once; the old ones end. None without a second factor."""
    User.objects.select_for_update().get(pk=user.pk)
    if not has_second_factor(user):
        return None
    _record(EventKind.CODES_RENEWED, user, user)
    return _new_codes(user)


@transaction.atomic
def remove_second_factor(*, user: User, by: User | None) -> bool:
    """The sign-in takes the password alone again. An operator's removal (`by` None) also ends all sessions."""
    removed, _ = Authenticator.objects.filter(user=user).delete()
    if removed:
        _record(EventKind.FACTOR_REMOVED, user, by)
        if by is None:
            end_sessions(user=user, by=by)
    return bool(removed)


def _new_codes(user: User) -> list[str]:
    Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).delete()
    codes: list[str] = RecoveryCodes.activate(user).generate_codes()
    return codes


def _record(kind: EventKind, user: User, by: User | None, **data: Any) -> None:
    actor = SYSTEM if by is None else ("person", by.pk)
    record(kind, project_id=NO_PROJECT, actor=actor, subject=("person", user.pk), **data)
