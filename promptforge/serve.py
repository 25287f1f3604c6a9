"""Everything behind `script/server`: database, migrations, first run, web server, worker and beat, until Ctrl-C."""

import argparse
import errno
import fcntl
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from promptforge.env import ROOT, env, refuse_unknown_names, var_directory, web_processes
from promptforge.lib import database, keyring, metric_files
from promptforge.lib.supervisor import MARK, Service, Supervisor, end_group, end_leftovers, set_aside, spawn
from promptforge.model_setup import ModelSetup

HOST = "127.0.0.1"
SLOW_START = 30.0  # seconds after which the silence of the web server is worth a sentence
DATABASE_PAUSE = 2.0  # seconds between two tries to start the database again
YIELDING = 5  # niceness of what nobody waits for: on a busy machine a fetch comes before a sweep
DOES = "Start PromptForge on this machine: database, web server, worker and schedule, until Ctrl-C."


class Refused(Exception):
    """PromptForge cannot start; the message is one sentence that says what to do."""


class Ended(BaseException):
    """Ctrl-C or SIGTERM; not an Exception, so that nothing on the way swallows it."""


class Signals:
    """Turns the first request to end into `Ended`, and counts the impatient ones after it."""

    def __init__(self) -> None:
        self.count = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._receive)

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.count += 1
        if self.count == 1:
            raise Ended(number)

    def expect_no_more(self) -> None:
        """Let the ending that is under way run to its end."""
        self.count = max(self.count, 1)

    def is_impatient(self) -> bool:
        """Whether there was a second request."""
        return self.count > 1


def main() -> int:
    """Serve until told to end; returns the exit code."""
    options = _options()
    # Children start in the checkout; a relative var directory means the one seen from here.
    os.environ["PROMPTFORGE_VAR"] = str(var_directory())
    os.environ["PROMPTFORGE_PORT"] = str(options.port)  # links in mail lead to where it serves
    if options.no_model:
        os.environ["PROMPTFORGE_LOCAL_MODEL"] = "no"
    os.chdir(ROOT)
    signals = Signals()
    try:
        refuse_unknown_names()
        with _only_one(options.port):
            _serve(options, signals)
    except Ended:
        _say("Ended.")
        return 0
    except (Refused, database.DatabaseUnavailable, ImproperlyConfigured) as refusal:
        sentence = str(refusal)
    except OSError as error:
        sentence = _os_sentence(error)
    print(f"PromptForge cannot run. {sentence}", file=sys.stderr)
    return 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/server", description=DOES)
    default = env.str("PROMPTFORGE_PORT", default="8000")
    parser.add_argument("--port", type=_port, default=default, help="the port on 127.0.0.1 (default: %(default)s)")
    parser.add_argument("--no-demo", action="store_true", help="begin empty: the first account is made in the browser")
    parser.add_argument("--no-model", action="store_true", help="do without the local model for evaluations")
    return parser.parse_args()


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: use a number from 1 to 65535")
    return int(text)


def _serve(options: argparse.Namespace, signals: Signals) -> None:
    """The steps of a start, each of which refuses with its own sentence, then the watch."""
    began = time.monotonic()
    if end_leftovers(str(var_directory())):
        _say("Ended what an earlier start had left behind.")
    _check_port(options.port)
    _make_folders()
    keyring.keyring()
    keyring.django_secret_key()
    _check_broker()
    try:
        database.open_database()
        _say("The database is up.")
        if database.owner_url() == database.application_url():
            _say("One role owns the tables and serves: DATABASE_OWNER_URL can name an owner apart, which is safer.")
        _run("migrate", "--no-input", "--verbosity", "0")
        welcome = _first_run(options)
        _watch(options, Supervisor(_services(options.port), _environment(), _say, signals.is_impatient), welcome, began)
    finally:
        signals.expect_no_more()
        database.close_database()


