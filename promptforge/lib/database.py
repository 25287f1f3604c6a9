"""Which database PromptForge works on: the one that `DATABASE_URL` names, or an embedded PostgreSQL under var/."""

import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from types import FrameType

from promptforge.env import env, var_directory
from promptforge.lib.cluster import APPLICATION, OWNER, Cluster, DatabaseUnavailable

__all__ = ["Cluster", "DatabaseUnavailable", "application_url", "available", "check_external", "embedded", "owner_url"]

OLDEST = 15  # PostgreSQL's major version; its privileges on the public schema are what the two roles rely on
# Commands that never ask the database; all others may.
WITHOUT_DATABASE = frozenset(
    {"", "help", "version", "check", "collectstatic", "compilemessages", "diffsettings", "findstatic", "makemessages"}
    | {"spectacular", "startapp", "startproject"}
)


@cache
def embedded() -> Cluster:
    """The one embedded cluster of this var directory."""
    return Cluster(var_directory())


def application_url() -> str:
    """Where the application connects, with rights on rows only if there are two roles."""
    return _named("DATABASE_URL") or embedded().url(APPLICATION)


def owner_url() -> str:
    """Where migrations connect: `DATABASE_OWNER_URL`, or the same as the application when only one role is named."""
    return _named("DATABASE_OWNER_URL") or _named("DATABASE_URL") or embedded().url(OWNER)


def is_external() -> bool:
    """Whether `DATABASE_URL` names a database of one's own."""
    return bool(_named("DATABASE_URL"))


@contextmanager
def available(arguments: Sequence[str] | None = None) -> Iterator[None]:
    """Have the database answer for as long as a command runs; end the process with one sentence when it cannot.

    `arguments` is a command line like `sys.argv`, which is the default. `help`, `check` and the like start nothing.
    """
    words = sys.argv if arguments is None else arguments
    if not _asks_database(words[1:]):
        yield
        return
    _leave_in_order_when_terminated()
    try:
        open_database()
    except DatabaseUnavailable as refusal:
        raise SystemExit(str(refusal)) from None
    try:
        yield
    finally:
        close_database()


def open_database() -> None:
    """Start the embedded cluster, or check that the named database answers."""
    if is_external():
        check_external()
    else:
        embedded().start()


def close_database() -> None:
    """Leave the embedded cluster, which stops when nobody else uses it; a database of one's own is left alone."""
    if not is_external():
        embedded().stop()


def check_external() -> None:
    """Raise `DatabaseUnavailable` with one sentence unless each named database answers and is new enough."""
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL"):
        if url := _named(name):
            _check(name, url)


def _named(name: str) -> str:
    value: str = env.str(name, default="")
    return value.strip()


def _asks_database(words: Sequence[str]) -> bool:
    command = next((word for word in words if not word.startswith("-")), "")
    if {"--help", "-h", "--version"} & set(words):
        return False
    return command not in WITHOUT_DATABASE or "--database" in words


def _leave_in_order_when_terminated() -> None:
    """Let SIGTERM unwind the stack, so that the last user's departure still stops PostgreSQL."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    on_main_thread = threading.current_thread() is threading.main_thread()
    if on_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end)


def _check(name: str, url: str) -> None:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    if not url.startswith(("postgresql://", "postgres://")):
        raise DatabaseUnavailable(f"{name} must begin with postgresql://, for PromptForge runs on PostgreSQL only.")
    try:
        target = conninfo_to_dict(url)
    except psycopg.Error:
        # The driver's own words are left out: they may quote the password.
        raise DatabaseUnavailable(
            f"{name} is not a valid address: write postgresql://user:password@host:port/name."
        ) from None
    try:
        with psycopg.connect(url, connect_timeout=int(str(target.get("connect_timeout") or 5))) as connection:
            major = connection.info.server_version // 10000
    except psycopg.Error as error:
        raise DatabaseUnavailable(_why_not(name, target, str(error))) from None
    if major < OLDEST:
        raise DatabaseUnavailable(f"{name} leads to PostgreSQL {major}, and PromptForge needs {OLDEST} or newer.")


def _why_not(name: str, target: Mapping[str, object], said: str) -> str:
    """Say host, port and what to check, never the password."""
    host, port = target.get("host") or "the local socket", target.get("port") or 5432
    user, database = target.get("user"), target.get("dbname")
    if "password authentication failed" in said or "no password supplied" in said or "pg_hba.conf" in said:
        return f"PostgreSQL at {host}, port {port}, refuses the user {user}: check the name and the password in {name}."
    if f'database "{database}" does not exist' in said:
        return f"PostgreSQL at {host}, port {port}, has no database {database}: create it, or correct {name}."
    if f'role "{user}" does not exist' in said:
        return f"PostgreSQL at {host}, port {port}, has no role {user}: create it, or correct {name}."
    return f"PostgreSQL at {host}, port {port}, does not answer: check that it runs, and the host and port in {name}."
