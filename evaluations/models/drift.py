"""The drift watch: what each live version answered at its promotion, and what its model answers since."""

import json
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from accounts.models import User
from evaluations.models.rules import EvaluationRule
from evaluations.models.runs import EvaluationRun
from prompts.models import Prompt, PromptVersion


class DriftWatch(models.Model):
    """One live version under one gate rule. Its reference is frozen: only a person takes another one of the same."""

    class State(models.TextChoices):
        QUIET = "quiet"
        SUSPECTED = "suspected"
        DRIFTED = "drifted"

    rule = models.ForeignKey(EvaluationRule, on_delete=models.PROTECT, related_name="watches")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="drift_watches")
    version = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="+")
    reference = models.ForeignKey(EvaluationRun, null=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=9, choices=State, default=State.QUIET)
    every_hours = models.PositiveSmallIntegerField(default=24)
    next_at = models.DateTimeField(null=True, help_text="When the next run is due; None: once the reference is done.")
    enabled = models.BooleanField(default=True)
    freezes_for = models.ForeignKey(
        User, null=True, on_delete=models.PROTECT, related_name="+", help_text="In whose name a drift freezes."
    )
    why_not = models.TextField(blank=True, default="", help_text="Why no reference could be begun.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rule", "prompt"], name="watch_once"),
            models.CheckConstraint(
                condition=models.Q(state__in=["quiet", "suspected", "drifted"]), name="watch_state_known"
            ),
            models.CheckConstraint(condition=models.Q(every_hours__range=(1, 720)), name="watch_hours_range"),
        ]

    def __str__(self) -> str:
        return f"{self.prompt} on {self.rule.channel}"


class DriftNight(models.Model):
    """One scheduled run of a watch against one reference. What came of it is written once."""

    watch = models.ForeignKey(DriftWatch, on_delete=models.PROTECT, related_name="nights")
    reference = models.ForeignKey(EvaluationRun, on_delete=models.PROTECT, related_name="+")
    run = models.OneToOneField(EvaluationRun, on_delete=models.PROTECT, related_name="drift_night")
    confirms = models.BooleanField(default=False, help_text="Fresh samples for a suspicion.")
    figures = models.TextField(default="null", help_text="Canonical JSON: how each metric stood; null until judged.")
    begun_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index(fields=["watch", "-id"], name="night_newest")]

    def __str__(self) -> str:
        return f"{self.watch}, run {self.run_id}"

    @property
    def figures_object(self) -> dict[str, Any] | None:
        figures: dict[str, Any] | None = json.loads(self.figures)
        return figures


class DriftFinding(models.Model):
    """What a night told: append-only."""

    class Level(models.TextChoices):
        NOTICE = "notice"
        SUSPECT = "suspect"
        DRIFT = "drift"
        CLEARED = "cleared"

    watch = models.ForeignKey(DriftWatch, on_delete=models.PROTECT, related_name="findings")
    night = models.ForeignKey(DriftNight, on_delete=models.PROTECT, related_name="findings")
    level = models.CharField(max_length=8, choices=Level)
    differs = ArrayField(models.CharField(max_length=20), default=list)
    sentence = models.TextField()
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["night", "level"], name="finding_once"),
            models.CheckConstraint(
                condition=models.Q(level__in=["notice", "suspect", "drift", "cleared"]), name="finding_level_known"
            ),
        ]
        indexes = [models.Index(fields=["watch", "-id"], name="finding_newest")]

    def __str__(self) -> str:
        return self.sentence