def _watch(options: argparse.Namespace, supervisor: Supervisor, welcome: str, began: float) -> None:
    """Keep the three services alive, and say so once the first page can be fetched."""
    announced, warned = False, False
    model, keeper = ModelSetup(_environment(), _log("model-setup"), _say), _DatabaseKeeper()
    try:
        supervisor.start()
        while True:
            supervisor.tend()
            if not announced and _answers(options.port):
                announced = True
                _announce(options.port, welcome, time.monotonic() - began)
                model.begin()
            elif not announced and not warned and time.monotonic() - began > SLOW_START:
                warned = True
                _say(f"The web server does not answer yet: see {_log('web')}.")
            model.tend()
            keeper.tend()
            time.sleep(0.1 if announced else 0.02)
    finally:
        _say("Ending web server, worker, schedule and database (again Ctrl-C: at once).")
        model.stop()
        supervisor.stop()
        end_leftovers(str(var_directory()))  # the local model, which belongs to no worker


def _services(port: int) -> list[Service]:
    """The processes of one PromptForge, in the order in which they end: first what takes work in."""
    scripts = Path(sys.executable).parent
    workers = str(web_processes())
    web = [str(scripts / "granian"), "--interface", "asginl", "--host", HOST, "--port", str(port), "--workers", workers]
    web += ["--log-config", str(ROOT / "deploy" / "web-logging.json"), "--no-ws"]
    web += ["--respawn-failed-workers", "--respawn-interval", "1", "--workers-kill-timeout", "8"]
    celery = [str(scripts / "celery"), "--quiet", "-A", "promptforge"]  # a banner is no log line
    worker = [*celery, "worker", "--loglevel", "INFO", "--concurrency", "2", "--without-gossip", "--without-mingle"]
    beat = [*celery, "beat", "--loglevel", "WARNING", "--schedule", str(var_directory() / "beat" / "schedule")]
    return [
        Service("web server", [*web, "promptforge.asgi:application"], _log("web"), grace=12),
        Service("worker", worker, _log("worker"), grace=20, niceness=YIELDING),
        Service("schedule", beat, _log("beat"), grace=5, niceness=YIELDING),
    ]


def _environment() -> dict[str, str]:
    return {**os.environ, MARK: str(var_directory()), "PYTHONUNBUFFERED": "1"}


def _log(name: str) -> Path:
    return var_directory() / "log" / f"{name}.log"


# -- before the start


@contextmanager
def _only_one(port: int) -> Iterator[None]:
    """Hold the lock of this var directory; its file tells a second start where the first one is."""
    var_directory().mkdir(parents=True, exist_ok=True)
    with (var_directory() / "server.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Refused(f"It runs already from this folder ({lock.read().strip() or 'just starting'}).") from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, http://{HOST}:{port}/")
        lock.flush()
        yield


def _check_port(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that are winding down do not count
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except PermissionError:
            raise Refused(f"Port {port} is for root only: choose another one with --port.") from None
        except OSError:
            raise Refused(f"Port {port} is taken by another program: choose another one with --port.") from None


def _make_folders() -> None:
    for name in ("log", "beat", "broker", "broker-control", "metrics"):
        (var_directory() / name).mkdir(exist_ok=True)
    metric_files.clear(var_directory() / "metrics")
    usable = os.statvfs(var_directory())
    if usable.f_bavail * usable.f_frsize < 100_000_000:
        free = usable.f_bavail * usable.f_frsize // 1_000_000
        raise Refused(f"The disk that holds {var_directory()} is full ({free} MB left): free at least 100 MB.")


def _check_broker() -> None:
    url = env.str("CELERY_BROKER_URL", default="").strip()
    if not url or url.startswith("filesystem:"):
        return
    from kombu.connection import Connection

    place = urlsplit(url)
    try:
        with Connection(url, connect_timeout=5) as connection:  # type: ignore[no-untyped-call]
            connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=5)
    except Exception:  # noqa: BLE001 - every transport has exceptions of its own, and their words may quote the password
        raise Refused(
            f"The message broker at {place.hostname or 'an unnamed host'}, port {place.port or 'of its kind'}, "
            "does not answer: check that it runs, and the host, port and password in CELERY_BROKER_URL."
        ) from None


