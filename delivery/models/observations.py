"""Observations: what models made of served versions, one row a call."""

from typing import Any

from django.db import models
from django.db.models.functions import Now

from accounts.models import ApiKey, Project
from prompts.models import Channel, Prompt, PromptVersion

FAILED_FINISHES = ("error", "content_filter")


class Arm(models.TextChoices):
    """Which side of a rollout answered."""

    STABLE = "stable"
    CANARY = "canary"
    CONTROL = "control"
    SHADOW = "shadow"


# The guard judges what a row names, once a statement: foreign keys would look up and lock once a row each.
_NAMED: Any = {"related_name": "+", "db_constraint": False, "db_index": False}


class Observation(models.Model):
    """One logged model call. Append-only; `uid` is the caller's, so the same report twice is one row.

    Nothing points at it by a foreign key, and no column says what cannot be known when it is inserted: so the table can
    be cut into partitions by `received_at`.
    """

    project = models.ForeignKey(Project, on_delete=models.PROTECT, **_NAMED)
    uid = models.UUIDField()
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, **_NAMED)
    version = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, **_NAMED)
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, null=True, **_NAMED)
    revision = models.PositiveIntegerField(null=True)
    arm = models.CharField(max_length=8, choices=Arm, null=True)
    end_user = models.CharField(max_length=256, null=True, help_text="The application's own name for its user.")
    trace_id = models.CharField(max_length=256, null=True)
    session_id = models.CharField(max_length=256, null=True)
    variables = models.TextField(null=True, help_text="Canonical JSON, key order kept.")
    input = models.TextField(null=True, help_text="Canonical JSON: a text or messages.")
    output = models.TextField(null=True)
    model = models.CharField(max_length=200, null=True)
    provider = models.CharField(max_length=200, null=True)
    latency_ms = models.FloatField(null=True)
    input_tokens = models.PositiveIntegerField(null=True)
    output_tokens = models.PositiveIntegerField(null=True)
    cost_usd = models.DecimalField(max_digits=20, decimal_places=12, null=True)
    finish_reason = models.CharField(max_length=64, null=True)
    error = models.TextField(null=True)
    metadata = models.TextField(null=True, help_text="Canonical JSON, key order kept.")
    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, **_NAMED)
    at = models.DateTimeField(help_text="When the model was called, as the caller says.")
    received_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "uid"], name="observation_once"),
            models.CheckConstraint(
                condition=models.Q(arm=None) | models.Q(arm__in=Arm.values), name="observation_arm_known"
            ),
            models.CheckConstraint(
                condition=(models.Q(latency_ms=None) | models.Q(latency_ms__gte=0))
                & (models.Q(cost_usd=None) | models.Q(cost_usd__gte=0)),
                name="observation_figures",
            ),
        ]
        indexes = [
            models.Index(fields=["project", "at", "id"], name="observation_newest"),
            models.Index(fields=["prompt", "at", "id"], name="observation_of_prompt"),
            models.Index(fields=["version", "at", "id"], name="observation_of_version"),
            models.Index(
                fields=["project", "end_user", "at", "id"],
                condition=models.Q(end_user__isnull=False),
                name="observation_of_user",
            ),
            models.Index(
                fields=["project", "trace_id"], condition=models.Q(trace_id__isnull=False), name="observation_of_trace"
            ),
            models.Index(
                fields=["project", "session_id"],
                condition=models.Q(session_id__isnull=False),
                name="observation_of_session",
            ),
        ]

    def __str__(self) -> str:
        return str(self.uid)

    @property
    def failed(self) -> bool:
        return self.error is not None or self.finish_reason in FAILED_FINISHES
