"""The id that brings an answer and a log line together."""

import itertools
import re
import secrets

_FORM = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PROCESS = secrets.token_hex(5)
_numbers = itertools.count(secrets.randbelow(1 << 20))


def request_id(given: str) -> str:
    """The caller's own id when it has a harmless form, else a new one."""
    return given if given and _FORM.fullmatch(given) else f"{_PROCESS}{next(_numbers):x}"
