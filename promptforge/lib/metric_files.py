"""The files in which the processes of one PromptForge count, so that any of them can tell the sum.

Each process holds a slot: a number, with a lock that the operating system gives back when the process ends, however
it ends. Its files carry the slot's number, so a successor goes on where a killed process stopped: no count is lost, and
there are never more files than processes at once. (The process id, which prometheus-client proposes, comes again
after a restart, and in two containers that share a folder.)
"""

import fcntl
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

KINDS = ("counter", "histogram", "gauge_livesum")
# What all series of a kind together need, and some. Reserved ahead: a file with holes on a full disk ends its writer
# with SIGBUS.
SIZE = 256 * 1024
SLOTS = 1024


class Slot:
    """The slot of this process; after a fork, the child takes one of its own at its next count."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._owner = 0
        self._lock = -1
        self._name = ""
        os.register_at_fork(after_in_child=self._let_go)

    def name(self) -> str:
        """The slot's number. Raises OSError when no slot can be had: the folder is not ours, or the disk is full."""
        if self._owner != os.getpid():
            self._take()
        return self._name

    def _take(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        failure: OSError | None = None
        for number in range(SLOTS):
            if str(number) == self._name:  # the parent's: prometheus-client opens files only where the name is new
                continue
            try:
                lock = _lock(self.folder, number)
                if lock is not None:
                    _prepare(self.folder, number)
            except OSError as error:  # somebody else's files, from a command that root ran, perhaps
                failure = error
                if not os.access(self.folder, os.W_OK):
                    break
                continue
            if lock is not None:
                self._owner, self._lock, self._name = os.getpid(), lock, str(number)
                return
        raise failure or OSError(f"{self.folder} has no free slot")

    def _let_go(self) -> None:
        # The lock belongs to the parent; held open here, it would outlive it.
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def readable(folder: Path) -> list[str]:
    """The files to add up: all that can be read, without the gauges of processes that have ended."""
    for number in _slots(folder):
        _if_free(folder, number, ("gauge_livesum",))
    return [str(path) for path in sorted(folder.glob("*.db")) if _is_whole(path)]


def clear(folder: Path) -> None:
    """Begin anew: drop the files of every process that has ended."""
    for number in _slots(folder):
        _if_free(folder, number, KINDS)


def _slots(folder: Path) -> Iterator[int]:
    return (int(path.stem) for path in folder.glob("*.slot"))


def _lock(folder: Path, number: int) -> int | None:
    """Hold a slot; None when somebody does already."""
    handle = os.open(folder / f"{number}.slot", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _if_free(folder: Path, number: int, kinds: tuple[str, ...]) -> None:
    """Drop files of a slot whose process has ended."""
    try:
        lock = _lock(folder, number)
    except OSError:
        return
    if lock is not None:
        for kind in kinds:
            (folder / f"{kind}_{number}.db").unlink(missing_ok=True)
        os.close(lock)


def _prepare(folder: Path, number: int) -> None:
    """Reserve the slot's files; the counts of the process before go on, its gauges and what is broken do not."""
    for kind in KINDS:
        path = folder / f"{kind}_{number}.db"
        if kind.startswith("gauge") or not _is_whole(path):
            path.unlink(missing_ok=True)
        with path.open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, SIZE)


def _is_whole(path: Path) -> bool:
    """Whether prometheus-client can read the file and go on in it; one that was just reserved is all zeros."""
    try:
        used = int.from_bytes(path.read_bytes()[:4], sys.byteorder, signed=True)
        if used != 0 and not 8 <= used <= path.stat().st_size:
            return False
        for key, *_ in MmapedDict.read_all_values_from_file(path):  # type: ignore[no-untyped-call]
            json.loads(key)
    except Exception:  # noqa: BLE001  whatever is wrong with a file, it is left out
        return False
    return True
