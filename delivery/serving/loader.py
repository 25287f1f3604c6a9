"""Brings into memory what is asked for, and drops from it what is no longer true: one change at a time.

Because loading and dropping never overlap, a row that was read before a change cannot be remembered behind it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import psycopg
from psycopg.rows import dict_row, tuple_row

from accounts.models import ApiKey, Project, User
from accounts.policies import Principal
from delivery import intake, naming
from delivery.fetching import Written
from delivery.serving.connections import connect, cut_off
from delivery.serving.freshness import Serving
from delivery.serving.snapshot import Known, Payloads, ProjectState, Snapshot
from promptforge.lib import metrics
from promptforge.lib.errors import DomainError
from prompts.models import Channel, Prompt, PromptVersion, Release
from prompts.resolving import Live, Resolved

_MOST_WAITING = 1_000
_SILENCE = 2.0  # seconds after which a query that is not answered counts as a database that is gone
_PAUSE = 0.2  # seconds after a failure in which nobody tries again
_MOST_CHANGES = 2_000  # beyond that, loading everything anew is cheaper than looking at each

# By name, so that a migration that adds a column breaks no process that was started before it.
_COLUMNS_OF_KEY = ", ".join(f"k.{field.column}" for field in ApiKey._meta.concrete_fields)  # noqa: SLF001
_KEY = f"""
    SELECT {_COLUMNS_OF_KEY}, a.is_active, a.responsible_id, p.name AS project_name, p.serves_stale,
        s.generation, s.epoch
    FROM public.accounts_apikey k JOIN public.accounts_user a ON a.id = k.service_account_id
    JOIN public.accounts_project p ON p.id = k.project_id JOIN public.events_serving s ON s.project_id = k.project_id
    WHERE k.public_id = %s
"""  # noqa: S608  names of our own
_PROMPT = """
    SELECT p.id, p.name, p.project_id, p.tags, newest.id AS newest_id, newest.number AS newest_number,
        c.id AS channel_id, c.name AS channel, h.revision, r.at, v.id AS version_id, v.number
    FROM public.prompts_prompt p
    LEFT JOIN LATERAL (SELECT id, number FROM public.prompts_promptversion WHERE prompt_id = p.id
        ORDER BY number DESC LIMIT 1) newest ON true
    LEFT JOIN public.prompts_head h ON h.prompt_id = p.id
    LEFT JOIN public.prompts_channel c ON c.id = h.channel_id
    LEFT JOIN public.prompts_release r ON r.id = h.release_id
    LEFT JOIN public.prompts_promptversion v ON v.id = h.version_id
    WHERE p.project_id = %s AND p.name = %s
"""
_NUMBER = "SELECT id, number FROM public.prompts_promptversion WHERE prompt_id = %s AND number = %s"
_CONTENT = """
    SELECT id, number, type, content, variables, config, message, author_id, created_at, digest
    FROM public.prompts_promptversion WHERE id = %s
"""
_CHANGES = """
    SELECT s.project_id, s.generation, s.epoch, c.kind, c.subject_id
    FROM public.events_serving s
    LEFT JOIN public.events_servedchange c ON c.project_id = s.project_id AND c.generation > %(since)s
    WHERE s.project_id = %(project)s LIMIT %(limit)s
