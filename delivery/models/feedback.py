"""Feedback: what a person or a system said of an observation, or of all observations of a trace."""

from django.db import models
from django.db.models.functions import Now

from accounts.models import ApiKey, Project


class Feedback(models.Model):
    """One word about one observation or one trace, named as their callers name them. Append-only."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+", db_index=False)
    observation = models.UUIDField(null=True, help_text="The observation's uid: it may go, and what was said stays.")
    trace_id = models.CharField(max_length=256, null=True)
    name = models.CharField(max_length=100)
    value = models.TextField(help_text="Canonical JSON: true, false, a number or a text.")
    comment = models.TextField(blank=True, default="")
    end_user = models.CharField(max_length=256, null=True)
    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(observation__isnull=False, trace_id=None)
                | models.Q(observation=None, trace_id__isnull=False),
                name="feedback_about_one_thing",
            )
        ]
        indexes = [
            models.Index(fields=["project", "at", "id"], name="feedback_newest"),
            models.Index(
                fields=["project", "observation"],
                condition=models.Q(observation__isnull=False),
                name="feedback_of_observation",
            ),
            models.Index(
                fields=["project", "trace_id"], condition=models.Q(trace_id__isnull=False), name="feedback_of_trace"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.value}"
