"""The second factor of a sign-in: one-time codes of an authenticator app, and recovery codes for a lost one."""

from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from allauth.mfa.utils import decrypt
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import User
from accounts.sign_in_limits import Counted, half_succeeded, succeeded
from promptforge.lib.sealing import Unsealable

LAST_COUNTER = "last_counter"
_WHO_HELPS = "Ask your operator to remove your second factor."


def has_second_factor(user: User | AnonymousUser) -> bool:
    return bool(Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.TOTP).exists())


def password_was_right(user: User, counted: Counted) -> None:
    """A right password ends the count of an account's failures only where nothing else is asked for.

    Otherwise whoever has the password could begin anew after every few guesses of a code.
    """
    (half_succeeded if has_second_factor(user) else succeeded)(counted)


def counter_of(secret: str, code: str, after: int = -1) -> int | None:
    """The step of time that a code belongs to, if it is a present one of this secret and later than `after`."""
    for counter in yield_hotp_counters_from_time():
        expected = format_hotp_value(hotp_value(secret, counter))
        if counter > after and compare_user_code(actual=code, expected=expected):
            return int(counter)
    return None


@transaction.atomic
def use_code(user: User, code: str) -> Authenticator | None:
    """Use a code up, and say which factor it belongs to; None when it is wrong or was used before.

    The row's lock makes two processes that get the same code decide one after the other.
    """
    try:
        for factor in Authenticator.objects.select_for_update().filter(user=user).order_by("pk"):
            is_totp = factor.type == Authenticator.Type.TOTP
            if _use_totp(factor, code) if is_totp else RecoveryCodes(factor).validate_code(code):
                factor.user = user
                return factor
    except Unsealable as error:
        raise ValidationError(f"{error} {_WHO_HELPS}") from None
    return None


def _use_totp(factor: Authenticator, code: str) -> bool:
    counter = counter_of(decrypt(factor.data["secret"]), code, factor.data[LAST_COUNTER])
    if counter is None:
        return False
    factor.data[LAST_COUNTER] = counter
    factor.save(update_fields=["data"])
    return True


def recovery_codes_left(user: User) -> tuple[int, str]:
    """How many, and why not more when they cannot be read."""
    codes = Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).first()
    try:
        return (0 if codes is None else len(RecoveryCodes(codes).get_unused_codes())), ""
    except Unsealable as error:
        return 0, f"{error} {_WHO_HELPS}"
