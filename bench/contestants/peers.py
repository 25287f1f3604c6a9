"""Other products that serve prompts, from PyPI, each in an environment of its own; only when asked for.

They are installed once, into the var directory, and serve the same 20 texts by the call that their own clients use.
"""

import subprocess
import sys
from abc import ABC, abstractmethod
from pathlib import Path

from bench.client import Client
from bench.generator import Step, reference
from bench.ours import BODY, FILLER, Ours, plain_names
from bench.processes import Program, clean_environment, free_port, wait_until


class Peer(ABC):
    """What both have in common: installing, starting, the twenty prompts."""

    name: str
    package: str
    drivers: tuple[str, ...]  # with which it talks to PostgreSQL

    def __init__(self, var: Path, ours: Ours) -> None:
        self.ours, self.port = ours, free_port()
        self.home = var / self.package.split("==")[0]
        self._filled = False
        self._program: Program | None = None

    @property
    def root(self) -> int:
        assert self._program is not None, "it does not run"
        return self._program.pid

    def start(self, workers: int) -> None:
        """Install it if need be, start it, and fill it once."""
        self._install()
        database = self.ours.database_url(f"bench_{self.name.lower()}")
        self._program = self._started(workers, database)
        self._program.await_port(self.port, 180)
        client = Client(self.port, self.headers())
        wait_until(lambda: client.call("GET", self.health).status == 200, 120, f"{self.name} does not get ready.")
        if not self._filled:
            for name in plain_names():
                self.fill(client, name.replace("/", "-"), f"{name}: {FILLER * 20}"[:BODY])
            self._filled = True

    def end(self) -> None:
        if self._program is not None:
            self._program.end()

    def steps(self) -> list[Step]:
        """A fetch of each prompt by its label."""
        wanted = {self.path(name.replace("/", "-")): f"{name}: " for name in plain_names()}
        return reference(self.port, self.headers(), wanted)

    health: str

    def headers(self) -> dict[str, str]:
        return {}

    @abstractmethod
    def path(self, name: str) -> str:
        """Where its own clients ask for a prompt."""

    @abstractmethod
    def fill(self, client: Client, name: str, text: str) -> None:
        """Put a prompt with this text in, live."""

    @abstractmethod
    def _started(self, workers: int, database: str) -> Program:
        """Start it on a database of its own."""

    @property
    def _scripts(self) -> Path:
        return self.home / "venv" / "bin"

    def _install(self) -> None:
        done = self.home / "installed"
        if done.exists() and done.read_text() == self.package:
            return
        print(f"Installing {self.package} into {self.home}.", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(self.home / "venv")], check=True)
        pip = [str(self._scripts / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, self.package, *self.drivers], check=True)
        done.write_text(self.package)


class Phoenix(Peer):
    """Arize Phoenix: one process (it has no option for more), signed in with a system API key."""

    name = "Phoenix"
    package = "arize-phoenix==20.26.1"
    drivers = ("asyncpg", "psycopg[binary]")
    health = "/healthz"
    _key = ""

    def headers(self) -> dict[str, str]:
        """Its API key, or before there is one the secret of its administrator."""
        return {"Authorization": f"Bearer {self._key or ADMINISTRATOR}"}

    def path(self, name: str) -> str:
        return f"/v1/prompts/{name}/tags/production"

    def fill(self, client: Client, name: str, text: str) -> None:
        """One prompt with its version tagged; the first time also the key."""
        if not self._key:
            query = 'mutation { createSystemApiKey(input: {name: "bench"}) { jwt } }'
            answer = client.expect(200, "POST", "/graphql", {"query": query})
            self._key = answer["data"]["createSystemApiKey"]["jwt"]
        version = {
            "model_provider": "OPENAI",
            "model_name": "gpt-5",
            "template": {"type": "chat", "messages": [{"role": "user", "content": text}]},
            "template_type": "CHAT",
            "template_format": "MUSTACHE",
            "invocation_parameters": {"type": "openai", "openai": {}},
        }
        made = client.expect(200, "POST", "/v1/prompts", {"prompt": {"name": name}, "version": version})
        tag = client.call("POST", f"/v1/prompt_versions/{made['data']['id']}/tags", {"name": "production"})
        if tag.status not in (200, 201, 204):
            raise RuntimeError(f"Phoenix does not tag a version: {tag.status} {tag.body[:300]!r}")

    def _started(self, _: int, database: str) -> Program:
        environment = clean_environment(
            PHOENIX_HOST="127.0.0.1",
            PHOENIX_PORT=str(self.port),
            PHOENIX_GRPC_PORT=str(free_port()),
            PHOENIX_WORKING_DIR=str(self.home),
            PHOENIX_SQL_DATABASE_URL=database,
            PHOENIX_ENABLE_AUTH="true",
            PHOENIX_SECRET=ADMINISTRATOR[::-1],
            PHOENIX_ADMIN_SECRET=ADMINISTRATOR,
            PHOENIX_TELEMETRY_ENABLED="false",
        )
        return Program([str(self._scripts / "phoenix"), "serve"], environment, self.home / "server.log")


class MLflow(Peer):
    """MLflow: a prompt is a registered model, fetched by its alias; no authentication, as it comes."""

    name = "MLflow"
    package = "mlflow==3.17.2"
    drivers = ("psycopg[binary]",)
    health = "/health"

    def path(self, name: str) -> str:
        return f"/api/2.0/mlflow/registered-models/alias?name={name}&alias=production"

    def fill(self, client: Client, name: str, text: str) -> None:
        """One prompt with its version aliased, as MLflow's own client writes them."""
        is_prompt = {"key": "mlflow.prompt.is_prompt", "value": "true"}
        create = {"name": name, "tags": [is_prompt]}
        client.expect(200, "POST", "/api/2.0/mlflow/registered-models/create", create)
        version = {
            "name": name,
            "source": "dummy-source",
            "tags": [is_prompt, {"key": "mlflow.prompt.text", "value": text}],
        }
        client.expect(200, "POST", "/api/2.0/mlflow/model-versions/create", version)
        alias = {"name": name, "alias": "production", "version": "1"}
        client.expect(200, "POST", "/api/2.0/mlflow/registered-models/alias", alias)

    def _started(self, workers: int, database: str) -> Program:
        command = [str(self._scripts / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", str(workers), "--backend-store-uri", database]
        command += ["--artifacts-destination", str(self.home / "artifacts")]
        return Program(command, clean_environment(), self.home / "server.log")


ADMINISTRATOR = "only-for-measurements-on-this-machine-1"
PEERS = {"phoenix": Phoenix, "mlflow": MLflow}
