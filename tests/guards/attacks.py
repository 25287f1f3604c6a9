"""What the attacks share: a refusal that must carry one exact name, and the rows that honest code would never write."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import DatabaseError, connections, transaction

from accounts.models import User
from accounts.policies import Principal
from events.actions import record
from events.kinds import EventKind
from promptforge.lib.errors import DomainError
from promptforge.lib.json import canonical_json
from prompts.models import (
    Channel,
    ChannelPolicy,
    Check,
    Head,
    PolicyChange,
    Promotion,
    Prompt,
    PromptVersion,
    Release,
    Review,
)
from tests.personas import Team


class Rollback(Exception):
    """Ends a transaction or a savepoint without a trace."""


INSUFFICIENT_PRIVILEGE = "42501"
two_roles = pytest.mark.skipif(
    settings.DATABASES["default"]["USER"] == settings.DATABASES["owner"]["USER"],
    reason="one database role both owns the tables and serves, so no privilege is withheld from it",
)


@contextmanager
def refused(constraint: str, using: str = "default", state: str = "23") -> Iterator[None]:
    """One transaction that must be refused, by exactly this constraint, and must leave no trace."""
    before = contents()
    with refused_beside(constraint, using, state):
        yield
    held(contents(), before, "a refused attack changes nothing")


@contextmanager
def refused_beside(constraint: str, using: str = "default", state: str = "23") -> Iterator[None]:
    """As `refused`, while other transactions commit: what stands in the end is for the test to assert."""
    try:
        with transaction.atomic(using=using):
            yield
    except (DatabaseError, DomainError, psycopg.Error) as error:
        cause = database_error(error)
        name = cause.diag.constraint_name or ""
        assert (cause.sqlstate or "")[: len(state)] == state, f"refused with {cause.sqlstate}: {cause}"
        assert name == constraint, f"refused by {name or 'no constraint'} instead of {constraint}: {cause}"
    else:
        pytest.fail(f"ATTACK SUCCEEDED: {constraint or state} refused nothing", pytrace=False)


def in_another_session(work: Callable[[], object]) -> None:
    """Run and commit in a session of its own, while this one's transaction stays open."""
    failures: list[BaseException] = []

    def session() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  it is raised again below
            failures.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=session)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def held(actual: Any, expected: Any, promise: str) -> None:
    """Compare what the database derived with what it promises to derive."""
    assert actual == expected, f"WRONG RESULT: {promise}: {actual!r} is not {expected!r}"


def database_error(error: BaseException) -> psycopg.Error:
    """The driver's own error at the end of a chain of causes."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, psycopg.Error):
        cause = cause.__cause__
    assert cause is not None, f"no refusal of the database: {error!r}"
    return cause


def contents() -> dict[str, tuple[int, str | None]]:
    """How many rows every table of ours has, and a digest of them all, which no order changes."""
    names = [
        row[0] for row in run("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1", fetch=True)
    ]
    ours = [
        name for name in names if name.startswith(("accounts_", "delivery_", "evaluations_", "events_", "prompts_"))
    ]
    each = " UNION ALL ".join(
        f"SELECT '{name}', count(*), sum(hashtextextended(t::text, 0))::text FROM public.{name} t" for name in ours
    )
    return {row[0]: (row[1], row[2]) for row in run(each, fetch=True)}


def run(sql: str, params: Any = None, using: str = "owner", fetch: bool = False) -> list[tuple[Any, ...]]:
    """Raw SQL, as the owner of the tables unless the run-time role is named."""
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if fetch else []


def begin(isolation: str) -> None:
    """Have the run-time role's transaction look at a snapshot that it takes now."""
    run(f"SET TRANSACTION ISOLATION LEVEL {isolation}", using="default")
    run("SELECT 1 FROM public.accounts_project", using="default")


def value(sql: str, params: Any = None, using: str = "owner") -> Any:
    return run(sql, params, using, fetch=True)[0][0]


def drop_references(table: str) -> None:
    """Take away the foreign keys that point at a table, so that only its own guards stand in an owner's way."""
    for child, name in run(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f' AND confrelid = %s::regclass",
        [f"public.{table}"],
        fetch=True,
    ):
        run(f"ALTER TABLE {child} DROP CONSTRAINT {name}")


def let_time_pass(**by: float) -> None:
    """Set the guards' clock forward, which nobody but the owner of this test's database can do."""
    run(
        "CREATE OR REPLACE FUNCTION public.promptforge_now() RETURNS timestamptz LANGUAGE sql VOLATILE "
        "SET search_path = pg_catalog, public, pg_temp AS $$ SELECT clock_timestamp() + interval "
        f"'{timedelta(**by).total_seconds()} seconds' $$"
    )


def head(prompt: Prompt, channel: Channel) -> Head:
    return Head.objects.get(prompt=prompt, channel=channel)


