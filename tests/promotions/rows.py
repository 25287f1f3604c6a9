"""Rows that code without any rule would write, and the ways of writing them: the ORM's, `loaddata`, raw SQL.

Raw SQL is the run-time role's, in the ways in which others have walked past a trigger: behind tables that are named
like ours, under other settings, on a snapshot of the past, in a session in which ordinary triggers sleep.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psycopg
from django.core import serializers
from django.core.management import call_command
from django.db import connection, models, transaction
from django.utils import timezone
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from events.kinds import EventKind
from promptforge.lib import database
from promptforge.lib.cluster import ADMIN
from prompts.models import ChannelPolicy, Check, Promotion, Release, Review
from tests.guards.attacks import POLICY_FIELDS, begin, head, newest_policy, run, tell
from tests.promotions.attempts import Act, Acts, Attempt, No, told


class Row(NamedTuple):
    """A row to add, or, with its key, to change."""

    model: type[models.Model]
    fields: Mapping[str, Any]
    pk: int | None = None

    def instance(self) -> Any:
        if self.pk is None:
            return self.model(**self.fields)
        found = self.model._default_manager.get(pk=self.pk)
        for name, value in self.fields.items():
            setattr(found, name, value)
        return found


def _review(a: Attempt) -> Row:
    row = {"promotion": a.promotion, "reviewer": a.user, "decision": "approve", "diff_digest": a.promotion.diff_digest}
    return Row(Review, row | dict(a.fields))


def _release(a: Attempt, promotion: Promotion | None = None) -> Row:
    at = head(a.promotion.prompt, a.promotion.channel)
    row = {"prompt": at.prompt, "channel": a.promotion.channel, "revision": at.revision + 1, "kind": "promote"}
    row |= {"version": a.promotion.version, "actor": a.user, "promotion": promotion, "reason": "x", "at": None}
    return Row(Release, row | {"previous_digest": b"", "digest": b""} | dict(a.fields))


def _policy(a: Attempt) -> Row:
    change = a.world.change
    row = {name: getattr(change, name) for name in POLICY_FIELDS} | {"author": change.author, "change": change}
    revision = newest_policy(change.channel).revision + 1
    return Row(ChannelPolicy, row | {"channel": change.channel, "revision": revision, "approved_by": a.user})


def _check(a: Attempt) -> Row:
    about = {name: getattr(a.promotion, name) for name in ("version", "base_version", "policy")}
    return Row(Check, about | {"promotion": a.promotion, "conclusion": "passed", "summary": "Clean"} | dict(a.fields))


def _rewritten(a: Attempt) -> Row:
    model, pk, fields = a.fields["row"]
    return Row(model, fields, pk)


ROWS: Mapping[str, Callable[[Attempt], Row]] = {
    "approve": _review,
    "release": lambda a: _release(a, a.promotion),
    "direct": _release,
    "weaken": _policy,
    "attest": _check,
    "rewrite": _rewritten,
}
Write = Callable[[Row], int | None]


def by_rows(write: Write, *, adds: str = "") -> Acts:
    """The acts of a door that writes rows, each in one transaction; `adds` is why it adds none."""

    def act(row_of: Callable[[Attempt], Row]) -> Act:
        def do(a: Attempt) -> None:
            row = row_of(a)
            with told(), transaction.atomic():
                pk = write(row)
                if pk is not None and row.model is Release:
                    tell(EventKind.RELEASE_MADE, row.fields["prompt"], "release", pk, row.fields["actor"])

        return do

    return {name: No(adds) if adds and name != "rewrite" else act(row_of) for name, row_of in ROWS.items()}


def save(row: Row) -> int:
    found = row.instance()
    found.save(force_insert=row.pk is None)
    return int(found.pk)


def update(row: Row) -> None:
    row.model._default_manager.filter(pk=row.pk).update(**row.fields)


def bulk(row: Row) -> int:
    found = row.instance()
    if row.pk is None:
        row.model._default_manager.bulk_create([found])
    else:
        row.model._default_manager.bulk_update([found], list(row.fields))
    return int(found.pk)


def upsert(row: Row) -> int:
    found = row.instance()
    fields = [name for name in row.fields if not row.model._meta.get_field(name).primary_key]
    row.model._default_manager.bulk_create([found], update_conflicts=True, unique_fields=["pk"], update_fields=fields)
    return int(found.pk)


def load(row: Row) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        found = row.instance()
        for field in found._meta.concrete_fields:  # a file has no word for what the database would set
            if isinstance(getattr(found, field.attname), models.expressions.DatabaseDefault):
                setattr(found, field.attname, timezone.now())
        file.write_text(serializers.serialize("json", [found]))
        call_command("loaddata", str(file), database="owner", verbosity=0)


def _values(row: Row) -> dict[str, Any]:
    """Column → value, as the database takes them."""
    given = {}
    for name in row.fields if row.pk else [f.name for f in row.model._meta.concrete_fields if not f.primary_key]:
        column: Any = row.model._meta.get_field(name)
        value = getattr(row.model(**row.fields), column.attname)
        if not isinstance(value, models.expressions.DatabaseDefault):
            given[column.column] = column.get_db_prep_save(value, connection)
    return given


def _statement(row: Row) -> tuple[str, list[Any]]:
    values, table = _values(row), f"public.{row.model._meta.db_table}"
    if row.pk is None:
        marks = ", ".join(["%s"] * len(values))
        return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks}) RETURNING id", list(values.values())
    changes = ", ".join(f"{column} = %s" for column in values)
    return f"UPDATE {table} SET {changes} WHERE id = %s RETURNING id", [*values.values(), row.pk]


# Tables that look like ours and say what an attacker would like to read there.
LIES = {
    "prompts_channelpolicy": "UPDATE {} SET required_approvals = 0, required_checks = '{{}}', review_groups = '[]'",
    "prompts_review": "UPDATE {} SET decision = 'approve', acknowledged = '{{hidden-text}}'",
    "prompts_check": "UPDATE {} SET conclusion = 'passed'",
    "prompts_promotion": "UPDATE {} SET opened_by_id = 0, opener_id = 0, state = 'OPEN'",
    "prompts_promptversion": "UPDATE {} SET author_id = 0, contributor_id = 0, includes = '{{}}', content = ''",
    "prompts_freezewindow": "DELETE FROM {}",
    "accounts_membership": "INSERT INTO {0} (id, created_at, project_id, user_id, roles) "
    "SELECT 0, now(), p.id, u.id, '{{reviewer,release-manager}}' "
    "FROM public.accounts_project p, public.accounts_user u",
    "accounts_user": "UPDATE {} SET is_active = true, kind = 'person'",
    "accounts_user_groups": "INSERT INTO {0} (id, user_id, group_id) "
    "SELECT 0, u.id, g.id FROM public.accounts_user u, public.auth_group g",
}
# Everything that a session of ours may set and that could change what a guard reads.
SETTINGS = (
    "SET CONSTRAINTS ALL DEFERRED",
    "SET LOCAL search_path = pg_temp, public",
    "SET LOCAL standard_conforming_strings = off",
    "SET LOCAL transform_null_equals = on",
    "SET LOCAL array_nulls = off",
    "SET LOCAL bytea_output = escape",
    "SET LOCAL datestyle = 'German, DMY'",
    "SET LOCAL intervalstyle = sql_standard",
    "SET LOCAL timezone = 'Pacific/Apia'",
    "SET LOCAL client_min_messages = error",
    "SELECT set_config('promptforge.project', '', true)",
)


def sql(*prelude: str, isolation: str = "") -> Write:
    def write(row: Row) -> int:
        statement, parameters = _statement(row)
        if isolation:
            begin(isolation)
        for line in prelude:
            run(line, using="default")
        found = run(statement, parameters, "default", fetch=True)
        if prelude:
            run("SET LOCAL search_path = public; SET LOCAL datestyle = ISO", using="default")  # for what tells of it
        return int(found[0][0])

    return write


def shadows() -> Iterator[str]:
    for table, lie in LIES.items():
        yield f"CREATE TEMPORARY TABLE {table} ON COMMIT DROP AS SELECT * FROM public.{table}"
        yield lie.format(f"pg_temp.{table}")
    yield "SET LOCAL search_path = pg_temp, public"


def replica(row: Row) -> None:
    """A superuser's session in which ordinary triggers sleep."""
    statement, parameters = _statement(row)
    name = connection.settings_dict["NAME"]
    parts = conninfo_to_dict(database.embedded().url(ADMIN)) | {"dbname": name}
    with psycopg.connect(make_conninfo(**parts)) as superuser:
        superuser.execute("SET session_replication_role = replica")
        superuser.execute(statement.encode(), parameters)
