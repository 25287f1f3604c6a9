"""When a failed call is tried again: the one place that decides it.

Full jitter (Brooker, "Exponential Backoff and Jitter"): each wait is drawn evenly between 0 and a ceiling that doubles,
so that workers that failed together do not come back together. What the provider asks for is waited for on top.
"""

import random

from evaluations.providers.interface import CallFailed

MOST_TRIES = 6
LONGEST = 600.0  # seconds from the first try of a call to the beginning of its last
FIRST_CEILING, LAST_CEILING = 1.0, 60.0


def wait_before_retry(failed: CallFailed, *, tries: int, since_first: float, draw: float | None = None) -> float | None:
    """Seconds to wait before the next try after `tries` failed ones, or None when it is to be left at that.

    `since_first` is how many seconds ago the first try began; `draw` in 0..1 stands in for chance.
    """
    if not failed.retryable or tries >= MOST_TRIES:
        return None
    ceiling = min(LAST_CEILING, FIRST_CEILING * 2 ** (tries - 1))
    drawn = random.random() if draw is None else draw  # noqa: S311 - spreads waits, keeps no secret
    wait = (failed.retry_after or 0.0) + drawn * ceiling
    return wait if since_first + wait <= LONGEST else None
