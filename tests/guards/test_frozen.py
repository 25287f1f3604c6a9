"""Invariant 1: versions, releases, reviews and events are never changed or deleted, whichever door is tried."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from celery import shared_task
from django.apps import apps
from django.core import serializers
from django.core.management import call_command
from django.db import connections, models
from django.utils import timezone
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from accounts.models import BreakGlassGrant, Project, User
from evaluations.models import (
    Budget,
    DaySpending,
    DriftFinding,
    DriftNight,
    DriftWatch,
    EvaluationRule,
    EvaluationSet,
)
from events.models import Delivery, DeliveryAttempt, Event, WebhookEndpoint
from promptforge.lib import database, guards
from promptforge.lib.cluster import ADMIN
from prompts.actions.releases import break_glass
from prompts.models import FreezeWindow, Prompt, Ratification, ReviewDismissal, Schedule
from tests.evaluations.rows import fill, finish, new_connection, new_run, new_set
from tests.guards.attacks import (
    INSUFFICIENT_PRIVILEGE,
    apply,
    contents,
    database_error,
    drop_references,
    open_promotion,
    passed_checks,
    propose,
    refused,
    refused_beside,
    review,
    run,
    two_roles,
)
from tests.guards.test_evaluations import label
from tests.guards.test_observations import feedback, observation
from tests.personas import Team

SQL = guards.shipped_sql()
FROZEN = sorted(guards.frozen_tables(SQL))
# Rows that change but never go.
KEPT = sorted(t.table for t in guards.triggers(SQL) if t.name.endswith("_kept"))
NOT_TRUNCATED = sorted(t.table for t in guards.triggers(SQL) if t.name.endswith("_not_truncated"))
MODEL = {model._meta.db_table: model for model in apps.get_models()}


def wall(table: str) -> str:
    """The name that a refusal by the table's freezing trigger carries."""
    return "version_frozen" if table == "prompts_promptversion" else f"{table}_frozen"


@pytest.fixture
def everything(careful_team: Team) -> Team:
    """A project in whose every frozen or kept table stands at least one row."""
    team = careful_team
    prompt = team.prompt(versions=2)
    team.key()
    attempted(team)
    BreakGlassGrant.objects.create(
        project=team.project,
        user=team.noor.user,
        granted_by=team.farah.user,
        expires_at=timezone.now() + timedelta(hours=1),
    )
    release = break_glass(
        by=team.noor,
        prompt=prompt,
        channel=team.stable,
        version=team.version(prompt, 1),
        reason="The greeting insults every customer.",
    )
    Ratification.objects.create(release=release, ratified_by=team.cleo.user)
    promotion = open_promotion(team, prompt, 2)
    passed_checks(promotion)
    ReviewDismissal.objects.create(
        review=review(promotion, team.ben, "request_changes"), dismissed_by=team.cleo.user, reason="Settled by mail."
    )
    review(promotion, team.emil)
    Schedule.objects.create(promotion=promotion, apply_at=timezone.now(), actor=team.cleo.user)
    apply(team, promotion)
    propose(team, team.cleo.user, required_approvals=2)
    FreezeWindow.objects.create(
        channel=team.stable,
        starts_at=timezone.now() + timedelta(days=30),
        ends_at=timezone.now() + timedelta(days=31),
        reason="Holidays",
        created_by=team.cleo.user,
    )
    said = observation(team)
    feedback(team, observation=said.uid)
    evaluated(team, prompt)
    return team


def watched(team: Team, prompt: Prompt, core: EvaluationSet, rule: EvaluationRule) -> None:
    """A drift watch with a night and what it told."""
    same: dict[str, Any] = {"channel": team.stable, "connection": rule.connection, "baseline": None}
    reference = new_run(team, core, prompt, purpose="reference", **same)
    night_run = new_run(team, core, prompt, purpose="drift", **same)
    fill(night_run)
    finish(night_run, "PASS", None)
    watch = DriftWatch.objects.create(rule=rule, prompt=prompt, version=reference.candidate, reference=reference)
    night = DriftNight.objects.create(watch=watch, reference=reference, run=night_run)
    DriftNight.objects.filter(pk=night.pk).update(figures="{}")
    DriftFinding.objects.create(watch=watch, night=night, level="notice", sentence="Another model.")


def evaluated(team: Team, prompt: Prompt) -> None:
    core = new_set(team, prompt)
    core.save()
    connection = new_connection(team)
    connection.save()
    Budget.objects.create(project=team.project)
    rule = EvaluationRule.objects.create(
        channel=team.stable, set=core, connection=connection, margin=0.1, created_by=team.cleo.user
    )
    watched(team, prompt, core, rule)
    DaySpending.objects.create(project=team.project, day=timezone.now().date(), calls=1)
    label(team, fill(new_run(team, core, prompt, connection=connection))[0])


