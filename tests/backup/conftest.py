"""Machines: a var directory with its own PostgreSQL each, on which commands run as an operator runs them."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from promptforge.env import ROOT
from promptforge.lib.cluster import OWNER, Cluster
from tests.startup.conftest import clean_environment, stop_by_force

PRELUDE = """
import django, os, sys, json
os.environ["DJANGO_SETTINGS_MODULE"] = "promptforge.settings"
django.setup()
"""
PEOPLE = """
from accounts.actions.api_keys import create_key
from accounts.actions.members import create_user, set_roles
from accounts.policies import Principal
from delivery.receipts import Receipt, write_receipt
from prompts.actions.projects import create_project
from prompts.actions.versions import create_prompt
from prompts.verification import write_checkpoint
emil = create_user(email="emil@shop.example", name="Emil")
project = create_project(name="shop", preset="solo", creator=emil)
set_roles(project=project, user=emil, roles=["editor", "reviewer", "release-manager", "admin"], by=None)
prompt, version = create_prompt(by=Principal(emil, project), name="support/greeting", content="Text 1")
write_checkpoint()
print(json.dumps({
    "key": create_key(project=project, name="k", scopes=["prompts:read"], responsible=emil, by=None).text,
    "receipt": write_receipt(Receipt(project.pk, prompt.pk, version.pk, None, None, None)),
}))
"""
# Saves and promotes until its input ends, and prints each number once it is committed.
WRITER = """
import threading
from accounts.models import Project, User
from accounts.policies import Principal
from prompts.actions.releases import promote
from prompts.actions.versions import create_prompt, save_version
from prompts.models import Channel, Prompt
project = Project.objects.get(name="shop")
by = Principal(User.objects.get(name="Emil"), project)
name, stable = sys.argv[1], Channel.objects.get(project=project, name="stable")
prompt = Prompt.objects.filter(name=name).first() or create_prompt(by=by, name=name, content="Text 1")[0]
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
while not ended.is_set():
    number = Prompt.objects.get(pk=prompt.pk).next_number
    version = save_version(by=by, prompt=prompt, content=f"Text {number}").version
    promote(by=by, prompt=prompt, channel=stable, version=version)
    print(version.number, flush=True)
"""
LOOK = """
from accounts.actions.api_keys import recognise_key
from delivery.receipts import read_receipt
from django.db import connections
from events.fence import is_fenced
from events.models import Serving
from promptforge.lib import guards
from promptforge.lib.errors import DomainError
from prompts.models import Head
def key(text):
    try:
        return recognise_key(text).project.name
    except DomainError as refusal:
        return refusal.code
given = json.loads(sys.argv[1])
with connections["owner"].cursor() as cursor:
    differences = list(guards.differences(cursor))
print(json.dumps({
    "key": key(given["key"]), "receipt": read_receipt(given["receipt"]) is not None, "fenced": is_fenced(),
    "guards": differences, "live": getattr(Head.objects.get(prompt__name="support/greeting").version, "number", None),
    "serving": {s.project_id: [s.generation, str(s.epoch), s.transaction] for s in Serving.objects.all()},
}))
"""


@dataclass
class Machine:
    """One PromptForge: its var directory, and what its environment says besides."""

    home: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return clean_environment(PROMPTFORGE_VAR=str(self.home), **self.settings)

    @property
    def owner_url(self) -> str:
        return self.settings.get("DATABASE_URL") or Cluster(self.home).url(OWNER)

    def manage(self, *words: str | Path, code: int = 0, **settings: str) -> str:
        """Run a command to its expected end; returns what it printed, or complained when it was to fail."""
        done = subprocess.run(
            [sys.executable, "manage.py", *map(str, words)],
            cwd=ROOT, env=self.environment | settings, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr if code else done.stdout

    def start(self, code: str, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", PRELUDE + code, *arguments],
            cwd=ROOT, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def write(self, name: str = "support/greeting") -> "subprocess.Popen[str]":
        return self.start(WRITER, name)

    def ask(self, code: str, given: Any = None) -> Any:
        """What a piece of Python prints as JSON."""
        process = self.start(code, json.dumps(given))
        said = process.communicate("", timeout=60)[0]
        assert process.returncode == 0
        return json.loads(said)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.owner_url) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @property
    def checkpoints(self) -> Path:
        return self.home / "checkpoints.jsonl"


@dataclass
class Source:
    """A machine with a project, and what its callers hold."""

    machine: Machine
    held: dict[str, str]
    folder: Path

    def look(self, machine: Machine) -> Any:
        return machine.ask(LOOK, self.held)


@contextmanager
def machines() -> Iterator[tuple[Callable[..., Machine], Path]]:
    """Makes machines under one folder that PostgreSQL's own account can enter; they end with it."""
    folder = Path(tempfile.mkdtemp(prefix="pf backup ", dir="/tmp"))
    folder.chmod(0o755)
    made: list[Path] = []

    with ExitStack() as stack:

        def make(**settings: str) -> Machine:
            machine = Machine(folder / f"var{len(made)}", settings)
            made.append(machine.home)
            machine.home.mkdir()
            if "DATABASE_URL" not in settings:  # held here, so that each command need not start and stop it
                cluster = Cluster(machine.home, durable=False)
                cluster.start()
                stack.callback(cluster.stop)
            return machine

        yield make, folder
    for home in made:
        stop_by_force(home)
    shutil.rmtree(folder)


def fill(machine: Machine, folder: Path) -> Source:
    machine.manage("migrate", "-v0")
    return Source(machine, machine.ask(PEOPLE), folder)


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[Callable[..., Machine], Path]]:
    with machines() as made:
        yield made


@pytest.fixture(scope="module")
def new_machine(site: tuple[Callable[..., Machine], Path]) -> Callable[..., Machine]:
    return site[0]


@pytest.fixture(scope="module")
def source(site: tuple[Callable[..., Machine], Path]) -> Source:
    return fill(site[0](), site[1])


def reached(process: "subprocess.Popen[str]", number: int) -> int:
    """Read a writer's acknowledgements until this many versions are there; returns the last one."""
    assert process.stdout is not None
    last = 0
    while last < number:
        last = int(process.stdout.readline())
    return last


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777
