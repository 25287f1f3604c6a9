"""Restoring a backup: into an empty database, in one transaction that also raises the fence."""

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from django.db.migrations.loader import MigrationLoader
from psycopg.rows import dict_row

from events.backup import MIGRATIONS, PROJECTS
from events.fence import raise_sql
from promptforge.env import var_directory
from promptforge.lib import database
from promptforge.lib.backup import DUMP, Archive, BackupRefused, complaint, environment, program

# What stands in the schema, by its owner; sequences, indexes and row types go with their tables.
WIPE = """
DO $wipe$
DECLARE
    one record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('promptforge restore'));
    FOR one IN SELECT c.oid::regclass AS name FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') LOOP
        EXECUTE format('DROP TABLE %s CASCADE', one.name);
    END LOOP;
    FOR one IN SELECT p.oid::regprocedure AS name FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'promptforge\\_%' LOOP
        EXECUTE format('DROP FUNCTION %s CASCADE', one.name);
    END LOOP;
END
$wipe$
"""
# Sent after the last line of the dump: a dump that ends early, because somebody was killed, is never committed.
WHOLE = b"\nSET promptforge.restored = 'whole';\n"
UNLESS_WHOLE = """
DO $whole$ BEGIN
    IF current_setting('promptforge.restored', true) IS DISTINCT FROM 'whole' THEN
        RAISE EXCEPTION 'the dump ended early';
    END IF;
END $whole$
"""
FOREIGN_TABLES = """
SELECT tablename FROM pg_tables
WHERE schemaname = 'public' AND to_regclass('public.events_serving') IS NULL AND tablename <> 'django_migrations'
ORDER BY 1 LIMIT 3
"""
OWNED = """
SELECT current_user AS role, has_schema_privilege('public', 'CREATE') AND NOT EXISTS (
    SELECT 1 FROM pg_tables WHERE schemaname = 'public' AND NOT pg_has_role(tableowner, 'USAGE')
) AS owns
"""
# Workers of PostgreSQL's own have no role.
OTHERS = """
SELECT count(*) AS n FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
"""


@contextmanager
def nobody_serves() -> Iterator[None]:
    """Hold the lock of the server of this var directory, so that none runs and none starts meanwhile."""
    with (var_directory() / "server.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupRefused("PromptForge runs on this database: end it first, then restore.") from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, which restores a backup")
        lock.flush()
        yield
        lock.truncate(0)


def check_release(archive: Archive) -> None:
    """Refuse a backup with migrations that this code does not have."""
    known = {f"{app}.{name}" for app, name in MigrationLoader(None, ignore_no_migrations=True).disk_migrations or ()}
    unknown = [name for name in archive.manifest["migrations"] if name not in known]
    if unknown:
        raise BackupRefused(
            f"{archive.path} is of a newer PromptForge ({unknown[0]} is not known here): restore it with that one."
        )


