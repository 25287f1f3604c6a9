"""The memory: what happened, in which order it was committed, and what a serving process must reload.

These tables name projects, people and subjects by plain id, without foreign keys: the memory stands below everything
else and outlives what it speaks of.
"""

import uuid
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from simple_history.models import HistoricalRecords

from events.kinds import EventKind
from promptforge.lib.ids import encode


class Event(models.Model):
    """One fact. The verb that made it true inserts it in its own transaction; the commit seals it."""

    project_id = models.BigIntegerField()
    kind = models.CharField(max_length=64, choices=EventKind)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.BigIntegerField()
    subject_kind = models.CharField(max_length=32)
    subject_id = models.BigIntegerField()
    data = models.TextField(default="{}", help_text="Canonical JSON, without personal data: ids only.")
    at = models.DateTimeField(db_default=Now(), editable=False, help_text="Set by the database.")

    class Meta:
        indexes = [
            models.Index(fields=["project_id", "subject_kind", "subject_id", "id"], name="event_subject"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=EventKind.values), name="event_kind_known"),
            models.UniqueConstraint(
                fields=["subject_id", "kind"],
                condition=models.Q(kind__in=["version.saved", "release.made"]),
                name="event_tells_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_kind} {self.subject_id}"


class EventSeal(models.Model):
    """The place of one event in its project's chain: `seq` is commit order, `digest` covers all before it."""

    project_id = models.BigIntegerField()
    seq = models.BigIntegerField()
    event = models.OneToOneField(Event, on_delete=models.PROTECT, related_name="seal")
    digest = models.BinaryField(max_length=32)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project_id", "seq"], name="event_seal_seq")]

    def __str__(self) -> str:
        return f"{self.seq} of project {self.project_id}"


class Serving(models.Model):
    """One row a project: its `generation` moves with every commit that changes what is served.

    `epoch` is random and new after a restore, so that a process which remembers another history reloads everything.
    """

    project_id = models.BigIntegerField(primary_key=True)
    generation = models.BigIntegerField(default=0)
    epoch = models.UUIDField(default=uuid.uuid4)
    transaction = models.BigIntegerField(default=0, help_text="The transaction that advanced it last.")

    def __str__(self) -> str:
        return f"project {self.project_id} at {self.generation}"


class ServedChange(models.Model):
    """What one generation changed: which prompt, version, channel, key or member a serving process must load again."""

    project_id = models.BigIntegerField()
    generation = models.BigIntegerField()
    kind = models.CharField(max_length=16)
    subject_id = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project_id", "generation", "kind", "subject_id"], name="served_change_once_a_generation"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_id} at {self.generation}"


class RestoreFence(models.Model):
    """One restore. Until a person confirms it, nothing is sent, scheduled or run (`events.fence`).

    The migration's trigger lets only the owner of the tables write here, and lets only `confirmed_at` be set, once.
    """

    restored_at = models.DateTimeField(db_default=Now(), editable=False)
    archive_digest = models.CharField(max_length=64, help_text="SHA-256 of the backup's manifest.")
    confirmed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"restore of {self.archive_digest[:12]}"


# --- Events out: webhooks and mail, whose rows are the queue ----------------------------------------------------------
ALL_KINDS = "*"


def _historian(historical: Any, **_: Any) -> Any:
    """Who changed an endpoint: kept by plain id, for the memory has no foreign key that points up."""
    return apps.get_model("accounts", "User").objects.filter(pk=historical.history_user_id).first()


def _set_historian(historical: Any, user: Any, **_: Any) -> None:
    historical.history_user_id = None if user is None else user.pk


class WebhookEndpointQuerySet(models.QuerySet["WebhookEndpoint"]):
    def standing(self) -> "WebhookEndpointQuerySet":
        """Those that were not removed."""
        return self.filter(removed_at=None)


class WebhookEndpoint(models.Model):
    """An address that a project's events are sent to. Removing it ends the sending; what was sent stays."""

    class Format(models.TextChoices):
        STANDARD = "standard"
        SLACK = "slack"

    project_id = models.BigIntegerField()
    url = models.CharField(max_length=2048)
    events = ArrayField(models.CharField(max_length=64), help_text='Kinds of events, or "*" alone for every kind.')
    format = models.CharField(max_length=16, choices=Format, default=Format.STANDARD)
    enabled = models.BooleanField(default=True)
    secret = models.BinaryField(editable=False, help_text="What signs, sealed with the key ring.")
    previous_secret = models.BinaryField(null=True, editable=False, help_text="What signs beside it, for a while.")
    previous_ends_at = models.DateTimeField(null=True, editable=False)
    cursor = models.BigIntegerField(editable=False, help_text="The seal up to which events became deliveries.")
    failing_since = models.DateTimeField(null=True, editable=False, help_text="The first failure after a success.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    removed_at = models.DateTimeField(null=True, editable=False)

    history = HistoricalRecords(
        excluded_fields=["secret", "previous_secret", "cursor", "failing_since"],
        history_user_id_field=models.BigIntegerField(null=True),
        history_user_getter=_historian,
        history_user_setter=_set_historian,
    )
    objects = WebhookEndpointQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["project_id", "id"], name="webhook_of_project")]
        constraints = [
            models.CheckConstraint(condition=~models.Q(events=[]), name="webhook_wants_something"),
            models.CheckConstraint(condition=models.Q(format__in=["standard", "slack"]), name="webhook_format_known"),
        ]

    def __str__(self) -> str:
        return f"webhook endpoint {self.pk} of project {self.project_id}"

    @property
    def host(self) -> str:
        """The part of the address that may be told to everybody."""
        return urlsplit(self.url).hostname or ""

    @property
    def place(self) -> str:
        """What its sealed secrets are bound to."""
        return f"{self._meta.db_table}:{self.pk}:secret"


