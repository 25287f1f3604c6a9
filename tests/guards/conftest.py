"""Attacks leave sessions behind; a database can be dropped only when the last of them has ended."""

import time
from collections.abc import Iterator

import pytest
from django.db import connections

from tests.guards.attacks import value

OTHERS = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)
LAST_STEPS = 0.01  # seconds that a session still needs when it is no longer listed


@pytest.fixture
def committed_db(committed_db: str) -> Iterator[str]:
    """The usual database, left only when no session of the run-time role is still on its way out.

    The owner drops it, and may not end another role's sessions.
    """
    yield committed_db
    connections.close_all()
    deadline = time.monotonic() + 5
    while value(OTHERS) and time.monotonic() < deadline:
        time.sleep(0.005)
    connections.close_all()
    time.sleep(LAST_STEPS)
