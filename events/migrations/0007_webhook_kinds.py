from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0006_promotion_events")]

    operations = [
        migrations.RemoveConstraint(
            model_name='event',
            name='event_kind_known',
        ),
        migrations.AlterField(
            model_name='event',
            name='kind',
            field=models.CharField(choices=[('project.created', 'Project Created'), ('project.changed', 'Project Changed'), ('member.added', 'Member Added'), ('member.changed', 'Member Changed'), ('member.removed', 'Member Removed'), ('grant.given', 'Grant Given'), ('rights.changed', 'Rights Changed'), ('key.created', 'Key Created'), ('key.rotated', 'Key Rotated'), ('key.revoked', 'Key Revoked'), ('prompt.created', 'Prompt Created'), ('prompt.changed', 'Prompt Changed'), ('prompt.archived', 'Prompt Archived'), ('prompt.restored', 'Prompt Restored'), ('version.saved', 'Version Saved'), ('channel.created', 'Channel Created'), ('policy.proposed', 'Policy Proposed'), ('policy.changed', 'Policy Changed'), ('freeze.set', 'Freeze Set'), ('freeze.lifted', 'Freeze Lifted'), ('release.made', 'Release Made'), ('release.ratified', 'Release Ratified'), ('promotion.opened', 'Promotion Opened'), ('promotion.withdrawn', 'Promotion Withdrawn'), ('promotion.rejected', 'Promotion Rejected'), ('promotion.superseded', 'Promotion Superseded'), ('promotion.applied', 'Promotion Applied'), ('promotion.scheduled', 'Promotion Scheduled'), ('promotion.unscheduled', 'Promotion Unscheduled'), ('promotion.missed', 'Promotion Missed'), ('review.given', 'Review Given'), ('review.dismissed', 'Review Dismissed'), ('webhook.created', 'Webhook Created'), ('webhook.changed', 'Webhook Changed'), ('webhook.rotated', 'Webhook Rotated'), ('webhook.tested', 'Webhook Tested'), ('webhook.disabled', 'Webhook Disabled'), ('webhook.removed', 'Webhook Removed')], max_length=64),
        ),
        migrations.AddConstraint(
            model_name='event',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['project.created', 'project.changed', 'member.added', 'member.changed', 'member.removed', 'grant.given', 'rights.changed', 'key.created', 'key.rotated', 'key.revoked', 'prompt.created', 'prompt.changed', 'prompt.archived', 'prompt.restored', 'version.saved', 'channel.created', 'policy.proposed', 'policy.changed', 'freeze.set', 'freeze.lifted', 'release.made', 'release.ratified', 'promotion.opened', 'promotion.withdrawn', 'promotion.rejected', 'promotion.superseded', 'promotion.applied', 'promotion.scheduled', 'promotion.unscheduled', 'promotion.missed', 'review.given', 'review.dismissed', 'webhook.created', 'webhook.changed', 'webhook.rotated', 'webhook.tested', 'webhook.disabled', 'webhook.removed'])), name='event_kind_known'),
        ),
    ]
