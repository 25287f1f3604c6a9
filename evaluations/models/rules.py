"""Gate rules: which evaluation a channel demands before a version goes live on it."""

from django.db import models
from django.db.models.functions import Now

from accounts.models import User
from evaluations.models.connections import ModelConnection
from evaluations.models.sets import EvaluationSet
from prompts.models import Channel, Promotion, Prompt


class EvaluationRule(models.Model):
    """One demand. It is added by one person and, on a protected channel, taken away by two; it is never changed."""

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="evaluation_rules")
    prompt = models.ForeignKey(
        Prompt, null=True, blank=True, on_delete=models.PROTECT, related_name="+", help_text="None: all of the set's."
    )
    set = models.ForeignKey(EvaluationSet, on_delete=models.PROTECT, related_name="rules")
    connection = models.ForeignKey(ModelConnection, on_delete=models.PROTECT, related_name="+")
    judge = models.ForeignKey(ModelConnection, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    margin = models.FloatField(help_text="How much worse is still no worse: 0.1 is ten points of a hundred.")
    repeats = models.PositiveSmallIntegerField(null=True, blank=True, help_text="At the last look; None: the plan's.")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    removal_asked_by = models.ForeignKey(User, null=True, editable=False, on_delete=models.PROTECT, related_name="+")
    removal_asked_at = models.DateTimeField(null=True, editable=False)
    removed_by = models.ForeignKey(User, null=True, editable=False, on_delete=models.PROTECT, related_name="+")
    removed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "prompt", "set", "connection"],
                condition=models.Q(removed_at=None),
                nulls_distinct=False,
                name="rule_once",
            ),
            models.CheckConstraint(condition=models.Q(margin__gt=0, margin__lte=0.5), name="rule_margin_range"),
        ]

    def __str__(self) -> str:
        return f"{self.set} on {self.channel}"


class GateRefusal(models.Model):
    """Why the evaluation that a rule demands of a promotion is not started by itself, by one revision of its set."""

    promotion = models.ForeignKey(Promotion, on_delete=models.PROTECT, related_name="+")
    rule = models.ForeignKey(EvaluationRule, on_delete=models.PROTECT, related_name="+")
    set_revision = models.PositiveIntegerField()
    why = models.TextField()
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["promotion", "rule", "set_revision"], name="gate_refused_once")]

    def __str__(self) -> str:
        return f"{self.rule} for {self.promotion}"
