"""The file of signed checkpoints, line by line: whoever is killed while writing leaves no line that counts."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path


def whole_lines(path: Path) -> str | None:
    """What the file holds up to its last newline, for the next line may just be being written; None: no file.

    Read it before the database that it is compared with: a chain that is shorter than its checkpoint looks cut.
    """
    if not path.exists():
        return None
    text = path.read_bytes().decode(errors="replace")
    return text[: text.rfind("\n") + 1]


def append(path: Path, line: str) -> None:
    """Add a line in one piece, unless it is the last one already; a line that was left unfinished is ended first."""
    added = line.encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - len(added) - 1))
        tail = b"\n" + file.read()
        if tail.endswith(b"\n" + added):
            return
        if not tail.endswith(b"\n"):
            added = b"\n" + added
        try:
            while added:
                added = added[file.write(added) :]
        except OSError:
            with suppress(OSError):  # a file that may only grow keeps the half, and the next line ends it
                file.truncate(end)
            raise
