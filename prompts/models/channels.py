"""Channels, what their policy demands, and when they are frozen."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from accounts.models import Project, User
from accounts.roles import Role

CHANNEL_FORM = r"^[a-z][a-z0-9-]{0,62}$"
RESERVED_CHANNELS = ("latest", "pinned")


class CheckName(models.TextChoices):
    """Every check a promotion can have, in the order in which it is shown."""

    REVIEW = "review"
    EVALUATION = "evaluation"
    UP_TO_DATE = "up-to-date"
    VARIABLES = "variables"
    HIDDEN_TEXT = "hidden-text"
    SECRETS = "secrets"
    CANARY = "canary"
    FREEZE = "freeze"


# Always computed and never stored, so never required by name (up-to-date may be, for clearness: it is demanded anyway).
REQUIRABLE = (
    CheckName.UP_TO_DATE,
    CheckName.EVALUATION,
    CheckName.VARIABLES,
    CheckName.HIDDEN_TEXT,
    CheckName.SECRETS,
    CheckName.CANARY,
)

POLICY_FIELDS = (
    "required_approvals",
    "required_checks",
    "review_groups",
    "approval_ttl_days",
    "evidence_ttl_days",
    "rollout_plan",
    "rollback_roles",
)


class Channel(models.Model):
    """A named pointer per prompt, with one policy for the whole project. `stable` always exists."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    name = models.CharField(max_length=63)
    position = models.PositiveSmallIntegerField(default=0)
    policy = models.ForeignKey(
        "ChannelPolicy",
        null=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The newest. Moved by the database.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="channel_name_once"),
            models.CheckConstraint(
                condition=models.Q(name__regex=CHANNEL_FORM) & ~models.Q(name__in=RESERVED_CHANNELS),
                name="channel_name_form",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PolicyFields(models.Model):
    """What a channel demands of a promotion: shared by the policy and the proposal to change it."""

    required_approvals = models.PositiveSmallIntegerField(default=1)
    required_checks = ArrayField(models.CharField(max_length=20, choices=CheckName), default=list, blank=True)
    review_groups = models.JSONField(
        default=list, blank=True, help_text='Lists of "role:NAME" or "user:ID"; of each list one must approve.'
    )
    approval_ttl_days = models.PositiveSmallIntegerField(default=14)
    evidence_ttl_days = models.PositiveSmallIntegerField(default=7)
    rollout_plan = models.JSONField(default=list, blank=True)
    rollback_roles = ArrayField(
        models.CharField(max_length=20, choices=Role),
        default=list,
        blank=True,
        help_text="Roles that may roll back, besides whoever may release.",
    )

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=models.Q(required_approvals__lte=5)
                & models.Q(required_checks__contained_by=[c.value for c in REQUIRABLE])
                & models.Q(rollback_roles__contained_by=Role.values)
                & models.Q(approval_ttl_days__range=(1, 365))
                & models.Q(evidence_ttl_days__range=(1, 365)),
                name="%(class)s_fields",
            )
        ]

    @property
    def protects(self) -> bool:
        """A channel is protected when it requires an approval or a check."""
        return self.required_approvals > 0 or bool(self.required_checks)


class PolicyChange(PolicyFields):
    """A proposal to change a protected channel's policy; it acts when another person approves it."""

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT)
    base = models.ForeignKey(
        "ChannelPolicy", on_delete=models.PROTECT, related_name="+", help_text="The policy that it changes."
    )
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(blank=True, default="")
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta(PolicyFields.Meta):
        pass

    def __str__(self) -> str:
        return f"change of {self.channel} by {self.author}"


class ChannelPolicy(PolicyFields):
    """One revision of a channel's policy. Append-only; the channel points at the newest."""

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="policies")
    revision = models.PositiveIntegerField()
    author = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+", help_text="None: the command line."
    )
    approved_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    change = models.OneToOneField(PolicyChange, null=True, blank=True, on_delete=models.PROTECT)
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta(PolicyFields.Meta):
        constraints = [
            *PolicyFields.Meta.constraints,
            models.UniqueConstraint(fields=["channel", "revision"], name="channel_policy_revision_once"),
        ]

    def __str__(self) -> str:
        return f"policy {self.revision} of {self.channel}"


class FreezeWindow(models.Model):
    """A time in which nothing moves forward on a channel. A rollback still may."""

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="freezes")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.TextField()
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    lifted_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="freeze_ends_after_start"
            )
        ]

    def __str__(self) -> str:
        return f"{self.channel} frozen until {self.ends_at}"
