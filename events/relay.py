"""Waking workers after a commit. Messages are wake-ups: one that is lost costs seconds, for the schedule sweeps too."""

import logging
import threading
import time

from celery import current_app
from django.conf import settings

log = logging.getLogger("promptforge.relay")

PAUSE = 0.1  # seconds between two rounds: what happens meanwhile shares one message
STALE = 10  # seconds after which a message is not worth having any more: the schedule has swept since

_waiting: set[str] = set()
_lock = threading.Lock()
_something = threading.Event()
_publisher: threading.Thread | None = None
_is_silent = False


def follow(kind: str) -> None:
    """Wake what follows events of this kind."""
    wake_soon(*settings.EVENT_TASKS.get("*", ()), *settings.EVENT_TASKS.get(kind, ()))


def wake_soon(*tasks: str) -> None:
    """Wake these tasks from a thread of its own: nobody who commits waits for a broker."""
    global _publisher  # noqa: PLW0603  one thread for each process, started again after a fork
    with _lock:
        _waiting.update(tasks)
        if _publisher is None or not _publisher.is_alive():
            _publisher = threading.Thread(target=_publish, name="relay", daemon=True)
            _publisher.start()
    _something.set()


def wake(*tasks: str) -> None:
    """Send one message for each task, or do without while no broker takes it, and say so once."""
    global _is_silent  # noqa: PLW0603
    try:
        for task in tasks:
            current_app.send_task(task, expires=STALE, retry=False)
    except FileNotFoundError:
        log.debug("There is no folder for messages: `script/server` makes it, and sweeps when it starts.")
    except Exception as error:  # noqa: BLE001 - every transport has exceptions of its own
        if not _is_silent:
            # Not its words: they may quote the broker's password.
            log.warning("The broker takes no messages (%s). Work waits in the database.", type(error).__name__)
        _is_silent = True
    else:
        _is_silent = False


def _publish() -> None:
    while True:
        _something.wait()
        _something.clear()
        with _lock:
            tasks = sorted(_waiting)
            _waiting.clear()
        wake(*tasks)
        time.sleep(PAUSE)
