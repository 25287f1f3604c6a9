"""Attacks leave sessions behind; a database can be dropped only when the last of them has ended."""

import time
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connections
from psycopg import sql

from promptforge.lib import database

LISTED = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"


@pytest.fixture
def committed_db(committed_db: str) -> Iterator[str]:
    """The usual database, left only when no session of the run-time role is still on its way out.

    The owner drops it, and may not end another role's sessions. To rename it waits for them, but in long steps: so
    the list is asked first.
    """
    yield committed_db
    connections.close_all()
    here, away = sql.Identifier(committed_db), sql.Identifier(f"{committed_db}_left")
    deadline = time.monotonic() + 5
    with psycopg.connect(database.owner_url(), autocommit=True) as admin:
        while admin.execute(LISTED, [committed_db]).fetchone() != (0,) and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(0.003)  # unlisted, a session still takes its last steps
        admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(here, away))
        admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(away, here))
