from django.db import migrations

# What happened before there was mail is mailed to nobody.
SKIP_THE_PAST = """
INSERT INTO public.events_mailcursor (project_id, seq)
SELECT project_id, max(seq) FROM public.events_eventseal GROUP BY project_id;
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0008_webhooks")]

    operations = [migrations.RunSQL(SKIP_THE_PAST, migrations.RunSQL.noop)]