def attempted(team: Team) -> None:
    endpoint = WebhookEndpoint.objects.create(
        project_id=team.project.pk, url="https://hooks.example/1", events=["*"], secret=b"", cursor=0
    )
    event = Event.objects.filter(project_id=team.project.pk).latest("pk")
    delivery = Delivery.objects.create(endpoint=endpoint, event=event)
    DeliveryAttempt.objects.create(delivery=delivery, status=500, outcome="It answered 500.", milliseconds=3)


def rows(table: str) -> models.QuerySet[Any]:
    return MODEL[table]._base_manager.using("owner")


def plain_column(table: str) -> str:
    """A column of the table's own that an update may set without touching keys."""
    for field in MODEL[table]._meta.concrete_fields:
        if not field.primary_key and not field.is_relation:
            return str(field.column)
    return str(MODEL[table]._meta.concrete_fields[-1].column)


def test_every_frozen_table_has_a_row(everything: Team) -> None:
    counted = contents()
    assert [table for table in {*FROZEN, *KEPT} if counted[table][0] == 0] == []


def attack_by_update(table: str) -> None:
    with refused(wall(table), using="owner"):
        run(f"UPDATE public.{table} SET {plain_column(table)} = {plain_column(table)}")


def attack_by_delete(table: str) -> None:
    """Also when no foreign key is left that would hold the rows."""
    with refused(wall(table), using="owner"):
        drop_references(table)
        run(f"DELETE FROM public.{table}")


def attack_by_truncate(table: str) -> None:
    with refused(wall(table), using="owner"):
        drop_references(table)
        run(f"TRUNCATE public.{table}")


def test_no_row_is_updated_deleted_or_truncated(everything: Team) -> None:
    for table in FROZEN:
        attack_by_update(table)
    for table in FROZEN + KEPT:
        attack_by_delete(table)
    for table in NOT_TRUNCATED:
        attack_by_truncate(table)


# The same one by one, each in a database of its own, as the sabotage of each wall needs it.
@pytest.mark.full
@pytest.mark.parametrize("table", FROZEN)
def test_a_row_is_not_updated(everything: Team, table: str) -> None:
    attack_by_update(table)


@pytest.mark.full
@pytest.mark.parametrize("table", FROZEN + KEPT)
def test_a_row_is_not_deleted(everything: Team, table: str) -> None:
    attack_by_delete(table)


@pytest.mark.full
@pytest.mark.parametrize("table", NOT_TRUNCATED)
def test_a_table_is_not_truncated(everything: Team, table: str) -> None:
    attack_by_truncate(table)


@pytest.mark.parametrize("table", ["prompts_prompt", "accounts_project", "accounts_user"])
def test_truncation_does_not_cascade_into_history(everything: Team, table: str) -> None:
    before = contents()
    with pytest.raises(Exception, match=r"are history|never changed or deleted"):
        run(f"TRUNCATE public.{table} CASCADE")
    assert contents() == before


def first_fields(row: models.Model) -> list[str]:
    return [f.name for f in row._meta.concrete_fields if not f.primary_key][:1]


def save_it(table: str) -> None:
    row = rows(table).first()
    row.save(using="owner", force_update=True)


def update_it(table: str) -> None:
    field = rows(table).model._meta.pk.name
    rows(table).update(**{field: models.F(field)})


def bulk_update_it(table: str) -> None:
    found = list(rows(table))
    rows(table).bulk_update(found, first_fields(found[0]))


def bulk_create_over_it(table: str) -> None:
    row = rows(table).first()
    rows(table).bulk_create([row], update_conflicts=True, unique_fields=["pk"], update_fields=first_fields(row))


def insert_over_it(table: str) -> None:
    key, column = rows(table).model._meta.pk.column, plain_column(table)
    run(
        f"INSERT INTO public.{table} SELECT * FROM public.{table} "
        f"ON CONFLICT ({key}) DO UPDATE SET {column} = EXCLUDED.{column}"
    )


def delete_it(table: str) -> None:
    found = rows(table).first()
    rows(table).filter(pk=found.pk)._raw_delete("owner")


def merge_over_it(table: str) -> None:
    key = rows(table).model._meta.pk.column
    column = plain_column(table)
    run(
        f"MERGE INTO public.{table} t USING public.{table} s ON t.{key} = s.{key} "
        f"WHEN MATCHED THEN UPDATE SET {column} = s.{column}"
    )


def merge_it_away(table: str) -> None:
    key = rows(table).model._meta.pk.column
    run(f"MERGE INTO public.{table} t USING public.{table} s ON t.{key} = s.{key} WHEN MATCHED THEN DELETE")


def update_through_a_join(table: str) -> None:
    column = plain_column(table)
    run(f"WITH changed AS (UPDATE public.{table} SET {column} = {column} RETURNING 1) SELECT count(*) FROM changed")


