"""The memory: what happened, in which order it was committed, and what a serving process must reload.

These tables name projects, people and subjects by plain id, without foreign keys: the memory stands below everything
else and outlives what it speaks of.
"""

import uuid

from django.db import models
from django.db.models.functions import Now

from events.kinds import EventKind


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
