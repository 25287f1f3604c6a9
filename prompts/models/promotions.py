"""Promotions: requests to make a version a channel's head, with their checks and schedules."""

from django.db import models
from django.db.models.functions import Now

from accounts.models import User
from prompts.models.channels import Channel, ChannelPolicy, CheckName
from prompts.models.prompts import Prompt
from prompts.models.versions import PromptVersion


class Promotion(models.Model):
    """A request to make a version a channel's head. Only facts are stored; whether it is ready is computed."""

    class State(models.TextChoices):
        OPEN = "OPEN"
        APPLIED = "APPLIED"
        REJECTED = "REJECTED"
        WITHDRAWN = "WITHDRAWN"
        SUPERSEDED = "SUPERSEDED"

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="promotions")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="promotions")
    version = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="promotions")
    base_version = models.ForeignKey(PromptVersion, null=True, on_delete=models.PROTECT, related_name="+")
    base_revision = models.PositiveIntegerField()
    policy = models.ForeignKey(ChannelPolicy, on_delete=models.PROTECT, related_name="+")
    diff_digest = models.BinaryField(max_length=32, editable=False, help_text="Set by the database.")
    title = models.CharField(max_length=200, blank=True, default="")
    note = models.TextField(blank=True, default="")
    opened_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    opener = models.ForeignKey(
        User,
        on_delete=models.PROTECT,
        related_name="+",
        editable=False,
        help_text="The person behind. Set by the database.",
    )
    opened_at = models.DateTimeField(db_default=Now(), editable=False)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    closed_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    closed_at = models.DateTimeField(null=True, blank=True)
    close_reason = models.TextField(blank=True, default="")
    successor = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="predecessor"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["prompt", "channel", "version"], condition=models.Q(state="OPEN"), name="promotion_open_once"
            ),
            models.CheckConstraint(
                condition=models.Q(state="OPEN", closed_by=None, closed_at=None)
                | (~models.Q(state="OPEN") & models.Q(closed_by__isnull=False, closed_at__isnull=False)),
                name="promotion_closed_whole",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["OPEN", "APPLIED", "REJECTED", "WITHDRAWN", "SUPERSEDED"]),
                name="promotion_state_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} to {self.channel}"


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    def standing(self) -> "ScheduleQuerySet":
        """Those that will be carried out: the newest of an open promotion, if it names a time."""
        newest = Schedule.objects.filter(promotion=models.OuterRef("promotion")).order_by("-pk")
        return self.filter(
            pk=models.Subquery(newest.values("pk")[:1]), apply_at__isnull=False, promotion__state=Promotion.State.OPEN
        )


class Schedule(models.Model):
    """When a promotion is to be applied. The newest row of a promotion counts; one without a time cancels."""

    promotion = models.ForeignKey(Promotion, on_delete=models.PROTECT, related_name="schedules")
    apply_at = models.DateTimeField(null=True, blank=True)
    actor = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(blank=True, default="")
    at = models.DateTimeField(db_default=Now(), editable=False)

    objects = ScheduleQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.promotion} at {self.apply_at}"


class Check(models.Model):
    """One stored answer to one check of a promotion. Append-only; the newest of a name counts."""

    class Conclusion(models.TextChoices):
        PASSED = "passed"
        FAILED = "failed"
        WAITING = "waiting"
        RUNNING = "running"
        ADVICE = "advice"
        STALE = "stale"
        WAIVED = "waived"
        NOT_REQUIRED = "not_required"

    promotion = models.ForeignKey(Promotion, on_delete=models.PROTECT, related_name="stored_checks")
    name = models.CharField(max_length=20, choices=CheckName)
    version = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="+")
    base_version = models.ForeignKey(PromptVersion, null=True, on_delete=models.PROTECT, related_name="+")
    policy = models.ForeignKey(ChannelPolicy, on_delete=models.PROTECT, related_name="+")
    conclusion = models.CharField(max_length=16, choices=Conclusion)
    summary = models.TextField()
    evidence_table = models.CharField(max_length=63, blank=True, default="")
    evidence_id = models.BigIntegerField(null=True, blank=True)
    evidence_digest = models.BinaryField(max_length=32, null=True, blank=True)
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    conclusion__in=[
                        "passed",
                        "failed",
                        "waiting",
                        "running",
                        "advice",
                        "stale",
                        "waived",
                        "not_required",
                    ]
                ),
                name="check_conclusion_known",
            )
        ]
        indexes = [models.Index(fields=["promotion", "name", "-id"], name="check_newest")]

    def __str__(self) -> str:
        return f"{self.name}: {self.conclusion}"