class Delivery(models.Model):
    """One event on its way to one endpoint. `next_at` is when a worker may take it; nothing when it is settled.

    Taking it moves `next_at` past the time that a call can last: who dies while sending loses nothing, for the row
    comes due again.
    """

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.PROTECT, related_name="deliveries")
    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="deliveries")
    next_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0, help_text="How often it was taken since it was last asked for.")
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [models.UniqueConstraint(fields=["endpoint", "event"], name="delivery_once")]
        indexes = [
            models.Index(fields=["endpoint", "next_at"], name="delivery_due", condition=~models.Q(next_at=None)),
            models.Index(fields=["endpoint", "-id"], name="delivery_newest"),
        ]

    def __str__(self) -> str:
        return f"event {self.event_id} to webhook endpoint {self.endpoint_id}"

    @property
    def message_id(self) -> str:
        """The `webhook-id`: the event's own id, the same in every try, by which a receiver knows what it has."""
        return encode("evt", self.event_id)

    @property
    def state(self) -> str:
        if self.next_at is not None:
            return "waiting"
        return "failed" if self.delivered_at is None else "delivered"


class DeliveryAttempt(models.Model):
    """One call of one delivery: what was answered, or why nothing was."""

    delivery = models.ForeignKey(Delivery, on_delete=models.PROTECT, related_name="attempts")
    at = models.DateTimeField(db_default=Now(), editable=False)
    status = models.PositiveSmallIntegerField(null=True, help_text="What the receiver answered; nothing for none.")
    outcome = models.CharField(max_length=200, help_text="In words.")
    milliseconds = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.delivery} at {self.at}: {self.outcome}"


class MailCursor(models.Model):
    """The seal up to which a project's events became letters."""

    project_id = models.BigIntegerField(primary_key=True)
    seq = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"project {self.project_id} up to {self.seq}"


class Letter(models.Model):
    """One event on its way to one person by e-mail, once; `next_at` as in `Delivery`."""

    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="letters")
    person_id = models.BigIntegerField()
    next_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event", "person_id"], name="letter_once")]
        indexes = [models.Index(fields=["next_at"], name="letter_due", condition=~models.Q(next_at=None))]

    def __str__(self) -> str:
        return f"event {self.event_id} to person {self.person_id}"
