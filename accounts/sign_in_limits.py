"""How many sign-ins failed, per account and per network: counted ahead of the guess, so that no burst slips by."""

import ipaddress
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest, Now
from django.utils.crypto import salted_hmac

from accounts.models import SignInFailures, User

FREE = 10
LONGEST = 900
FORGOTTEN = timedelta(days=1)


class Counted(NamedTuple):
    """A try that was counted as failed until it succeeds; `waits` in seconds is 0 when it may be made."""

    account: str
    network: str | None
    untils: Mapping[str, datetime]
    waits: int
    left: int  # how many more may fail before one waits


def begin(email: str, address: str, what: str = "") -> Counted:
    """Count a try. One that has to wait is counted too, and does not make the wait longer by itself.

    Passwords and codes of an account are one count; `what` names another.
    """
    account, network = _digest(f"{what}account {_one_spelling(email.strip())}"), _network(address, what)
    with transaction.atomic():
        rows = [_locked(digest) for digest in sorted(filter(None, (account, network)))]
        now = rows[0].now  # type: ignore[attr-defined]
        waits = max((math.ceil((row.until - now).total_seconds()) for row in rows if row.until), default=0)
        untils, left = {}, FREE
        for row in rows:
            row.failures = 1 if row.at < now - FORGOTTEN else row.failures + 1
            row.at = now
            if waits <= 0 and row.failures >= FREE:
                untils[row.digest] = now + timedelta(seconds=min(2 ** min(row.failures - FREE, 20), LONGEST))
                row.until = untils[row.digest]
            left = min(left, max(FREE - row.failures, 0))
            row.save()
    return Counted(account, network, untils, max(waits, 0), left)


def succeeded(counted: Counted) -> None:
    """The account begins anew; the network gets back what this try counted."""
    SignInFailures.objects.filter(digest=counted.account).delete()
    _give_back(counted, counted.network)


def half_succeeded(counted: Counted) -> None:
    """The password was right and the second factor is still asked for: this try counts as none, earlier ones stay."""
    _give_back(counted, counted.account)
    _give_back(counted, counted.network)


def _give_back(counted: Counted, digest: str | None) -> None:
    row = SignInFailures.objects.filter(digest=digest)
    row.update(failures=Greatest(F("failures") - 1, 0))
    if digest is not None and digest in counted.untils:
        row.filter(until=counted.untils[digest]).update(until=None)


def forget_failures() -> int:
    """Delete what a day without failures has made forgotten anyway; returns how many rows."""
    deleted, _ = SignInFailures.objects.filter(at__lt=Now() - FORGOTTEN).delete()
    return deleted


def _locked(digest: str) -> SignInFailures:
    while True:
        SignInFailures.objects.bulk_create([SignInFailures(digest=digest)], ignore_conflicts=True)
        row = SignInFailures.objects.select_for_update().annotate(now=Now()).filter(digest=digest).first()
        if row is not None:  # else a sign-in that succeeded meanwhile deleted it
            return row


def _one_spelling(email: str) -> str:
    """The same for every spelling that finds the same account: else each spelling would have tries of its own."""
    found = User.objects.addressed(email).values_list("email", flat=True).first()
    return (found or email).casefold()


def _digest(text: str) -> str:
    return salted_hmac("promptforge.sign-in", text, algorithm="sha256").hexdigest()


def _network(address: str, what: str) -> str | None:
    """The hash of a public address's /24 or /64. A private one is a proxy's as often as a person's: not counted."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if not ip.is_global:
        return None
    return _digest(f"{what}network {ipaddress.ip_network((ip, 24 if ip.version == 4 else 64), strict=False)}")
