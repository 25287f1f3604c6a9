"""The file of a backup: a tar of parts with their digests; and PostgreSQL's own programs, which fill and empty it."""

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import secrets
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from promptforge.lib import database
from promptforge.lib.cluster import PROGRAMS, SUPPLIER

FORMAT = 1
DUMP, KEYS, CHECKPOINTS, MANIFEST = "database.dump", "keys", "checkpoints.jsonl", "manifest.json"
SEAL = "manifest.sha256"
PARTIAL = re.compile(r"\..+\.[0-9a-f]{8}\.partial")
PARTS = frozenset({DUMP, KEYS, CHECKPOINTS})
_BLOCK, _CHUNK = tarfile.BLOCKSIZE, 1 << 20


class BackupRefused(Exception):
    """A backup or restore does not happen; the message is one sentence that says what to do."""


# --- The file --------------------------------------------------------------------------------------------------------
@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that only its owner reads, and that stands under its name once it is whole and on the disk, or never."""
    _refuse_taken(path)
    _remove_abandoned(path.parent)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with os.fdopen(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
            with suppress(OSError):  # a file system without locks: nobody removes anything from it
                _hold(file)
            yield file
            file.flush()
            os.fsync(file.fileno())
            _refuse_taken(path)
            fresh.rename(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the name, too, survives the power
        finally:
            os.close(folder)
    except OSError as error:
        raise BackupRefused(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        fresh.unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed backups have left in a folder: texts and keys that nobody would ever look for."""
    for path in folder.glob(".*.partial"):
        if PARTIAL.fullmatch(path.name) and not path.is_symlink():
            with suppress(OSError), path.open("r+b") as file:  # it is held, or another user's
                _hold(file)
                path.unlink()


def _hold(file: IO[bytes]) -> None:
    """Tell whoever looks for abandoned files that this one is being written; raises OSError when another holds it."""
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _refuse_taken(path: Path) -> None:
    if os.path.lexists(path):
        raise BackupRefused(f"{path} is there already: choose another name, for a backup is never overwritten.")


class Writer:
    """Writes the parts one after the other, each digested on its way, then the manifest that names the digests."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.parts: dict[str, dict[str, Any]] = {}

    def add(self, name: str, read: Callable[[int], bytes]) -> None:
        """Write a part from a stream of unknown length; its header is put in front once the length is known."""
        begin, digest = self.file.tell(), hashlib.sha256()
        self.file.write(bytes(_BLOCK))
        while chunk := read(_CHUNK):
            digest.update(chunk)
            self.file.write(chunk)
        end = self.file.tell()
        header = tarfile.TarInfo(name)
        header.size, header.mode, header.mtime = end - begin - _BLOCK, 0o600, int(time.time())
        self.file.seek(begin)
        self.file.write(header.tobuf(tarfile.GNU_FORMAT))
        self.file.seek(end)
        self.file.write(bytes(-end % _BLOCK))
        self.parts[name] = {"size": header.size, "sha256": digest.hexdigest()}

    def add_text(self, name: str, text: str) -> None:
        rest = [text.encode()]
        self.add(name, lambda _: rest.pop() if rest else b"")

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest with every part's digest, its own digest, and the end of the tar."""
        text = json.dumps({"format": FORMAT, **manifest, "parts": dict(self.parts)}, indent=1)
        self.add_text(MANIFEST, text)
        self.add_text(SEAL, hashlib.sha256(text.encode()).hexdigest())
        self.file.write(bytes(2 * _BLOCK))


