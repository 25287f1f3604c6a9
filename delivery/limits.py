"""Token buckets for fetches and intake: exact within one process, which has its share of the whole rate."""

import math
import threading
import time
from collections.abc import Callable

from django.conf import settings

from accounts.models import ApiKey
from promptforge.lib.answers import Header
from promptforge.lib.errors import DomainError

_MOST_BUCKETS = 50_000


class Bucket:
    """What one caller may still send to this process: `rate` a second, `burst` at once after a pause."""

    def __init__(self, name: str, rate: float, clock: Callable[[], float]) -> None:
        self.rate = rate
        self.burst = 2 * rate
        self._clock = clock
        self._tokens = self.burst
        self._at = clock()
        self._lock = threading.Lock()
        self._name = name.encode()
        self._policy: Header = (
            b"ratelimit-policy",
            b'"%s";q=%d;w=%d' % (self._name, self.burst, math.ceil(self.burst / rate)),
        )

    def take(self) -> tuple[bool, tuple[Header, ...]]:
        """Whether one more is let through, and the headers that say what is left; a refused one does not count.

        The headers are those of draft-ietf-httpapi-ratelimit-headers: what remains, and when the bucket is full again.
        """
        with self._lock:
            now = self._clock()
            tokens = min(self.burst, self._tokens + self.rate * (now - self._at))
            taken = tokens >= 1
            self._tokens, self._at = tokens - taken, now
            left = int(self._tokens)
        state = b'"%s";r=%d;t=%d' % (self._name, left, math.ceil((self.burst - left) / self.rate))
        headers: tuple[Header, ...] = (self._policy, (b"ratelimit", state))
        return taken, headers if taken else (*headers, (b"retry-after", b"1"))


class Buckets:
    """The buckets of one class of calls, one for each key."""

    def __init__(self, name: str, setting: str) -> None:
        self.name = name
        self._setting = setting
        self._of_key: dict[int, tuple[int | None, Bucket]] = {}  # with the rate that the key itself had

    def of(self, key: ApiKey) -> Bucket:
        """The key's bucket; a key may have a fetch rate of its own."""
        own = key.rate_fetch if self.name == "fetch" else None
        found = self._of_key.get(key.id)
        if found is not None and found[0] == own:
            return found[1]
        if len(self._of_key) >= _MOST_BUCKETS:
            self.forget()  # refills everybody once; an attack by that many keys is none of a guest's
        rate = max(1.0, (own or getattr(settings, self._setting)) / settings.WEB_PROCESSES)
        bucket = Bucket(self.name, rate, time.monotonic)
        self._of_key[key.id] = (own, bucket)
        return bucket

    def forget(self) -> None:
        """Let every bucket be full again."""
        self._of_key.clear()

    def refusal(self, bucket: Bucket) -> DomainError:
        each = math.floor(bucket.rate)
        return DomainError(
            "rate_limited",
            f"More than {each} calls of the class {self.name} a second to this process. "
            f"Wait a second, and send at most {each} a second from then on.",
        )


FETCHES = Buckets("fetch", "RATE_FETCH")
INTAKE = Buckets("intake", "RATE_INTAKE")
