"""What stands before every write by REST: its rate is counted, and a repeated one is answered as the first time."""

import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import IdempotentAnswer, User
from accounts.policies import Principal
from promptforge.lib.errors import DomainError
from promptforge.lib.json import canonical_json

IDEMPOTENCY_HEADER = "Idempotency-Key"
KEPT = timedelta(hours=48)
SHOWN_ONCE = ("key", "secret")
_KEY_FORM = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?")

_TAKE = """
    INSERT INTO accounts_writebucket AS bucket (user_id, tokens, at) VALUES (%(user)s, %(burst)s - 1, clock_timestamp())
    ON CONFLICT (user_id) DO UPDATE SET
        tokens = least(%(burst)s, bucket.tokens + %(rate)s * extract(epoch FROM clock_timestamp() - bucket.at)) - 1,
        at = clock_timestamp()
    WHERE least(%(burst)s, bucket.tokens + %(rate)s * extract(epoch FROM clock_timestamp() - bucket.at)) >= 1
    RETURNING tokens
"""


@dataclass(frozen=True)
class Allowance:
    """What a caller's bucket of writes allows: `left` of `burst` after this one, None when this one was refused."""

    rate: int
    burst: int
    left: float | None

    def require(self) -> None:
        if self.left is None:
            raise DomainError(
                "rate_limited",
                f"More than {self.rate} writes a second. Wait a second, and send at most {self.rate} a second "
                "from then on.",
            )

    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers has them: quota and window, what remains and when it is full."""
        left = math.floor(self.left or 0)
        policy = f'"write";q={self.burst};w={math.ceil(self.burst / self.rate)}'
        headers = {
            "RateLimit-Policy": policy,
            "RateLimit": f'"write";r={left};t={math.ceil((self.burst - left) / self.rate)}',
        }
        return headers if self.left is not None else headers | {"Retry-After": "1"}


def take_write(user: User) -> Allowance:
    """Take one write from the caller's bucket, exactly, whichever process answers; a refused one does not count."""
    rate, burst = settings.RATE_WRITE, settings.BURST_WRITE
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {"user": user.pk, "rate": float(rate), "burst": float(burst)})
        left = cursor.fetchone()
    return Allowance(rate, burst, None if left is None else left[0])


def idempotent(
    handler: Callable[..., Response],
) -> Callable[..., Response | HttpResponse]:
    """Make a creating call happen once for each Idempotency-Key: a repetition gets the first answer again.

    The answer is stored in the transaction of its effect, so a process that dies leaves both or neither.
    """

    @wraps(handler)
    def once(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response | HttpResponse:
        key = request.headers.get(IDEMPOTENCY_HEADER)
        if key is None:
            return handler(view, request, *args, **kwargs)
        if not _KEY_FORM.fullmatch(key):
            raise DomainError("bad_value", f"{IDEMPOTENCY_HEADER} is 1 to 255 printable ASCII characters.")
        with transaction.atomic():
            return _once(handler, view, request, key, args, kwargs)

    return once


def _once(handler: Any, view: Any, request: Request, key: str, args: Any, kwargs: Any) -> Response | HttpResponse:
    principal: Principal = view.principal
    place = {
        "project": principal.project,
        "user": principal.user,
        "method": request.method,
        "path": request.path[:400],
        "key": key,
    }
    digest = hashlib.sha256(request._request.body).digest()  # noqa: SLF001  the bytes as they were sent
    with connection.cursor() as cursor:
        text = canonical_json([principal.project.pk, principal.user.pk, request.method, request.path, key])
        cursor.execute("SELECT pg_try_advisory_xact_lock(20552, hashtext(%s))", [text])
        if not cursor.fetchone()[0]:
            raise DomainError("idempotency_in_flight", "The first request with this key is being answered now. Wait.")
    known = IdempotentAnswer.objects.filter(**place).first()
    if known is None:
        response: Response = handler(view, request, *args, **kwargs)
        # What is shown once is stored nowhere: whoever lost the first answer rotates the key, or the webhook's secret.
        hidden = getattr(view, "shown_once", SHOWN_ONCE)
        body = canonical_json({name: None if name in hidden else value for name, value in response.data.items()})
        IdempotentAnswer.objects.create(**place, request_digest=digest, status=response.status_code, body=body)
        return response
    if bytes(known.request_digest) != digest:
        raise DomainError(
            "idempotency_mismatch", f"This {IDEMPOTENCY_HEADER} was used for another request. Take a new one for each."
        )
    replay = HttpResponse(known.body, status=known.status, content_type="application/json")
    replay["Idempotent-Replayed"] = "true"
    return replay


def forget_answers() -> int:
    """Delete the answers that are older than they are kept; how many there were."""
    forgotten, _ = IdempotentAnswer.objects.filter(at__lt=Now() - KEPT).delete()
    return forgotten
