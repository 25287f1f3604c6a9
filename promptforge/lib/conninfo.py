"""Where Django's own connections lead, for connections that are not Django's."""

from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections

# Django's own, which are no parameters of a connection.
_DJANGOS = ("cursor_factory", "context", "prepare_threshold")


def conninfo(defaults: dict[str, Any] | None = None, **ours: Any) -> str:
    """All that the address says, over these defaults and under what is ours; a string for psycopg."""
    given = connections[DEFAULT_DB_ALIAS].get_connection_params()
    said = {name: value for name, value in given.items() if name not in _DJANGOS}
    return psycopg.conninfo.make_conninfo(**((defaults or {}) | said | ours))
