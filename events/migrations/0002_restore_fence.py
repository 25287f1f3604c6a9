import django.db.models.functions.datetime
from django.db import migrations, models

# Raised and lifted by the owner of the tables alone: the serving role could otherwise let itself out.
GUARD = """
CREATE FUNCTION public.promptforge_restore_fence() RETURNS trigger
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $guard$
BEGIN
    IF NOT pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'restore_fence_by_owner',
            MESSAGE = 'The fence of a restore is raised and lifted by the owner of the tables.';
    END IF;
    IF TG_OP IN ('DELETE', 'TRUNCATE') THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'restore_fence_kept',
            MESSAGE = 'A restore is history: its row is never deleted.';
    END IF;
    IF TG_OP = 'UPDATE' AND (OLD.confirmed_at IS NOT NULL OR NEW.confirmed_at IS NULL OR
        (NEW.id, NEW.restored_at, NEW.archive_digest) IS DISTINCT FROM (OLD.id, OLD.restored_at, OLD.archive_digest)) THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'restore_fence_confirmed_once',
            MESSAGE = 'A restore is confirmed once, and nothing else of it changes.';
    END IF;
    RETURN NEW;
END;
$guard$;
CREATE TRIGGER restore_fence BEFORE INSERT OR UPDATE OR DELETE ON public.events_restorefence
    FOR EACH ROW EXECUTE FUNCTION public.promptforge_restore_fence();
CREATE TRIGGER restore_fence_not_truncated BEFORE TRUNCATE ON public.events_restorefence
    FOR EACH STATEMENT EXECUTE FUNCTION public.promptforge_restore_fence();
ALTER TABLE public.events_restorefence ENABLE ALWAYS TRIGGER restore_fence;
ALTER TABLE public.events_restorefence ENABLE ALWAYS TRIGGER restore_fence_not_truncated;
"""
UNGUARD = """
DROP TRIGGER restore_fence ON public.events_restorefence;
DROP TRIGGER restore_fence_not_truncated ON public.events_restorefence;
DROP FUNCTION public.promptforge_restore_fence();
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="RestoreFence",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "restored_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("archive_digest", models.CharField(help_text="SHA-256 of the backup's manifest.", max_length=64)),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.RunSQL(GUARD, UNGUARD),
    ]
