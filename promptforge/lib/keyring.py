"""The secrets that PromptForge signs and seals with: named, one current key per purpose, the retired ones still known.

A ring is written `id:purpose:secret`, separated by commas or line ends. It comes from `PROMPTFORGE_KEYS`; without that,
from the file `keys` in the var directory, which is made at the first start. Of two keys with one purpose the first is
current (it signs), the others only verify what they signed before.
"""

import fcntl
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from django.core.exceptions import ImproperlyConfigured

from promptforge.env import env, var_directory

PURPOSES = ("receipt", "api-key", "checkpoint", "secrets")
ADDED_LATER = ("secrets",)  # what a key file of an earlier release lacks, and gets at the next start
DJANGO = "django"  # the purpose under which the file, and only the file, holds Django's secret key
ID = re.compile(r"[a-z0-9][a-z0-9-]{0,15}")  # no dot: ids stand between dots in receipts
SHORTEST = 32  # characters of a secret
HEADER = """\
# The secrets of this PromptForge, made at its first start: id:purpose:secret, the first of a purpose is current.
# Without them no receipt and no API key can be verified: back this file up with the database; show it to nobody.
"""


class Key(NamedTuple):
    """One secret; its id is public and stands in what it signed."""

    id: str
    secret: bytes


Ring = Mapping[str, tuple[Key, ...]]


def current(purpose: str) -> Key:
    """The key that signs for a purpose now."""
    return keyring()[purpose][0]


def find(purpose: str, key_id: str) -> Key | None:
    """The key with this id, current or retired, or None."""
    return next((key for key in keyring().get(purpose, ()) if key.id == key_id), None)


@cache
def keyring() -> Ring:
    """All keys by purpose, from `PROMPTFORGE_KEYS` or the file; read once per process.

    Raises `ImproperlyConfigured` with a sentence that never quotes a secret.
    """
    text: str = env.str("PROMPTFORGE_KEYS", default="")
    source = "PROMPTFORGE_KEYS" if text.strip() else str(key_file())
    ring = _parse(text or _read_file(), source)
    for purpose in PURPOSES:
        if not ring.get(purpose):
            raise ImproperlyConfigured(
                f"{source} has no key for the purpose {purpose}: add a line id:{purpose}:secret."
            )
    return ring


@cache
def django_secret_key() -> str:
    """Django's own secret key, from `PROMPTFORGE_SECRET_KEY` or the file."""
    named: str = env.str("PROMPTFORGE_SECRET_KEY", default="")
    if named:
        if len(named) < SHORTEST:
            raise ImproperlyConfigured(f"PROMPTFORGE_SECRET_KEY is too short: it needs {SHORTEST} characters or more.")
        return named
    keys = _parse(_read_file(), str(key_file())).get(DJANGO)
    if not keys:
        raise ImproperlyConfigured(
            f"{key_file()} has no line id:{DJANGO}:secret: add one, or set PROMPTFORGE_SECRET_KEY."
        )
    return keys[0].secret.decode()


def key_file() -> Path:
    """Where the embedded ring lies."""
    return var_directory() / "keys"


def _parse(text: str, source: str) -> Ring:
    ring: dict[str, tuple[Key, ...]] = {}
    lines = (line.strip() for line in re.split(r"[\n,]", _without_comments(text)))
    for number, line in enumerate(filter(None, lines), start=1):
        parts = [part.strip() for part in line.split(":", 2)]
        fault = _fault(parts, ring)
        if fault:
            raise ImproperlyConfigured(f"{source}: key {number} {fault}. Each is written id:purpose:secret.")
        key_id, purpose, secret = parts
        ring[purpose] = (*ring.get(purpose, ()), Key(key_id, secret.encode()))
    return ring


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def _fault(parts: list[str], ring: Ring) -> str | None:
    """Say what is wrong with one entry, without its secret."""
    if len(parts) != 3:
        return "does not have three parts"
    key_id, purpose, secret = parts
    if not ID.fullmatch(key_id):
        return "has an id that is not 1 to 16 lower-case letters, digits and hyphens"
    if purpose not in (*PURPOSES, DJANGO):
        return f"has an unknown purpose (known: {', '.join(PURPOSES)})"
    if len(secret) < SHORTEST:
        return f"has a secret shorter than {SHORTEST} characters"
    if any(key.id == key_id for key in ring.get(purpose, ())):
        return f"has the id {key_id}, which another key for {purpose} has too"
    return None


def _read_file() -> str:
    """Read the key file, making it first when it is absent; refuse one that others can read."""
    path = key_file()
    if not path.exists():
        _make_file(path)
    if path.stat().st_mode & 0o077:
        raise ImproperlyConfigured(f"{path} holds secrets and can be read by others: run chmod 600 on it.")
    try:
        text = path.read_text(encoding="utf-8")
        return text if all(f":{purpose}:" in text for purpose in ADDED_LATER) else _add_purposes(path)
    except (PermissionError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{path} cannot be read: it belongs to another user or is damaged.") from error


def _add_purposes(path: Path) -> str:
    """Append a key for each purpose that came after this file, once, whichever process is first."""
    with path.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = file.read()
        missing = [purpose for purpose in ADDED_LATER if f":{purpose}:" not in text]
        added = "".join(_fresh_line(purpose) for purpose in missing)
        file.write(added if text.endswith("\n") or not added else f"\n{added}")
        file.flush()
        os.fsync(file.fileno())
    return path.read_text(encoding="utf-8")


def _fresh_line(purpose: str) -> str:
    return f"k1:{purpose}:{secrets.token_urlsafe(48)}\n"


def _make_file(path: Path) -> None:
    """Write a complete file under another name and link it into place, so that of two processes one wins whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [_fresh_line(purpose) for purpose in (DJANGO, *PURPOSES)]
    fresh = path.with_name(f".keys.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(HEADER + "".join(lines))
            file.flush()
            os.fsync(handle)
        with suppress(FileExistsError):  # another process was faster, and its keys are as good
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
