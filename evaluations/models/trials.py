"""What a model answers to a draft while it is written, beside what is live: one person's, and no evidence."""

import json
from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models.functions import Now

from evaluations.models.connections import ModelConnection
from prompts.models import Draft, PromptVersion

KEPT = timedelta(days=1)
# What no worker has taken up by then nobody waits for any more, so it is not asked: it would cost money.
LONGEST_WAIT = timedelta(minutes=2)


class Trial(models.Model):
    """One try of a draft. It goes with its draft, with the next try, or after a day."""

    draft = models.OneToOneField(Draft, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(ModelConnection, on_delete=models.PROTECT, related_name="+")
    live_version = models.ForeignKey(PromptVersion, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"a try of {self.draft}"


class TrialAnswerQuerySet(models.QuerySet["TrialAnswer"]):
    def under_way(self) -> "TrialAnswerQuerySet":
        """Those that a worker asks for now."""
        return self.filter(leased_until__gt=Now())

    def due(self) -> "TrialAnswerQuerySet":
        """Those that no worker has taken up yet, and that somebody still waits for."""
        return self.filter(leased_until=None, output=None, error="", trial__at__gt=Now() - LONGEST_WAIT)


class TrialAnswer(models.Model):
    """One call of a try: what is asked, who has taken it up until when, and what came of it. It is asked once."""

    class Side(models.TextChoices):
        LIVE = "live"
        DRAFT = "draft"

    trial = models.ForeignKey(Trial, on_delete=models.CASCADE, related_name="answers")
    side = models.CharField(max_length=8, choices=Side)
    messages = models.TextField(help_text="Canonical JSON: what is sent, with the values put in.")
    parameters = models.TextField(help_text="Canonical JSON: what it is asked with.")
    leased_until = models.DateTimeField(null=True, help_text="While a worker asks; past with nothing here: it ended.")
    output = models.TextField(null=True, help_text="None: there is no answer.")  # noqa: DJ001 - "" is one
    finish_reason = models.CharField(max_length=32, default="")
    latency_ms = models.PositiveIntegerField(null=True)
    cost_usd = models.DecimalField(max_digits=12, decimal_places=6, null=True, help_text="None: nobody knows.")
    error = models.CharField(max_length=32, default="", help_text="The kind of failure, or the ceiling that was met.")
    error_detail = models.CharField(max_length=500, default="")

    objects = TrialAnswerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["trial", "side"], name="trial_side_once"),
            models.CheckConstraint(
                condition=models.Q(output=None) | models.Q(error=""), name="trial_answered_or_failed"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.side} of {self.trial}"

    @property
    def message_list(self) -> list[Any]:
        messages: list[Any] = json.loads(self.messages)
        return messages

    @property
    def parameter_values(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self.parameters)
        return values
