"""Keep a few long-running processes alive, and end them in order; nothing here knows what they do."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# Every process that a supervisor starts carries this variable, and so do its children. It tells what a killed
# supervisor left behind from everything else that runs on the machine.
MARK = "PF_SUPERVISED_FROM"
DELAYS = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds before the next try, after so many quick deaths; never more than 5
QUICK = 10.0  # a process that lived shorter than this did not really start
LARGEST_LOG = 10_000_000  # bytes; a longer log is set aside at the next start

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Service:
    """One process to keep alive.

    `grace` is how many seconds it may take to end by itself, `niceness` how much it lets others go before it.
    """

    name: str
    command: Sequence[str]
    log: Path
    grace: float = 10.0
    niceness: int = 0


@dataclass
class Running:
    """What the supervisor knows of one service now."""

    service: Service
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    next_try_at: float = 0.0
    quick_deaths: int = 0


@dataclass
class Supervisor:
    """Starts services in the order given and ends them in the same order, so list first what people talk to."""

    services: Sequence[Service]
    environment: Mapping[str, str]
    say: Callable[[str], None]
    is_impatient: Callable[[], bool]
    running: list[Running] = field(init=False)

    def __post_init__(self) -> None:
        self.running = [Running(service) for service in self.services]

    def start(self) -> None:
        """Start every service."""
        for one in self.running:
            set_aside(one.service.log)
            self._start(one)

    def tend(self) -> None:
        """Start again what has died; call it several times a second."""
        now = time.monotonic()
        for one in self.running:
            if one.process is not None and one.process.poll() is not None:
                self._note_death(one, one.process, now)
            elif one.process is None and now >= one.next_try_at:
                self._start(one)

    def stop(self) -> None:
        """End every service in order: ask, wait for its grace, then force it together with its children."""
        for one in self.running:
            if one.process is None:
                continue
            if one.process.poll() is None:
                one.process.terminate()
                self._wait(one.process, one.service.grace)
            end_group(one.process.pid)
            one.process.wait()
            one.process = None

    def _wait(self, process: "subprocess.Popen[bytes]", seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline and not self.is_impatient():
            time.sleep(0.02)

    def _start(self, one: Running) -> None:
        with one.service.log.open("ab") as log:
            one.process = spawn(
                one.service.command, self.environment, output=log.fileno(), niceness=one.service.niceness
            )
        one.started_at = time.monotonic()

    def _note_death(self, one: Running, process: "subprocess.Popen[bytes]", now: float) -> None:
        end_group(process.pid)  # its children must not go on beside its successor's
        one.process = None
        one.quick_deaths = one.quick_deaths + 1 if now - one.started_at < QUICK else 0
        one.next_try_at = now + DELAYS[min(one.quick_deaths, len(DELAYS) - 1)]
        if one.quick_deaths == 3:
            self.say(f"The {one.service.name} keeps ending soon after its start: see {one.service.log}. Trying on.")
        elif one.quick_deaths < 3:
            self.say(f"The {one.service.name} ended ({_how(process.returncode)}) and is started again.")


def spawn(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    output: int,
    errors: int = subprocess.STDOUT,
    niceness: int = 0,
) -> "subprocess.Popen[bytes]":
    """Start a marked process in a session of its own that is told to end when this process is killed.

    Its own session, because Ctrl-C in the terminal is for the supervisor, which ends things in order.
    """
    parent = os.getpid()

    def before_it_begins() -> None:
        os.nice(niceness)
        if LIBC is not None:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # killed in between
                os._exit(1)

    return subprocess.Popen(  # noqa: S603 - our own programs
        list(command), env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
        start_new_session=True, preexec_fn=before_it_begins,  # noqa: PLW1509 - one thread only
    )  # fmt: skip


def end_group(leader: int) -> None:
    """Kill what is left of a service's session once its first process has ended or used up its grace."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def end_leftovers(mark: str, patience: float = 3.0) -> int:
    """End what a killed supervisor with this mark left behind; returns how many processes that were.

    Linux only, where a process shows the environment that it was started with.
    """
    found = _marked(mark)
    _signal(found, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while (left := _marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    _signal(left, signal.SIGKILL)
    return len(found)


def set_aside(log: Path) -> None:
    """Keep a log from growing for ever: one that is long is renamed, and the one before it is dropped."""
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_suffix(".log.1"))


def _marked(mark: str) -> list[int]:
    entry = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if entry in (folder / "environ").read_bytes().split(b"\0") and int(folder.name) != os.getpid():
                found.append(int(folder.name))
        except OSError:
            continue  # ended meanwhile, or somebody else's
    return found


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
