"""Model connections: which model is called where, with which key; and what the calls may cost."""

import json
from typing import Any

from django.db import models
from django.db.models.functions import Lower, Now
from simple_history.models import HistoricalRecords

from accounts.models import Project


class ModelConnectionQuerySet(models.QuerySet["ModelConnection"]):
    def standing(self) -> "ModelConnectionQuerySet":
        """Those that were not removed."""
        return self.filter(removed_at=None)


class ModelConnection(models.Model):
    """One model at one provider. Its key is sealed and never shown again; a run keeps a copy of everything else."""

    class Kind(models.TextChoices):
        OPENAI = "openai"
        ANTHROPIC = "anthropic"
        GEMINI = "gemini"
        LOCAL = "local"

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="model_connections")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=16, choices=Kind)
    base_url = models.CharField(max_length=2048, blank=True, default="", help_text="Blank: the provider's own.")
    model = models.CharField(max_length=200)
    parameters = models.TextField(default="{}", help_text="Canonical JSON: temperature, max_tokens …")
    key = models.BinaryField(null=True, editable=False, help_text="The provider's key, sealed with the key ring.")
    max_concurrency = models.PositiveSmallIntegerField(default=8)
    price = models.TextField(
        default="null", help_text='Canonical JSON: {"input", "output"} in USD for a million tokens; null: looked up.'
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    removed_at = models.DateTimeField(null=True, editable=False)

    history = HistoricalRecords(excluded_fields=["key"])
    objects = ModelConnectionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "project", Lower("name"), condition=models.Q(removed_at=None), name="connection_name_once"
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=["openai", "anthropic", "gemini", "local"]), name="connection_kind_known"
            ),
            models.CheckConstraint(
                condition=models.Q(max_concurrency__range=(1, 200)), name="connection_concurrency_range"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def place(self) -> str:
        """What its sealed key is bound to."""
        return f"{self._meta.db_table}:{self.pk}:key"

    @property
    def parameter_values(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self.parameters)
        return values

    @property
    def snapshot(self) -> dict[str, Any]:
        """What a run keeps of it: all that decides what the model answers, and nothing secret."""
        return {
            "kind": self.kind,
            "base_url": self.base_url,
            "model": self.model,
            "parameters": self.parameter_values,
        }


class Budget(models.Model):
    """What a project's evaluations may cost in a day (UTC). None: no ceiling of that kind."""

    project = models.OneToOneField(Project, primary_key=True, on_delete=models.PROTECT, related_name="budget")
    calls_per_day = models.PositiveIntegerField(null=True, blank=True)
    usd_per_day = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)

    history = HistoricalRecords()

    def __str__(self) -> str:
        return f"budget of {self.project}"


class DaySpending(models.Model):
    """What a project's calls of one day cost, those that are on their way included. The ceilings are today's copy."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+")
    day = models.DateField()
    calls = models.PositiveIntegerField(default=0)
    usd = models.DecimalField(max_digits=12, decimal_places=6, default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "day"], name="spending_day_once")]

    def __str__(self) -> str:
        return f"{self.project} on {self.day}: {self.calls} calls"
