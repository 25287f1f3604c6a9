"""Django's `migrate`, as the owner of the tables, followed by the guards and the rights of the run-time role."""

from typing import Any

from django.conf import settings
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from promptforge.lib import guards


class Command(migrate.Command):
    help = "Bring the tables up to date, install the guards, and give the run-time role its rights."

    def handle(self, *args: Any, **options: Any) -> str | None:
        if options["database"] == DEFAULT_DB_ALIAS:
            options["database"] = "owner"
        super().handle(*args, **options)
        connection = connections[options["database"]]
        if MigrationExecutor(connection).migration_plan(MigrationExecutor(connection).loader.graph.leaf_nodes()):
            self.stdout.write("Migrations are left to apply: the guards are installed with the last one.")
            return None
        with transaction.atomic(using=options["database"]), connection.cursor() as cursor:
            guards.install(cursor)
            self._give_rights(connection, cursor)
        return None

    def _give_rights(self, connection: BaseDatabaseWrapper, cursor: guards.Cursor) -> None:
        """Rows only, and of frozen tables not even UPDATE and DELETE. With a single role there is nothing to give."""
        role = settings.DATABASES[DEFAULT_DB_ALIAS]["USER"]
        if role == settings.DATABASES[connection.alias]["USER"]:
            self.stdout.write(
                self.style.WARNING(
                    "One database role both owns the tables and serves: the guards hold, but who has its password can "
                    "drop them. DATABASE_OWNER_URL names an owner apart."
                )
            )
            return
        name = connection.ops.quote_name(role)
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {name}")
        cursor.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}")
        cursor.execute(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {name}")
        cursor.execute(f"REVOKE INSERT, UPDATE, DELETE ON public.django_migrations FROM {name}")
        for table in sorted(guards.frozen_tables(guards.shipped_sql())):
            cursor.execute(f"REVOKE UPDATE, DELETE ON public.{table} FROM {name}")
