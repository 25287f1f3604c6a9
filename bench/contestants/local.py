"""The two contestants that come with the harness: the bare server, and the plain DRF view."""

import json
import subprocess
import sys
from pathlib import Path

from bench.generator import Step, reference
from bench.ours import Ours, path_of, plain_names
from bench.processes import Program, clean_environment, free_port
from promptforge.env import ROOT

# As `promptforge.serve` starts its own web server.
GRANIAN = [str(Path(sys.executable).parent / "granian"), "--host", "127.0.0.1", "--no-ws"]
COPIED_HEADERS = {"content-type", "content-length", "etag", "cache-control", "vary"}


class Bare:
    """A bare ASGI application under granian, answering PromptForge's bytes from memory."""

    name = "bare granian"

    def __init__(self, var: Path, ours: Ours) -> None:
        self.var, self.ours, self.port = var, ours, free_port()
        self._program: Program | None = None

    def start(self, workers: int) -> None:
        """Learn the answers from PromptForge, which runs already, and serve them."""
        client = self.ours.client()
        answers = {}
        for path in map(path_of, plain_names()):
            answer = client.call("GET", path)
            headers = {name: value for name, value in answer.headers.items() if name in COPIED_HEADERS}
            answers[path] = (headers, answer.body.decode())
        self.var.mkdir(parents=True, exist_ok=True)
        (self.var / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
        command = [*GRANIAN, "--interface", "asginl", "--port", str(self.port), "--workers", str(workers)]
        environment = clean_environment(BENCH_ANSWERS=str(self.var / "answers.json"))
        self._program = Program([*command, "bench.contestants.bare:application"], environment, self.var / "bare.log")
        self._program.await_port(self.port)

    @property
    def root(self) -> int:
        assert self._program is not None, "it does not run"
        return self._program.pid

    def steps(self) -> list[Step]:
        """A fetch of each prompt."""
        return reference(self.port, self.ours.headers, _wanted())

    def end(self) -> None:
        if self._program is not None:
            self._program.end()


class PlainView:
    """A DRF view with token authentication and a look-up in the same PostgreSQL, under granian."""

    name = "plain DRF view"

    def __init__(self, var: Path, ours: Ours) -> None:
        self.var, self.ours, self.port = var, ours, free_port()
        self._token = ""
        self._program: Program | None = None

    def start(self, workers: int) -> None:
        """Fill its database from PromptForge's answers, once, and serve."""
        environment = clean_environment(
            DJANGO_SETTINGS_MODULE="bench.contestants.drf.settings",
            BENCH_DATABASE_URL=self.ours.database_url("bench_drf"),
        )
        if not self._token:
            client = self.ours.client()
            answers = [client.expect(200, "GET", path_of(name)) for name in plain_names()]
            command = [sys.executable, "-m", "bench.contestants.drf.prepare"]
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                input=json.dumps(answers),
                text=True,
                stdout=subprocess.PIPE,
                check=True,
            )
            self._token = done.stdout.strip()
        command = [*GRANIAN, "--interface", "wsgi", "--port", str(self.port), "--workers", str(workers)]
        self._program = Program([*command, "bench.contestants.drf.wsgi:application"], environment, self.var / "drf.log")
        self._program.await_port(self.port)

    @property
    def root(self) -> int:
        assert self._program is not None, "it does not run"
        return self._program.pid

    def steps(self) -> list[Step]:
        """A fetch of each prompt."""
        return reference(self.port, {"Authorization": f"Token {self._token}"}, _wanted())

    def end(self) -> None:
        if self._program is not None:
            self._program.end()


def _wanted() -> dict[str, str]:
    return {path_of(name): f"{name}: " for name in plain_names()}