"""

type Connection = psycopg.AsyncConnection[dict[str, Any]]


class Loader:
    """The only writer of a snapshot. Every method raises DomainError `unavailable` when PostgreSQL cannot be asked."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._failed_at = -_PAUSE

    async def caller(self, public_id: str) -> Principal | None:
        """Who calls with the key of this public id, whatever became of it; None when there is none."""
        return await self._in_turn(lambda connection: self._load_caller(connection, public_id))

    async def prompt(self, project: int, name: str) -> Known | None:
        """One prompt as it stands now."""
        return await self._in_turn(lambda connection: self._load_prompt(connection, project, name))

    async def number(self, known: Known, number: int) -> None:
        """Let `known` know which version has this number."""

        async def load(connection: Connection) -> None:
            row = await _one(connection, _NUMBER, [known.prompt.id, number])
            if row is not None:
                known.numbers[number] = PromptVersion(id=row["id"], number=row["number"])

        await self._in_turn(load)

    async def written[Name, Kind: Written](
        self, resolved: Resolved, name: Name, kept: Payloads[Name, Kind], write: Callable[[Resolved], Kind]
    ) -> Kind:
        """What `write` makes of a version with its content, kept under its name; versions never change."""

        async def load(connection: Connection) -> Kind:
            row = await _one(connection, _CONTENT, [resolved.version.id])
            assert row is not None
            written = write(replace(resolved, version=PromptVersion(**row)))
            kept.put(name, written)
            metrics.PAYLOAD_BYTES.set(self._snapshot.payloads.size + self._snapshot.labelled.size)
            return written

        return await self._in_turn(load)

    async def named(self, project: int, wanted: intake.Wanted) -> intake.Known:
        """What of it exists in the project."""

        async def load(connection: Connection) -> intake.Known:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(naming.STATEMENT, naming.parameters(project, wanted))
            known = naming.known_of(await cursor.fetchall())
            self._snapshot.projects[project].named.add(known)
            return known

        return await self._in_turn(load)

    async def catch_up(self, project: int) -> None:
        """Drop what changed in this project since it was loaded. Not refused, however many others wait to load."""
        async with self._turn:
            await self._with_connection(partial(self._catch_up, project=project))

    def close(self) -> None:
        """Let go of the connection; nobody may be waiting."""
        self._abandon()

    # -- one at a time

    async def _in_turn[T](self, job: Callable[[Connection], Awaitable[T]]) -> T:
        if self._waiting >= _MOST_WAITING:
            raise DomainError("unavailable", "Too many requests wait for the database. Try again in a moment.")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._with_connection(job)
        finally:
            self._waiting -= 1

    async def _with_connection[T](self, job: Callable[[Connection], Awaitable[T]]) -> T:
        if time.monotonic() - self._failed_at < _PAUSE:
            raise _unavailable()
        try:
            if self._connection is not None:
                # It may have been lost while nobody used it, as when PostgreSQL was started anew.
                with suppress(psycopg.OperationalError):
                    return await _answered(self._connection, job)
                self._abandon()
            self._connection = await connect(row_factory=dict_row, prepare_threshold=2)
            return await _answered(self._connection, job)
        except psycopg.OperationalError as error:
            self._failed_at = time.monotonic()
            self._abandon()
            raise _unavailable() from error
        except asyncio.CancelledError:
            self._abandon()  # an answer that nobody waits for must not become the next question's
            raise

    def _abandon(self) -> None:
        if self._connection is not None:
            self._connection.pgconn.finish()
            self._connection = None

    async def _load_caller(self, connection: Connection, public_id: str) -> Principal | None:
        row = await _one(connection, _KEY, [public_id])
        if row is None:
            return None
        project = Project(id=row["project_id"], name=row.pop("project_name"), serves_stale=row.pop("serves_stale"))
        account = User(
            id=row["service_account_id"],
            kind=User.Kind.SERVICE,
            is_active=row.pop("is_active"),
            responsible_id=row.pop("responsible_id"),
        )
        serving = Serving(project.id, row.pop("generation"), row.pop("epoch"))
        key = ApiKey(**row)
        key.project, key.service_account = project, account
        self._snapshot.projects.setdefault(project.id, ProjectState(serving.generation, serving.epoch))
        caller = self._snapshot.callers[public_id] = Principal(account, project, key)
        return caller

    async def _load_prompt(self, connection: Connection, project: int, name: str) -> Known | None:
        state = self._snapshot.projects[project]
        if name in state.prompts:
            return state.prompts[name]  # somebody was faster
        rows = await (await connection.execute(_PROMPT, [project, name])).fetchall()
        known = _known(rows) if rows else None
        state.remember(name, known)
        return known

    async def _catch_up(self, connection: Connection, project: int) -> None:
        state = self._snapshot.projects.get(project)
        since = -1 if state is None else state.generation
        limits = {"since": since, "project": project, "limit": _MOST_CHANGES + 1}
        rows = await (await connection.execute(_CHANGES, limits)).fetchall()
        if not rows:
            self._snapshot.forget_project(project)
            return
        generation, epoch = rows[0]["generation"], rows[0]["epoch"]
        if state is None or epoch != state.epoch or generation < state.generation or len(rows) > _MOST_CHANGES:
            self._snapshot.forget_project(project)
            self._snapshot.projects[project] = ProjectState(generation, epoch)
            metrics.RELOADS.labels("all").inc()
            return
        metrics.RELOADS.labels("changes").inc()
        for row in rows:
            self._drop(state, row["kind"], row["subject_id"])
        state.generation = generation

    def _drop(self, state: ProjectState, kind: str | None, subject: int) -> None:
        if kind == "prompt":
            state.forget_prompt(subject)
        elif kind == "channel":
            state.forget_channels(subject)
        elif kind == "key":
            self._snapshot.forget_key(subject)
        elif kind == "project":
            self._snapshot.forget_callers(subject)


def _unavailable() -> DomainError:
    return DomainError("unavailable", "The database does not answer. Nothing was written; try again in a moment.")


async def _answered[T](connection: Connection, job: Callable[[Connection], Awaitable[T]]) -> T:
    with cut_off(connection, _SILENCE):
        return await job(connection)


async def _one(connection: Connection, query: str, values: list[Any]) -> dict[str, Any] | None:
    return await (await connection.execute(query, values)).fetchone()


def _known(rows: list[dict[str, Any]]) -> Known:
    first = rows[0]
    prompt = Prompt(id=first["id"], name=first["name"], project_id=first["project_id"], tags=first["tags"])
    newest = None if first["newest_id"] is None else PromptVersion(id=first["newest_id"], number=first["newest_number"])
    channels = {
        row["channel"]: Live(
            Channel(id=row["channel_id"], name=row["channel"]),
            row["revision"],
            None if row["version_id"] is None else PromptVersion(id=row["version_id"], number=row["number"]),
            None if row["version_id"] is None else Release(at=row["at"]),
        )
        for row in rows
        if row["channel"] is not None
    }
    return Known(prompt, newest, channels)
