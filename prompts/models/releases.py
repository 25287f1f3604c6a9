"""The ledger: which version each channel served, from when, decided by whom and why."""

from datetime import datetime

from django.db import models
from django.db.models.functions import Now

from accounts.models import User
from prompts.models.channels import Channel
from prompts.models.prompts import Prompt
from prompts.models.versions import PromptVersion


class ReleaseKind(models.TextChoices):
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    BREAK_GLASS = "break_glass"
    IMPORT = "import"
    CANARY_START = "canary_start"
    CANARY_STEP = "canary_step"
    CANARY_COMPLETE = "canary_complete"
    CANARY_ABORT = "canary_abort"


class ReleaseQuerySet(models.QuerySet["Release"]):
    def as_of(self, moment: datetime) -> "ReleaseQuerySet":
        """The rows that stood at this moment, newest first: of one ledger, the first is its state then."""
        return self.filter(at__lte=moment).order_by("-revision")

    def with_previous(self) -> "ReleaseQuerySet":
        """Each with `previous_number`: the version that its channel served before, None for the first."""
        before = Release.objects.filter(
            prompt=models.OuterRef("prompt"),
            channel=models.OuterRef("channel"),
            revision=models.OuterRef("revision") - 1,
        )
        return self.annotate(previous_number=models.Subquery(before.values("version__number")))


class Release(models.Model):
    """One row of a channel's append-only ledger; the newest row is the channel's whole state."""

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="releases")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="releases")
    revision = models.PositiveIntegerField()
    kind = models.CharField(max_length=16, choices=ReleaseKind)
    version = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="releases")
    canary_version = models.ForeignKey(PromptVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    canary_share = models.PositiveIntegerField(null=True, blank=True, help_text="Parts per million.")
    salt = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001  absent, not empty
    promotion = models.ForeignKey("Promotion", null=True, blank=True, on_delete=models.PROTECT, related_name="releases")
    actor = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(blank=True, default="")
    at = models.DateTimeField(help_text="When it was decided; set by the database, but for imported history.")
    recorded_at = models.DateTimeField(db_default=Now(), editable=False)
    previous_digest = models.BinaryField(max_length=32, editable=False)
    digest = models.BinaryField(max_length=32, editable=False)

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["prompt", "channel", "revision"], name="release_revision_once"),
            models.UniqueConstraint(
                fields=["id", "prompt", "channel", "revision", "version"], name="release_as_head_names_it"
            ),
            models.CheckConstraint(condition=models.Q(kind__in=ReleaseKind.values), name="release_kind_known"),
        ]
        indexes = [
            models.Index(fields=["prompt", "channel", "at"], name="release_as_of"),
            models.Index(fields=["at"], name="release_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.prompt} {self.channel} {self.revision}"


class HeadQuerySet(models.QuerySet["Head"]):
    def locked(self) -> "HeadQuerySet":
        return self.select_for_update(no_key=True, of=("self",))


class Head(models.Model):
    """Where one prompt's channel stands now: a copy of its ledger's newest row, moved by the database alone."""

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="heads")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="heads")
    revision = models.PositiveIntegerField(default=0)
    release = models.ForeignKey(Release, null=True, on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(PromptVersion, null=True, on_delete=models.PROTECT, related_name="+")

    objects = HeadQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["prompt", "channel"], name="head_once"),
            models.CheckConstraint(
                condition=models.Q(revision=0, release=None, version=None)
                | models.Q(revision__gt=0, release__isnull=False, version__isnull=False),
                name="head_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prompt} {self.channel}"


class Ratification(models.Model):
    """A second person's word that a break-glass release was right."""

    release = models.OneToOneField(Release, on_delete=models.PROTECT, related_name="ratification")
    ratified_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    note = models.TextField(blank=True, default="")
    at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"{self.release} ratified by {self.ratified_by}"
