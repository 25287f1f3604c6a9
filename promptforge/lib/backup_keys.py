"""Keys that come with a backup, and the key file that is here already: joined, and nothing lost."""

import os
from pathlib import Path

from promptforge.env import env
from promptforge.lib import keyring
from promptforge.lib.backup import BackupRefused

Line = tuple[str, str, str]  # id, purpose, secret


def check_environment(archived: str) -> None:
    """Refuse when PROMPTFORGE_KEYS, which only the operator can change, lacks a key of the backup."""
    if not env.str("PROMPTFORGE_KEYS", default="").strip():
        return
    ring = keyring.keyring()
    missing = [
        f"{key_id}:{purpose}"
        for key_id, purpose, secret in _lines(archived)
        if purpose != keyring.DJANGO and keyring.Key(key_id, secret.encode()) not in ring.get(purpose, ())
    ]
    if missing:
        raise BackupRefused(
            f"PROMPTFORGE_KEYS lacks keys of the backup ({', '.join(missing)}): "
            "add them from its part keys (tar xOf BACKUP keys), or leave PROMPTFORGE_KEYS out while restoring."
        )


def merge(archived: str, moment: str) -> Path | None:
    """Make the backup's keys the current ones of the key file; returns where the former file lies, if it changed.

    Keys that were here stay as retired ones where their id is free: an id names one secret in all that it has signed.
    """
    if env.str("PROMPTFORGE_KEYS", default="").strip():
        return None
    path = keyring.key_file()
    here = path.read_text(encoding="utf-8")
    lines, present = _lines(archived), _lines(here)
    if set(lines) <= set(present):
        return None
    taken = {line[:2] for line in lines}
    joined = lines + [line for line in present if line[:2] not in taken]
    aside = path.with_name(f"{path.name}.before-restore-{moment}")
    _write(aside, here)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    _write(fresh, keyring.HEADER + "".join(f"{':'.join(line)}\n" for line in joined))
    fresh.rename(path)
    _forget()
    return aside


def put_back(aside: Path) -> None:
    """Make the former key file the key file again, for the database whose it is has stayed."""
    aside.rename(keyring.key_file())
    _forget()


def _forget() -> None:
    keyring.keyring.cache_clear()
    keyring.django_secret_key.cache_clear()


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _lines(text: str) -> list[Line]:
    found = []
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            for entry in filter(str.strip, line.split(",")):
                key_id, purpose, secret = (part.strip() for part in entry.split(":", 2))
                found.append((key_id, purpose, secret))
    return found
