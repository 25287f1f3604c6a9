"""How far a fault reaches: the run, the call or the night that it came up in, and none beside it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import InterfaceError, OperationalError

log = logging.getLogger("promptforge.evaluations")
LOGGED = "The worker's log tells the whole of it."


@contextmanager
def contained(what: str, settle: Callable[[str], object]) -> Iterator[None]:
    """Log a fault of the block, and hand its name to `settle`, which sees to it that the same is not done for ever.

    A database that is gone, or that asks to be tried again, is nobody's fault in here: that ends the turn.
    """
    try:
        yield
    except (OperationalError, InterfaceError):
        raise
    except Exception as fault:
        log.exception("%s could not be worked on", what)
        settle(type(fault).__name__)
