"""Taking a backup while PromptForge serves: database, keys and checkpoints, as of one moment, in one file."""

import subprocess
import tempfile
import tomllib
from pathlib import Path
from typing import IO, Any

import psycopg
from django.conf import settings
from psycopg.rows import dict_row

from promptforge.env import ROOT, env
from promptforge.lib import checkpoint_file, database, keyring
from promptforge.lib.backup import (
    CHECKPOINTS,
    DUMP,
    KEYS,
    BackupRefused,
    Writer,
    complaint,
    environment,
    new_file,
    program,
)

# Every project's place in its own history, and how many events of each kind it has.
PROJECTS = """
SELECT project_id, generation, epoch::text AS epoch, coalesce(seq, 0) AS seq, encode(digest, 'hex') AS digest,
    (SELECT coalesce(json_object_agg(kind, n ORDER BY kind), '{}') FROM (
        SELECT kind, count(*) AS n FROM public.events_event e WHERE e.project_id = s.project_id GROUP BY kind
    ) counted) AS counts
FROM public.events_serving s LEFT JOIN LATERAL (
    SELECT seq, digest FROM public.events_eventseal e WHERE e.project_id = s.project_id ORDER BY seq DESC LIMIT 1
) newest ON true ORDER BY project_id
"""
MIGRATIONS = "SELECT app || '.' || name AS name FROM public.django_migrations ORDER BY name"


def take_backup(path: Path) -> dict[str, Any]:
    """Write a backup to a path that is free yet; returns its manifest. Raises `BackupRefused` with one sentence."""
    checkpoints = checkpoint_file.whole_lines(settings.CHECKPOINT_FILE)  # before the snapshot: see there
    with new_file(path) as file:
        try:
            with psycopg.connect(database.owner_url()) as connection:
                return _write(connection, file, checkpoints)
        except psycopg.errors.UndefinedTable:
            raise BackupRefused(
                "There is nothing to back up: this database has no tables of PromptForge yet."
            ) from None
        except psycopg.OperationalError:
            raise BackupRefused("The database went away while it was read: run the backup again.") from None


def _write(connection: psycopg.Connection[Any], file: IO[bytes], checkpoints: str | None) -> dict[str, Any]:
    """Dump the very snapshot that the manifest describes; the transaction is open until then."""
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    connection.execute("SET idle_in_transaction_session_timeout = 0")
    manifest = _manifest(connection)
    (snapshot,) = connection.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
    writer = Writer(file)
    _dump(writer, manifest["postgresql"] // 10000, snapshot)
    writer.add_text(KEYS, _keys())
    if checkpoints is not None:
        writer.add_text(CHECKPOINTS, checkpoints)
    writer.finish(manifest)
    return manifest


def _manifest(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        taken = cursor.execute("SELECT now() AS now").fetchone()
        return {
            "promptforge": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"],
            "taken_at": taken["now"].isoformat() if taken else None,
            "postgresql": connection.info.server_version,
            "migrations": [row["name"] for row in cursor.execute(MIGRATIONS).fetchall()],
            "projects": cursor.execute(PROJECTS).fetchall(),
        }


def _dump(writer: Writer, major: int, snapshot: str) -> None:
    name = "pg_dump"
    command = [program(name, major), "--format=custom", "--no-owner", "--no-privileges", "--no-password"]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - PostgreSQL's own program
            [*command, f"--snapshot={snapshot}"],
            env=environment(database.owner_url()), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            writer.add(DUMP, process.stdout.read)
            process.wait()
        finally:
            process.kill()  # does nothing when it has ended
            process.wait()
            process.stdout.close()
        if process.returncode:
            said.seek(0)
            raise complaint(name, said.read())


def _keys() -> str:
    """The ring as it is in use, with Django's secret key unless the environment holds that one."""
    ring = dict(keyring.keyring())
    ring.pop(keyring.DJANGO, None)
    if not env.str("PROMPTFORGE_SECRET_KEY", default=""):
        ring[keyring.DJANGO] = (keyring.Key("k1", keyring.django_secret_key().encode()),)
    return "".join(f"{key.id}:{purpose}:{key.secret.decode()}\n" for purpose, keys in ring.items() for key in keys)
