"""Attacks leave sessions behind; a database can be dropped only when the last of them has ended."""

import time
from collections.abc import Iterator

import pytest
from django.db import connections

from tests.guards.attacks import value


@pytest.fixture
def committed_db(committed_db: str) -> Iterator[str]:
    """The usual database, left only when no session of the run-time role is still on its way out."""
    yield committed_db
    connections["default"].close()
    deadline = time.monotonic() + 5
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    connections["owner"].close()
    while value(others) and time.monotonic() < deadline:
        time.sleep(0.005)
    connections["owner"].close()
