"""How many sign-ins failed, per account and per network: counted ahead of the password, so that no burst slips by."""

import ipaddress
import math
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest, Now
from django.utils.crypto import salted_hmac

from accounts.models import SignInFailures

FREE = 10
LONGEST = 900
FORGOTTEN = timedelta(days=1)


class Counted(NamedTuple):
    """A try that was counted as failed until it succeeds; `waits` in seconds is 0 when it may be made."""

    account: str
    network: str | None
    until: datetime | None
    waits: int


def begin(email: str, address: str) -> Counted:
    """Count a try. One that has to wait is counted too, and does not make the wait longer by itself."""
    account, network = _digest(f"account {email.strip().casefold()}"), _network(address)
    with transaction.atomic():
        rows = [_locked(digest) for digest in sorted(filter(None, (account, network)))]
        now = rows[0].now  # type: ignore[attr-defined]
        waits = max((math.ceil((row.until - now).total_seconds()) for row in rows if row.until), default=0)
        until = None
        for row in rows:
            row.failures = 1 if row.at < now - FORGOTTEN else row.failures + 1
            row.at = now
            if waits <= 0 and row.failures >= FREE:
                row.until = now + timedelta(seconds=min(2 ** min(row.failures - FREE, 20), LONGEST))
                until = row.until if row.digest == network else until
            row.save()
    return Counted(account, network, until, max(waits, 0))


def succeeded(counted: Counted) -> None:
    """The account begins anew; the network gets back what this try counted."""
    SignInFailures.objects.filter(digest=counted.account).delete()
    if counted.network is not None:
        network = SignInFailures.objects.filter(digest=counted.network)
        network.update(failures=Greatest(F("failures") - 1, 0))
        if counted.until is not None:
            network.filter(until=counted.until).update(until=None)


def forget_failures() -> int:
    """Delete what a day without failures has made forgotten anyway; returns how many rows."""
    deleted, _ = SignInFailures.objects.filter(at__lt=Now() - FORGOTTEN).delete()
    return deleted


def _locked(digest: str) -> SignInFailures:
    SignInFailures.objects.bulk_create([SignInFailures(digest=digest)], ignore_conflicts=True)
    return SignInFailures.objects.select_for_update().annotate(now=Now()).get(digest=digest)


def _digest(text: str) -> str:
    return salted_hmac("promptforge.sign-in", text, algorithm="sha256").hexdigest()


def _network(address: str) -> str | None:
    """The hash of a public address's /24 or /64. A private one is a proxy's as often as a person's: not counted."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if not ip.is_global:
        return None
    return _digest(f"network {ipaddress.ip_network((ip, 24 if ip.version == 4 else 64), strict=False)}")
