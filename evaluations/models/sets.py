"""Evaluation sets: representative inputs (cases) with quality criteria, in revisions that never change."""

import json
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower, Now
from simple_history.models import HistoricalRecords

from accounts.models import Project, User
from prompts.models import Prompt


class EvaluationSet(models.Model):
    """A named list of cases with criteria, of one prompt or shared by a project. What it holds stands in revisions."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="evaluation_sets")
    prompt = models.ForeignKey(
        Prompt, null=True, blank=True, on_delete=models.PROTECT, related_name="evaluation_sets", help_text="None: any."
    )
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True, default="")
    revision = models.PositiveIntegerField(default=0, editable=False, help_text="The newest. Set by the database.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)

    history = HistoricalRecords(excluded_fields=["revision"])

    class Meta:
        constraints = [models.UniqueConstraint("project", Lower("name"), name="set_name_once")]

    def __str__(self) -> str:
        return self.name


class SetRevision(models.Model):
    """One state of a set, numbered 1, 2, 3 …: its criteria here, its cases those that stand in it."""

    set = models.ForeignKey(EvaluationSet, on_delete=models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    criteria = models.TextField(default="[]", help_text="Canonical JSON: the criteria of every case.")
    message = models.TextField(blank=True, default="")
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now(), editable=False)
    transaction = models.BigIntegerField(default=0, editable=False, help_text="The one that may fill it.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["set", "number"], name="set_revision_once"),
            models.UniqueConstraint(fields=["set", "id"], name="set_revision_of_set"),
        ]

    def __str__(self) -> str:
        return f"{self.set} revision {self.number}"

    @property
    def criteria_list(self) -> list[dict[str, Any]]:
        criteria: list[dict[str, Any]] = json.loads(self.criteria)
        return criteria

    @property
    def cases(self) -> "models.QuerySet[Case]":
        return Case.objects.standing_in(self.set_id, self.number)


class CaseQuerySet(models.QuerySet["Case"]):
    def standing_in(self, set_id: int | models.OuterRef, number: int | models.OuterRef) -> "CaseQuerySet":
        """The cases of one revision of a set, in their order."""
        later = models.Q(removed_in=None) | models.Q(removed_in__gt=number)
        return self.filter(later, set_id=set_id, added_in__lte=number).order_by("position", "pk")


class Case(models.Model):
    """One input with what is expected of the answer. A changed case is a new row under the same key."""

    set = models.ForeignKey(EvaluationSet, on_delete=models.PROTECT, related_name="all_cases")
    key = models.CharField(max_length=100, help_text="What the case is called, once in each revision.")
    position = models.PositiveIntegerField(default=0)
    added_in = models.PositiveIntegerField()
    removed_in = models.PositiveIntegerField(null=True)
    variables = models.TextField(default="{}", help_text="Canonical JSON: variable to value.")
    messages = models.TextField(default="{}", help_text="Canonical JSON: placeholder to list of messages.")
    expected = models.TextField(null=True, blank=True)  # noqa: DJ001 - nothing expected is not the empty text
    tags = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    group = models.CharField(max_length=100, blank=True, default="", help_text="Cases of a group are no fresh samples.")
    critical = models.BooleanField(default=False)
    criteria = models.TextField(default="[]", help_text="Canonical JSON: what is asked of this case besides.")
    digest = models.BinaryField(max_length=32, editable=False, help_text="Set by the database.")

    objects = CaseQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["set", "key"], condition=models.Q(removed_in=None), name="case_key_stands_once"
            ),
            models.CheckConstraint(
                condition=models.Q(removed_in=None) | models.Q(removed_in__gt=models.F("added_in")),
                name="case_removed_after_added",
            ),
        ]
        indexes = [models.Index(fields=["set", "added_in"], name="case_of_set")]

    def __str__(self) -> str:
        return self.key

    @property
    def variable_values(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self.variables)
        return values

    @property
    def placeholder_messages(self) -> dict[str, list[dict[str, Any]]]:
        messages: dict[str, list[dict[str, Any]]] = json.loads(self.messages)
        return messages

    @property
    def criteria_list(self) -> list[dict[str, Any]]:
        criteria: list[dict[str, Any]] = json.loads(self.criteria)
        return criteria
