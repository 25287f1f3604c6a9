"""PromptForge itself as it is measured: `script/server` on a var directory of its own, with one project of prompts."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

from bench import machine
from bench.client import Client
from bench.processes import Program, clean_environment, free_port, wait_until
from promptforge.env import ROOT
from promptforge.lib.cluster import ADMIN, Cluster

PERSON = "bench@example.com"
SCOPES = "prompts:read,versions:write,releases:write,observations:write,feedback:write,audit:read"
PROMPTS = 20
BODY = 2001  # bytes of a fetch's answer
VARIABLES = [f"variable_{number:02}" for number in range(15)]
# The limits are there to protect a server from its callers; here one caller measures how far the server goes.
UNLIMITED = {f"PROMPTFORGE_RATE_{kind}": "1000000" for kind in ("FETCH", "INTAKE", "WRITE")}
FILLER = "The quick brown fox answers a customer who asks where the parcel is, briefly and in a friendly tone. "


class Ours:
    """The product, started and stopped any number of times on one database."""

    name = "promptforge"

    def __init__(self, var: Path) -> None:
        self.var = var
        self.cluster = Cluster(var)
        self.port = free_port()
        self.key = ""
        self._others: dict[str, str] = {}
        self._program: Program | None = None

    # -- starting and ending

    def forget(self) -> None:
        """Remove what an earlier run left, its database included; one that was killed may still be ending."""
        wait_until(lambda: not self.cluster.is_running(), 30, f"Something still works with {self.var}: end it first.")
        shutil.rmtree(self.cluster.data, ignore_errors=True)
        shutil.rmtree(self.var, ignore_errors=True)

    def start(self, workers: int) -> None:
        """Run it with this number of web processes, and wait until all of them answer."""
        self.var.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "promptforge.serve", "--port", str(self.port), "--no-demo"]
        environment = self._environment(WEB_CONCURRENCY=str(workers), **UNLIMITED)
        self._program = Program(command, environment, self.var / "log" / "serve.log")
        self._program.await_port(self.port, 120)
        wait_until(lambda: len(self.web_processes()) >= workers, 30, "The web server has too few workers.")
        if not self.key:
            self._prepare()

    def end(self) -> None:
        """Stop it with all that belongs to it; the database stays on disk."""
        if self._program is not None:
            self._program.end()
            self._program = None

    def _environment(self, **extra: str) -> dict[str, str]:
        return clean_environment(PROMPTFORGE_VAR=str(self.var), PYTHONUNBUFFERED="1", **extra)

    def manage(self, *words: str) -> str:
        """What one `manage.py` command prints."""
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(command, cwd=ROOT, env=self._environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"manage.py {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    # -- its processes

    @property
    def root(self) -> int:
        """The process that everything but PostgreSQL hangs from."""
        assert self._program is not None, "it does not run"
        return self._program.pid

    @property
    def web(self) -> int:
        """The web server's first process, the parent of its workers."""
        for pid in machine.tree(self.root):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if any(word.endswith(b"/granian") for word in words[:2]):
                return pid
        raise RuntimeError("The web server does not run.")

    def web_processes(self) -> list[int]:
        """The workers of the web server."""
        return machine.tree(self.web)[1:]

    @property
    def postgres(self) -> int:
        """PostgreSQL's first process."""
        return int((self.cluster.data / "postmaster.pid").read_text().split(maxsplit=1)[0])

    def database_url(self, name: str) -> str:
        """A database beside its own in the same PostgreSQL, fresh when it is first asked for."""
        import psycopg

        if name not in self._others:
            quoted = psycopg.sql.Identifier(name)
            with psycopg.connect(self.cluster.url(ADMIN, "postgres"), autocommit=True) as admin:
                admin.execute(psycopg.sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(quoted))
                admin.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(quoted))
            self._others[name] = self.cluster.url(ADMIN, name)
        return self._others[name]

    # -- what it serves

    def client(self) -> Client:
        """A connection of its own, with the key."""
        return Client(self.port, self.headers)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def _prepare(self) -> None:
        """The project, the key, and the prompts: `plain/NN`, `rendered/NN` (15 variables), `moving` (two versions)."""
        project = f"bench-{int(time.time())}"  # another one each time, for a database that is kept
        commands = [
            ["create_project", project, "--preset", "solo"],
            ["create_user", PERSON, "--project", project, "--role", "admin"],
            ["create_key", "--project", project, "--name", "bench", "--scopes", SCOPES, "--json"],
        ]
        calls = "; ".join(f"run(*{words!r})" for words in commands)  # in one process: each takes a second to start
        said = self.manage(
            "shell", "--no-imports", "-c", f"from django.core.management import call_command as run; {calls}"
        )
        self.key = str(json.loads(said.splitlines()[-1])["key"])
        client = self.client()
        text = _text("moving", 1000)
        _make(client, "moving", text)
        shortfall = BODY - len(client.call("GET", path_of("moving")).body)
        client.expect(201, "POST", "/api/v1/versions", {"prompt": "moving", "content": f"{text}!"})
        client.expect(201, "POST", "/api/v1/releases", _promote("moving", 2))
        for name in plain_names():
            _make(client, name, _text(name, 1000 + shortfall + len("moving") - len(name)))
        tags = " ".join(f"{{{{{name}}}}}" for name in VARIABLES)
        for name in rendered_names():
            _make(client, name, _text(f"{name}: {tags}", BODY))


def plain_names() -> list[str]:
    """The prompts without variables whose answers have about 2,001 bytes."""
    return [f"plain/{number:02}" for number in range(PROMPTS)]


def rendered_names() -> list[str]:
    """The prompts of about 2 KB of text with 15 variables."""
    return [f"rendered/{number:02}" for number in range(PROMPTS)]


def path_of(name: str, query: str = "") -> str:
    """Where a prompt is fetched."""
    return f"/api/v1/prompts/{quote(name)}{'?' + query if query else ''}"


def _make(client: Client, name: str, text: str) -> None:
    """A prompt whose version 1 is live."""
    client.expect(201, "POST", "/api/v1/prompts", {"name": name, "content": text})
    client.expect(201, "POST", "/api/v1/releases", _promote(name, 1))


def _promote(name: str, version: int) -> dict[str, object]:
    return {"kind": "promote", "prompt": name, "version": version, "reason": "measuring"}


def _text(begins: str, length: int) -> str:
    return f"{begins}: {FILLER * 20}"[:length]
