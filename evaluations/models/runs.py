"""Evaluation runs: candidate and baseline over one revision of a set, cell by cell, and the verdict on them."""

import json
from typing import Any

from django.db import models
from django.db.models.functions import Now

from accounts.models import Project, User
from evaluations.models.connections import ModelConnection
from evaluations.models.sets import Case, SetRevision
from prompts.models import Channel, PromptVersion


class Arm(models.TextChoices):
    CANDIDATE = "candidate"
    BASELINE = "baseline"


class EvaluationRun(models.Model):
    """One comparison. What decides its answers is frozen at its start; its verdict is written once, from its cells."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        PAUSED = "paused"
        DONE = "done"
        CANCELLED = "cancelled"

    class Purpose(models.TextChoices):
        COMPARISON = "comparison"
        REFERENCE = "reference"
        DRIFT = "drift"

    class Outcome(models.TextChoices):
        PASS = "PASS"  # noqa: S105
        FAIL = "FAIL"
        INCONCLUSIVE = "INCONCLUSIVE"
        NOT_COMPARABLE = "NOT_COMPARABLE"
        INCOMPLETE = "INCOMPLETE"

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="evaluation_runs")
    purpose = models.CharField(max_length=16, choices=Purpose, default=Purpose.COMPARISON)
    candidate = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="evaluation_runs")
    baseline = models.ForeignKey(PromptVersion, null=True, on_delete=models.PROTECT, related_name="+")
    channel = models.ForeignKey(
        Channel, null=True, on_delete=models.PROTECT, related_name="+", help_text="Where the baseline was live."
    )
    set_revision = models.ForeignKey(SetRevision, on_delete=models.PROTECT, related_name="runs")
    set_digest = models.BinaryField(max_length=32, editable=False, help_text="Of all its cases. Set by the database.")
    connection = models.ForeignKey(ModelConnection, on_delete=models.PROTECT, related_name="+")
    settings = models.TextField(help_text="Canonical JSON: the connection as it was, without its key.")
    judge = models.ForeignKey(ModelConnection, null=True, on_delete=models.PROTECT, related_name="+")
    judge_settings = models.TextField(default="null", help_text="Canonical JSON: the judge's, and which prompt.")
    plan = models.TextField(help_text="Canonical JSON: looks, margin, estimand, and the other rules of the decision.")
    seed = models.BigIntegerField(help_text="From which each cell's own seed and the order of calls follow.")
    max_calls = models.PositiveIntegerField(help_text="The most calls that it may make, retries included.")
    max_cost_usd = models.DecimalField(max_digits=12, decimal_places=6, null=True)
    calls = models.PositiveIntegerField(default=0, help_text="Made or on their way.")
    cost_usd = models.DecimalField(max_digits=12, decimal_places=6, default=0, help_text="Where the price is known.")
    unpriced_calls = models.PositiveIntegerField(default=0, help_text="Made, at a price that nobody knows.")
    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    pause_reason = models.TextField(blank=True, default="")
    look = models.PositiveSmallIntegerField(default=0, help_text="The look that is being worked on, from 0.")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True, editable=False)
    outcome = models.CharField(max_length=16, choices=Outcome, blank=True, default="")
    verdict = models.TextField(default="null", help_text="Canonical JSON: the figures behind the outcome.")
    digest = models.BinaryField(
        max_length=32, null=True, editable=False, help_text="Of verdict and cells. Set by the database."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=["queued", "running", "paused", "done", "cancelled"]),
                name="run_status_known",
            ),
            models.CheckConstraint(
                condition=models.Q(status="done", finished_at__isnull=False)
                & models.Q(outcome__in=["PASS", "FAIL", "INCONCLUSIVE", "NOT_COMPARABLE", "INCOMPLETE"])
                | ~models.Q(status="done") & models.Q(outcome="", verdict="null"),
                name="run_done_has_outcome",
            ),
            models.CheckConstraint(condition=models.Q(calls__lte=models.F("max_calls")), name="run_within_calls"),
            models.CheckConstraint(
                condition=models.Q(max_cost_usd=None) | models.Q(cost_usd__lte=models.F("max_cost_usd")),
                name="run_within_cost",
            ),
        ]
        indexes = [
            models.Index(fields=["project", "-id"], name="run_newest"),
            models.Index(fields=["status"], name="run_open", condition=models.Q(status__in=["queued", "running"])),
        ]

    def __str__(self) -> str:
        against = f" against {self.baseline}" if self.baseline_id else ""
        return f"{self.candidate}{against} on {self.set_revision}"

    @property
    def verdict_object(self) -> dict[str, Any] | None:
        verdict: dict[str, Any] | None = json.loads(self.verdict)
        return verdict


class Cell(models.Model):
    """One call of a run: a case, an arm, a repeat. Who works on it holds its lease and its newest fence."""

    class State(models.TextChoices):
        PENDING = "pending"
        CALLING = "calling"
        ANSWERED = "answered"
        DONE = "done"
        UNSCORED = "unscored"

    run = models.ForeignKey(EvaluationRun, on_delete=models.PROTECT, related_name="cells")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="+")
    arm = models.CharField(max_length=9, choices=Arm)
    repeat = models.PositiveSmallIntegerField(help_text="From 0; those of the confirming step follow the others.")
    confirms = models.BooleanField(default=False, help_text="Made to confirm a suspicion: never from the cache.")
    position = models.PositiveIntegerField(help_text="When its turn is: random, so that the arms are interleaved.")
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    fence = models.PositiveIntegerField(default=0, help_text="How often it was taken; only the newest taker may write.")
    leased_until = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0, help_text="Calls that were begun for it.")
    next_at = models.DateTimeField(null=True, help_text="Not before: the pause after a failure.")
    output = models.TextField(null=True)  # noqa: DJ001 - an empty answer is one
    finish_reason = models.CharField(max_length=32, blank=True, default="")
    latency_ms = models.PositiveIntegerField(null=True)
    input_tokens = models.PositiveIntegerField(null=True)
    output_tokens = models.PositiveIntegerField(null=True)
    cost_usd = models.DecimalField(max_digits=12, decimal_places=6, null=True, help_text="None: unknown.")
    model = models.CharField(max_length=200, blank=True, default="", help_text="As the provider names it.")
    fingerprint = models.CharField(max_length=200, blank=True, default="")
    request_id = models.CharField(max_length=200, blank=True, default="")
    cached = models.BooleanField(default=False)
    scores = models.TextField(default="[]", help_text="Canonical JSON: one entry for each criterion.")
    score = models.FloatField(null=True, help_text="0 to 1, from the criteria that count.")
    passed = models.BooleanField(null=True)
    measures = models.TextField(default="{}", help_text="Canonical JSON: words, refusal, invariants, features of tone.")
    error = models.CharField(max_length=32, blank=True, default="")
    error_detail = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "case", "arm", "repeat"], name="cell_once"),
            models.CheckConstraint(
                condition=models.Q(state__in=["pending", "calling", "answered", "done", "unscored"]),
                name="cell_state_known",
            ),
            models.CheckConstraint(condition=models.Q(arm__in=["candidate", "baseline"]), name="cell_arm_known"),
            models.CheckConstraint(
                condition=models.Q(state="done", score__range=(0, 1), passed__isnull=False, output__isnull=False)
                | models.Q(score=None, passed=None) & ~models.Q(state="done"),
                name="cell_scored_when_done",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="unscored") | ~models.Q(error=""), name="cell_unscored_says_why"
            ),
        ]
        indexes = [
            models.Index(
                fields=["run", "position"],
                name="cell_open",
                condition=models.Q(state__in=["pending", "calling", "answered"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.case} {self.arm} {self.repeat}"


class CachedCall(models.Model):
    """An answer that may serve again: under everything that decided it, the repeat included."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+")
    key = models.BinaryField(max_length=32)
    completion = models.TextField(help_text="Canonical JSON.")
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "key"], name="cached_call_once")]

    def __str__(self) -> str:
        return bytes(self.key).hex()[:12]


class Label(models.Model):
    """What a person says of one answer by one judged criterion: what a judge is calibrated with."""

    cell = models.ForeignKey(Cell, on_delete=models.PROTECT, related_name="labels")
    criterion = models.CharField(max_length=200)
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    passed = models.BooleanField()
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cell", "criterion", "person"], name="label_once")]

    def __str__(self) -> str:
        return f"{self.person} on {self.cell}: {'passed' if self.passed else 'failed'}"
