"""Loaded before the settings: tests work on a cluster of their own, which gives up durability for speed."""

import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MEMORY = Path("/dev/shm")
ENOUGH = 2 * 1024**3


def _var() -> Path:
    """A folder in memory where there is room, else var/test.

    Each test's database is some seven hundred files that are made and soon deleted: on ext4, which looks past every
    inode that was deleted lately, making them takes half a second; in memory it takes a twentieth of that.
    """
    try:
        room = os.statvfs(MEMORY)
    except OSError:
        return ROOT / "var" / "test"
    if room.f_bavail * room.f_frsize < ENOUGH or not os.access(MEMORY, os.W_OK):
        return ROOT / "var" / "test"
    return MEMORY / f"promptforge-test-{os.getuid()}-{hashlib.sha256(os.fsencode(ROOT)).hexdigest()[:8]}"


os.environ["PROMPTFORGE_VAR"] = str(_var())
os.environ.pop("PROMPTFORGE_ENV", None)
# Wake-ups end in memory: the tests look for work in rows, as workers do, and those about a broker bring their own.
os.environ["CELERY_BROKER_URL"] = "memory://"
