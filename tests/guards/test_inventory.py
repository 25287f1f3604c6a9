"""The inventory tells a database whose guards are not the shipped ones; start-up and `verify` ask it."""

import psycopg
import pytest
from django.db import connections
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from promptforge.lib import database, guards
from promptforge.lib.cluster import ADMIN
from tests.guards.attacks import run


def told() -> list[str]:
    with connections["owner"].cursor() as cursor:
        return list(guards.differences(cursor))


def test_a_fresh_database_differs_in_nothing(committed_db: str) -> None:
    assert told() == []


ALTERED = (
    "CREATE OR REPLACE FUNCTION public.promptforge_now() RETURNS timestamptz LANGUAGE sql VOLATILE {options} "
    "AS $${body}$$"
)
NARROWER = (
    "DROP TRIGGER release_frozen ON public.prompts_release; CREATE TRIGGER release_frozen BEFORE UPDATE ON "
    "public.prompts_release FOR EACH ROW EXECUTE FUNCTION public.promptforge_frozen(); "
    "ALTER TABLE public.prompts_release ENABLE ALWAYS TRIGGER release_frozen"
)
CONDITIONAL = (
    "CREATE OR REPLACE TRIGGER release_frozen BEFORE UPDATE OR DELETE ON public.prompts_release FOR EACH ROW "
    "WHEN (OLD.id < 0) EXECUTE FUNCTION public.promptforge_frozen(); "
    "ALTER TABLE public.prompts_release ENABLE ALWAYS TRIGGER release_frozen"
)
SQL = guards.shipped_sql()
PATH = "SET search_path = pg_catalog, public, pg_temp"
BODY = next(f.body for f in guards.functions(guards.shipped_sql()) if f.name == "promptforge_now")


@pytest.mark.parametrize(
    ("tampering", "sentence"),
    [
        (
            "DROP TRIGGER release_frozen ON public.prompts_release",
            "The guard release_frozen on prompts_release is missing.",
        ),
        (
            "ALTER TABLE public.prompts_release DISABLE TRIGGER release_frozen",
            "The guard release_frozen on prompts_release is switched off.",
        ),
        (
            "ALTER TABLE public.prompts_release ENABLE TRIGGER release_frozen",
            "The guard release_frozen on prompts_release is switched off.",
        ),
        (NARROWER, "The guard release_frozen on prompts_release was altered."),
        (CONDITIONAL, "The guard release_frozen on prompts_release was altered."),
        (
            ALTERED.format(options=PATH, body="SELECT now()"),
            "The guard function promptforge_now was altered.",
        ),
        (ALTERED.format(options="", body=BODY), "The guard function promptforge_now was altered."),
        (
            ALTERED.format(options=f"SECURITY DEFINER {PATH}", body=BODY),
            "The guard function promptforge_now was altered.",
        ),
        (
            "ALTER FUNCTION public.promptforge_holds RENAME TO promptforge_held",
            "The guard function promptforge_holds is missing.",
        ),
        (
            "ALTER TABLE public.prompts_head DROP CONSTRAINT head_is_logged",
            "The constraint head_is_logged is missing.",
        ),
        (
            "ALTER TABLE public.prompts_promptversion DROP CONSTRAINT version_digest_true",
            "The constraint version_digest_true is missing.",
        ),
    ],
)
def test_each_tampering_is_named(committed_db: str, tampering: str, sentence: str) -> None:
    run(tampering)
    assert told() == [sentence]


@pytest.mark.skipif(database.is_external(), reason="only the embedded cluster's superuser is known to the tests")
def test_a_sleeping_foreign_key_is_named(committed_db: str) -> None:
    """Only a superuser can put one to sleep: together with all triggers of its table, which are woken again."""
    parts = conninfo_to_dict(database.embedded().url(ADMIN)) | {"dbname": committed_db}
    with psycopg.connect(make_conninfo(**parts), autocommit=True) as superuser:
        superuser.execute("ALTER TABLE public.prompts_release DISABLE TRIGGER ALL")
    for name in [trigger.name for trigger in guards.triggers(SQL) if trigger.table == "prompts_release"]:
        run(f"ALTER TABLE public.prompts_release ENABLE ALWAYS TRIGGER {name}")
    assert set(told()) == {"A foreign key of prompts_release is switched off."}


def test_installing_again_mends_it(committed_db: str) -> None:
    run("DROP TRIGGER release_frozen ON public.prompts_release")
    run("ALTER TABLE public.prompts_head DISABLE TRIGGER head_update")
    run(ALTERED.format(options=PATH, body="SELECT now()"))
    with connections["owner"].cursor() as cursor:
        cursor.execute("BEGIN")
        guards.install(cursor)
        cursor.execute("COMMIT")
    assert told() == []