class Archive:
    """A backup that was read once from end to end, and of which every digest fits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with tarfile.open(path, "r:") as tar:
                self.manifest: dict[str, Any] = self._check(tar)
        except FileNotFoundError:
            raise BackupRefused(f"There is no file {path}.") from None
        except PermissionError:
            raise BackupRefused(f"{path} cannot be read by this user.") from None
        except (tarfile.TarError, OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):
            raise BackupRefused(f"{path} is no backup of PromptForge, or is damaged: use another one.") from None

    def _check(self, tar: tarfile.TarFile) -> dict[str, Any]:
        text = _bytes(tar, MANIFEST)
        self.digest = hashlib.sha256(text).hexdigest()
        if _bytes(tar, SEAL).decode() != self.digest:
            raise BackupRefused(f"{self.path} is damaged: its {MANIFEST} was changed. Use another backup.")
        manifest: dict[str, Any] = json.loads(text)
        if manifest["format"] != FORMAT:
            raise BackupRefused(f"{self.path} was made by another release of PromptForge: restore it with that one.")
        for name, said in manifest["parts"].items():
            if name not in PARTS:
                raise BackupRefused(f"{self.path} has a part {name} that this release of PromptForge does not know.")
            digest = hashlib.sha256()
            stream = _stream(tar, name)
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
            if digest.hexdigest() != said["sha256"]:
                raise BackupRefused(f"{self.path} is damaged: its {name} was changed. Use another backup.")
        return manifest

    def text(self, name: str) -> str | None:
        """A small part, or None where the backup has none of that name."""
        if name not in self.manifest["parts"]:
            return None
        with tarfile.open(self.path, "r:") as tar:
            return _bytes(tar, name).decode()

    def copy(self, name: str, into: IO[bytes]) -> None:
        """Copy a large part into an open file or pipe."""
        with tarfile.open(self.path, "r:") as tar:
            shutil.copyfileobj(_stream(tar, name), into, _CHUNK)


def _stream(tar: tarfile.TarFile, name: str) -> Any:
    found = tar.extractfile(name)
    if found is None:  # a link or a folder under the name of a part
        raise ValueError(name)
    return found


def _bytes(tar: tarfile.TarFile, name: str) -> bytes:
    found: bytes = _stream(tar, name).read()
    return found


# --- PostgreSQL's programs -------------------------------------------------------------------------------------------
def program(name: str, major: int) -> str:
    """Find `pg_dump` and the like: beside the embedded PostgreSQL, else on the PATH and not older than `major`.

    The same major is taken before a newer one, because an older PostgreSQL cannot read what a newer program wrote.
    """
    if not database.is_external():
        found = importlib.util.find_spec(SUPPLIER)  # found, not imported: importing it has side effects
        if found is not None and found.submodule_search_locations:
            return str(Path(found.submodule_search_locations[0]) / PROGRAMS / "bin" / name)
    fitting = [(have, path) for have, path in _on_path(name) if have >= major]
    if not fitting:
        raise BackupRefused(
            f"There is no {name} of PostgreSQL {major} or newer on the PATH: install its client programs."
        )
    return min(fitting, key=lambda one: one[0])[1]


def major_of(path: str) -> int | None:
    """The major version of one of PostgreSQL's programs, or None when it does not say."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=20).stdout  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(match[1]) if match else None


def _on_path(name: str) -> Iterator[tuple[int, str]]:
    for folder in os.get_exec_path():
        path = Path(folder) / name
        if path.is_file() and os.access(path, os.X_OK) and (major := major_of(str(path))):
            yield major, str(path)


def environment(url: str) -> dict[str, str]:
    """What tells PostgreSQL's programs where to connect: a command line would show the password to everybody."""
    from psycopg.pq import Conninfo

    found = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("PG")}
    found["LC_ALL"] = "C"
    for option in Conninfo.parse(url.encode()):
        if option.val is not None and option.envvar:
            found[option.envvar.decode()] = option.val.decode()
    return found


def complaint(name: str, said: bytes) -> BackupRefused:
    """One sentence from what a program wrote before it failed."""
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    loud = [line for line in lines if re.search(r"ERROR|FATAL|error:", line)]
    reason = (loud or lines or ["it said nothing"])[0].rstrip(".")
    return BackupRefused(f"{name} failed: {reason}.")
