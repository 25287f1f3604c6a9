"""The operating-system account that runs PostgreSQL, which refuses to run as root."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

NAME = "promptforge"
# Ways to make a system account, first the one of most distributions, then BusyBox's.
WAYS_TO_CREATE = (
    (
        "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
        "--shell",
        "/bin/false",
        NAME,
    ),
    ("adduser", "-S", "-D", "-H", "-s", "/bin/false", NAME),
)


class Identity(TypedDict, total=False):
    """The arguments that make `subprocess` drop root's rights for good, extra groups included."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """Who runs PostgreSQL; `identity` is empty where that is simply the one who asks."""

    uid: int
    gid: int
    identity: Identity

    def can_enter(self, directory: Path) -> bool:
        """Whether this account can reach a directory through all of its parents; only a process of its own can tell."""
        return self.run("/bin/sh", "-c", 'test -x "$0"', str(directory)).returncode == 0

    def can_run(self, binary: Path) -> bool:
        """Whether this account can start a program where it lies."""
        try:
            return self.run(str(binary), "--version").returncode == 0
        except OSError:
            return False

    def run(self, *command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a short command as this account, from a directory that every account can enter."""
        return subprocess.run(  # noqa: S603 - fixed programs, no shell text from outside
            command, capture_output=True, text=True, errors="replace", check=False, cwd="/", env=env, **self.identity
        )

    def give(self, directory: Path) -> None:
        """Make a directory this account's own and closed to everybody else."""
        directory.chmod(0o700)
        if self.identity:
            os.chown(directory, self.uid, self.gid)


def account_for(existing: Path) -> Account:
    """Say who runs the PostgreSQL of a data directory, which may not exist yet.

    An ordinary user runs it under their own name. Root runs it as the directory's owner, so that an ordinary user's
    data stay theirs, or else as a system account made for the purpose.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), {})
    if existing.exists() and existing.stat().st_uid != 0:
        return _unprivileged(existing.stat().st_uid, existing.stat().st_gid)
    entry = _system_account()
    return _unprivileged(entry.pw_uid, entry.pw_gid)


def _unprivileged(uid: int, gid: int) -> Account:
    return Account(uid, gid, {"user": uid, "group": gid, "extra_groups": []})


def _system_account() -> pwd.struct_passwd:
    """Find or make the account; `nobody` serves where no tool can make one.

    A free number alone would not do: initdb insists on an account with a name.
    """
    for command in ((), *WAYS_TO_CREATE):
        if command and shutil.which(command[0]):
            subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - literal commands
        try:
            return pwd.getpwnam(NAME)
        except KeyError:
            continue
    return pwd.getpwnam("nobody")