def forge_release(
    prompt: Prompt,
    channel: Channel,
    version: PromptVersion,
    actor: Principal | User,
    *,
    told: bool = True,
    **fields: Any,
) -> Release:
    """A ledger row past every action, with its event: what code that forgot all rules would write."""
    user = actor.user if isinstance(actor, Principal) else actor
    found = Head.objects.filter(prompt=prompt, channel=channel).first()
    row = {"revision": found.revision + 1 if found else 1, "kind": "promote", "reason": "", "at": None}
    row |= {"previous_digest": b"", "digest": b""}
    with transaction.atomic():
        release = Release.objects.create(prompt=prompt, channel=channel, version=version, actor=user, **row | fields)
        if told:
            tell(EventKind.RELEASE_MADE, prompt, "release", release.pk, user)
    return release


def forge_version(prompt: Prompt, author: User, *, told: bool = True, **fields: Any) -> PromptVersion:
    """A version past every action, with its event."""
    number = 1 + PromptVersion.objects.filter(prompt_id=prompt.pk).count()
    row = {"number": number, "type": "text", "content": "Forged", "source": "Forged", "created_at": None, "digest": b""}
    row |= {"author": author, "contributor": author}
    with transaction.atomic():
        version = PromptVersion.objects.create(prompt=prompt, **row | fields)
        if told:
            tell(EventKind.VERSION_SAVED, prompt, "version", version.pk, author)
    return version


def tell(kind: EventKind, prompt: Prompt, subject: str, pk: int, user: User) -> None:
    record(kind, project_id=prompt.project_id, actor=(user.kind, user.pk), subject=(subject, pk))


def open_promotion(
    team: Team, prompt: Prompt, number: int, *, by: User | None = None, channel: Channel | None = None, **fields: Any
) -> Promotion:
    """A promotion of one version to `stable`, opened by Ada, on what stands now."""
    channel = Channel.objects.get(pk=(channel or team.stable).pk)
    at = head(prompt, channel)
    row = {"base_version_id": at.version_id, "base_revision": at.revision, "policy_id": channel.policy_id}
    opener = by or team.ada.user
    row |= {"opened_by": opener, "opener": opener, "diff_digest": b"", "version_id": team.version(prompt, number).pk}
    promotion = Promotion.objects.create(prompt=prompt, channel=channel, **row | fields)
    promotion.refresh_from_db()
    return promotion


def review(promotion: Promotion, by: Principal | User, decision: str = "approve", **fields: Any) -> Review:
    reviewer = by.user if isinstance(by, Principal) else by
    row = {"diff_digest": promotion.diff_digest} | fields
    return Review.objects.create(promotion=promotion, reviewer=reviewer, decision=decision, **row)


def check(promotion: Promotion, name: str, conclusion: str = "passed", **fields: Any) -> Check:
    about = {f"{field}_id": getattr(promotion, f"{field}_id") for field in ("version", "base_version", "policy")}
    return Check.objects.create(promotion=promotion, name=name, conclusion=conclusion, summary="", **about | fields)


def passed_checks(promotion: Promotion) -> None:
    for name in ("hidden-text", "secrets"):
        check(promotion, name)


def apply(team: Team, promotion: Promotion, **fields: Any) -> Release:
    """Carry a promotion out as Cleo, who may release."""
    row = {"promotion": promotion} | fields
    return forge_release(promotion.prompt, promotion.channel, promotion.version, team.cleo, **row)


POLICY_FIELDS = (
    "required_approvals",
    "required_checks",
    "review_groups",
    "approval_ttl_days",
    "evidence_ttl_days",
    "rollout_plan",
    "rollback_roles",
)


def newest_policy(channel: Channel) -> ChannelPolicy:
    return ChannelPolicy.objects.filter(channel=channel).latest("revision")


def propose(team: Team, author: User, **fields: Any) -> PolicyChange:
    """A proposal to change the policy of `stable`."""
    base = newest_policy(team.stable)
    row = {name: getattr(base, name) for name in POLICY_FIELDS} | fields
    return PolicyChange.objects.create(channel=team.stable, base=base, author=author, **row)


def enact(change: PolicyChange, approved_by: User | None, **fields: Any) -> ChannelPolicy:
    """The policy that a proposal becomes."""
    row = {name: getattr(change, name) for name in POLICY_FIELDS}
    row |= {"author": change.author, "approved_by": approved_by, "change": change, "channel": change.channel}
    return ChannelPolicy.objects.create(**row | {"revision": newest_policy(change.channel).revision + 1} | fields)


def set_policy(team: Team, **fields: Any) -> ChannelPolicy:
    """Change the policy of `stable` in the proper way: Cleo proposes, Emil approves."""
    return enact(propose(team, team.cleo.user, **fields), team.emil.user)


def chat(text: str) -> str:
    return canonical_json([{"role": "user", "content": text}])