def _run(*words: str, tell: Callable[[str], None] = lambda _: None) -> str:
    """Run one `manage.py` command to its end and return what it printed; a failure becomes one sentence.

    Each line is told as soon as it is printed, and those of a command that fails or is ended are told too.
    """
    printed = []
    with tempfile.TemporaryFile() as errors:
        process = spawn(
            [sys.executable, str(ROOT / "manage.py"), *words],
            _environment(),
            output=subprocess.PIPE,
            errors=errors.fileno(),
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                printed.append(line.decode(errors="replace").rstrip("\n"))
                tell(printed[-1])
            process.wait()
        except BaseException:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            end_group(process.pid)
            for line in process.stdout:
                tell(line.decode(errors="replace").rstrip("\n"))
            raise
        errors.seek(0)
        complained = errors.read().decode(errors="replace")
    set_aside(_log("setup"))
    with _log("setup").open("a") as log:
        log.write(complained)  # and not what it printed, which may be a password
    if process.returncode == 0:
        return "\n".join(printed)
    if "No space left on device" in complained:
        raise Refused(f"The disk that holds {var_directory()} is full: free some space and start again.")
    # The last line that begins at the margin: what comes indented after it is the driver's further advice.
    said = [line for line in complained.splitlines() if line.strip() and not line[0].isspace()] or ["it said nothing"]
    last = said[-1].rstrip(".")
    raise Refused(f"`manage.py {words[0]}` failed: {last} (more in {_log('setup')}).")


def _first_run(options: argparse.Namespace) -> str:
    """Make the first account and the demo, once per database, or leave both to the set-up page of a newcomer.

    Returns what the newcomer needs to read. The password is told at once, for no later start can tell it.
    """
    return _run("setup_code") if options.no_demo else _run("first_run", tell=_print)


# -- while it runs


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class _DatabaseKeeper:
    """Starts the embedded database again when it ended. Where that fails, what needs none is served on meanwhile."""

    def __init__(self) -> None:
        self._tries_at = 0.0
        self._said = ""

    def tend(self) -> None:
        if database.is_external() or time.monotonic() < self._tries_at or database.embedded().is_running():
            return
        try:
            self._tell("The database ended and is started again.")
            database.embedded().start()
        except database.DatabaseUnavailable as refusal:
            self._tell(f"{refusal} It is tried again until it succeeds.")
            self._tries_at = time.monotonic() + DATABASE_PAUSE
        else:
            self._said = ""

    def _tell(self, sentence: str) -> None:
        """Say each thing once until it is up again."""
        if sentence not in self._said:
            self._said += sentence
            _say(sentence)


def _announce(port: int, welcome: str, seconds: float) -> None:
    """Print where it is and three things to try, with the key of the start that made it.

    Where nobody has an account yet there is nothing to try but the set-up page.
    """
    address, manage = f"http://{HOST}:{port}", ".venv/bin/python manage.py"
    made = re.search(r"\bpf_\w+", welcome)
    key = made.group() if made else "$KEY"
    ask_for_key = f"  KEY=$({manage} create_key --project demo --name laptop --scopes prompts:read)"
    hour_ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
    on_stable = "support/greeting --project demo --channel stable"
    lines = [f"\nPromptForge is at {address}/ (ready in {seconds:.1f} s; Ctrl-C ends it)\n"]
    if welcome.startswith("Set up:"):
        _print("\n".join([*lines, f"{welcome}\n"]))
        return
    lines += [
        "Fetch the prompt that is live:",
        *([] if made else [ask_for_key]),
        f'  curl -H "Authorization: Bearer {key}" {address}/api/v1/prompts/support/greeting',
        "Bring the version before it back:",
        f"  {manage} rollback {on_stable} --reason 'trying it' --as admin@example.com",
        "Ask what was live an hour ago:",
        f"  {manage} at {on_stable} {hour_ago}\n",
    ]
    _print("\n".join(lines))


def _say(sentence: str) -> None:
    _print(f"{time.strftime('%H:%M:%S')} {sentence}")


def _print(text: str) -> None:
    with suppress(OSError):  # a terminal that has gone away must not keep the rest from ending in order
        print(text, flush=True)


def _os_sentence(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk that holds {error.filename or var_directory()} is full: free some space and start again."
    return f"{error.filename or var_directory()}: {error.strerror or error}."


if __name__ == "__main__":
    sys.exit(main())