def check_target(archive: Archive, replace: int | None) -> int:
    """Refuse any database but an empty one of ours, or the one whose projects were counted out.

    Returns the major version of the PostgreSQL that takes the backup.
    """
    with psycopg.connect(database.owner_url(), row_factory=dict_row) as connection:
        owned = _one(connection, OWNED)
        if not owned["owns"]:
            raise BackupRefused(
                f"The role {owned['role']} does not own this database's tables, or may make none: "
                "name the owner in DATABASE_OWNER_URL."
            )
        if others := _one(connection, OTHERS)["n"]:
            raise BackupRefused(f"{others} other sessions use this database: end PromptForge and all commands first.")
        _check_room(connection, replace)
        major = connection.info.server_version // 10000
    if (made_by := archive.manifest["postgresql"] // 10000) > major:
        raise BackupRefused(f"The backup is of PostgreSQL {made_by} and does not fit into the older {major} here.")
    return major


def _check_room(connection: psycopg.Connection[dict[str, Any]], replace: int | None) -> None:
    strangers = [row["tablename"] for row in connection.execute(FOREIGN_TABLES).fetchall()]
    if strangers:
        raise BackupRefused(
            f"This database holds tables of something else ({', '.join(strangers)}): restore into an empty one."
        )
    if _one(connection, "SELECT to_regclass('public.events_serving') IS NULL AS empty")["empty"]:
        return
    count = _one(connection, "SELECT count(*) AS n FROM public.events_serving WHERE project_id > 0")["n"]
    if replace is None:
        raise BackupRefused(
            f"This database is not empty: it holds {count} projects. "
            f"--replace {count} drops everything that it holds and restores the backup in its place."
        )
    if replace != count:
        raise BackupRefused(f"This database holds {count} projects and not {replace}: look again at what you replace.")


def _one(connection: psycopg.Connection[dict[str, Any]], query: str) -> dict[str, Any]:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row


def load(archive: Archive, major: int) -> None:
    """Replace what the database holds by the backup and fence it, all of it or nothing, in one transaction."""
    loader = [program("psql", major), "--no-psqlrc", "--quiet", "--no-password", "--single-transaction"]
    loader += ["--set=ON_ERROR_STOP=1", "--output=/dev/null", f"--command={WIPE}", "--file=-"]
    loader += [f"--command={UNLESS_WHOLE}", f"--command={raise_sql(archive.digest)}"]
    reader = [program("pg_restore", major), "--no-owner", "--no-privileges", "--exit-on-error", "--file=-"]
    known = environment(database.owner_url())
    out, into = os.pipe()
    with (
        tempfile.TemporaryFile() as said,
        os.fdopen(into, "wb", buffering=0) as end,
        subprocess.Popen(loader, env=known, stdin=out, stdout=subprocess.DEVNULL, stderr=said) as writing,  # noqa: S603
        subprocess.Popen(reader, env=known, stdin=subprocess.PIPE, stdout=end, stderr=said) as reading,  # noqa: S603
    ):
        os.close(out)
        try:
            assert reading.stdin is not None
            with suppress(BrokenPipeError), reading.stdin:  # what ended early has said why
                archive.copy(DUMP, reading.stdin)
            if reading.wait() == 0:
                with suppress(BrokenPipeError):
                    end.write(WHOLE)
            end.close()
            failed = writing.wait() or reading.returncode
        finally:
            reading.kill()  # do nothing when they have ended
            writing.kill()
        if failed:
            said.seek(0)
            raise complaint("The restore", said.read())


def is_loaded(archive: Archive) -> bool:
    """Whether this backup stands in the database, once the transaction of a load that failed has ended."""
    with psycopg.connect(database.owner_url(), row_factory=dict_row, autocommit=True) as connection:
        with connection.transaction():
            _one(connection, "SELECT pg_advisory_xact_lock(hashtext('promptforge restore'))")
        if _one(connection, "SELECT to_regclass('public.events_restorefence') IS NULL AS empty")["empty"]:
            return False
        fence = "SELECT 1 FROM public.events_restorefence WHERE confirmed_at IS NULL AND archive_digest = %s"
        return connection.execute(fence, [archive.digest]).fetchone() is not None


def differences(archive: Archive) -> list[str]:
    """Where the restored database is not what the backup's manifest says, one sentence each."""
    with psycopg.connect(database.owner_url(), row_factory=dict_row) as connection:
        found = {row["project_id"]: row for row in connection.execute(PROJECTS.encode()).fetchall()}
        migrations = [row["name"] for row in connection.execute(MIGRATIONS).fetchall()]
    told = []
    for project in archive.manifest["projects"]:
        row = found.pop(project["project_id"], {})
        wrong = [name for name in ("generation", "seq", "digest", "counts") if row.get(name) != project[name]]
        if wrong:
            told.append(f"Project {project['project_id']} does not have the {', '.join(wrong)} of the backup.")
        elif row["epoch"] == project["epoch"]:
            told.append(f"Project {project['project_id']} still has its former epoch.")
    told += [f"Project {number} is not in the backup's manifest." for number in found]
    if migrations != archive.manifest["migrations"]:
        told.append("The migrations are not those of the backup.")
    return told


def put_checkpoints(path: Path, archived: str | None, moment: str) -> str | None:
    """Put the backup's checkpoint file in place; returns a sentence when another one was there and is kept aside.

    A file that knows more than the restored database would say for ever that the chain of events was cut.
    """
    here = path.read_text(encoding="utf-8") if path.exists() else None
    if here == archived:
        return None
    said = None
    if here is not None:
        aside = path.with_name(f"{path.name}.before-restore-{moment}")
        path.rename(aside)
        lines = (len((text or "").splitlines()) for text in (here, archived))
        said = "The checkpoint file here has {} lines and the backup's {}: it is kept as {}.".format(*lines, aside)
    if archived is not None:
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.write_text(archived, encoding="utf-8")
        fresh.rename(path)
    return said
