from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_sign_in_failures")]

    operations = [
        migrations.AddField(
            model_name="project",
            name="serves_stale",
            field=models.BooleanField(
                default=False,
                help_text="While the database is gone, fetches of channels get what was live last, marked as stale.",
            ),
        ),
    ]