def lock_and_update(table: str) -> None:
    """What the admin's change form does."""
    row = rows(table).select_for_update(of=("self",)).first()
    row.save(using="owner")


@shared_task  # type: ignore[untyped-decorator]
def rewrite_history(table: str) -> None:
    run(f"UPDATE public.{table} SET {plain_column(table)} = {plain_column(table)}")


def in_a_task(table: str) -> None:
    rewrite_history.apply(args=[table], throw=True)


DOORS: list[Callable[[str], None]] = [
    save_it,
    update_it,
    bulk_update_it,
    delete_it,
    merge_over_it,
    merge_it_away,
    update_through_a_join,
    lock_and_update,
    in_a_task,
]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_no_door_leads_to_a_frozen_row(everything: Team, door: Callable[[str], None]) -> None:
    for table in FROZEN:
        with refused(wall(table), using="owner"):
            if door is merge_it_away:
                drop_references(table)
            door(table)


# These ask the insert guards first, which answer before a conflict is seen: what counts is that nothing changes.
@pytest.mark.parametrize("door", [bulk_create_over_it, insert_over_it], ids=lambda door: door.__name__)
def test_no_insert_turns_into_an_update(everything: Team, door: Callable[[str], None]) -> None:
    before = contents()
    for table in FROZEN:
        with pytest.raises(Exception, match=r".") as told:
            door(table)
        assert database_error(told.value).sqlstate[:2] == "23"
    assert contents() == before, "ATTACK SUCCEEDED: an insert rewrote history"


def test_a_fixture_file_rewrites_nothing(everything: Team, tmp_path: Path) -> None:
    """`loaddata` saves raw, past every method of the model."""
    file = tmp_path / "rewritten.json"
    for table in FROZEN:
        file.write_text(serializers.serialize("json", [rows(table).first()]))
        with refused(wall(table), using="owner"):
            call_command("loaddata", str(file), database="owner", verbosity=0)


def test_deleting_a_parent_takes_no_history_along(everything: Team) -> None:
    before = contents()
    for parent in (Prompt.objects.first(), Project.objects.first(), User.objects.first(), everything.stable):
        with pytest.raises(models.ProtectedError):
            parent.delete()
    with refused("prompts_prompt_frozen", using="owner"):
        Prompt.objects.using("owner").all()._raw_delete("owner")
    assert contents() == before


def test_the_flush_of_django_is_refused(everything: Team) -> None:
    before = contents()
    with pytest.raises(Exception, match=r".") as told:
        call_command("flush", database="owner", interactive=False, verbosity=0)
    # Which table Django names first differs from process to process, and a restore's row says it in its own words.
    assert re.search(r"never (changed or )?deleted", str(told.value.__cause__))
    assert contents() == before


@pytest.mark.parametrize("verb", ["UPDATE public.{table} SET {column} = {column}", "DELETE FROM public.{table}"])
@two_roles
def test_the_run_time_role_lacks_the_very_privilege(committed_db: str, verb: str) -> None:
    for table in FROZEN:
        with refused("", state=INSUFFICIENT_PRIVILEGE):
            run(verb.format(table=table, column=plain_column(table)), using="default")


@two_roles
def test_the_run_time_role_truncates_nothing(committed_db: str) -> None:
    for table in NOT_TRUNCATED:
        with refused("", state=INSUFFICIENT_PRIVILEGE):
            run(f"TRUNCATE public.{table}", using="default")


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE public.prompts_release DISABLE TRIGGER release_frozen",
        "DROP TRIGGER release_frozen ON public.prompts_release",
        "CREATE OR REPLACE FUNCTION public.promptforge_now() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'",
        "CREATE FUNCTION public.promptforge_mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA mine",
        "SET session_replication_role = replica",
    ],
)
@two_roles
def test_the_run_time_role_changes_no_guard(committed_db: str, statement: str) -> None:
    with refused("", state=INSUFFICIENT_PRIVILEGE):
        run(statement, using="default")


@pytest.mark.skipif(database.is_external(), reason="only the embedded cluster's superuser is known to the tests")
def test_a_replica_session_is_refused_all_the_same(everything: Team) -> None:
    """Ordinary triggers sleep in such a session; ours are ENABLE ALWAYS."""
    before = contents()
    parts = conninfo_to_dict(database.embedded().url(ADMIN)) | {"dbname": connections["owner"].settings_dict["NAME"]}
    with psycopg.connect(make_conninfo(**parts), autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        for table in FROZEN:
            for attack in (f"UPDATE public.{table} SET {plain_column(table)} = DEFAULT", f"DELETE FROM public.{table}"):
                with refused_beside(wall(table)):
                    superuser.execute(attack.encode())
    assert contents() == before
