"""Prompts: named things that have versions."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower, Now
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase
from simple_history.models import HistoricalRecords

from accounts.models import Project
from accounts.policies import Principal, granted, holds, pattern_condition
from accounts.roles import Permission, Scope

NAME_FORM = r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$"

# What can be granted on one prompt, so that a team can own its prompts; the rest belongs to the project.
PROMPT_PERMISSIONS = (
    Permission.READ,
    Permission.EDIT,
    Permission.REVIEW,
    Permission.RELEASE,
    Permission.READ_OBSERVATIONS,
)


class PromptType(models.TextChoices):
    TEXT = "text"
    CHAT = "chat"


class PromptQuerySet(models.QuerySet["Prompt"]):
    def locked(self) -> "PromptQuerySet":
        """Fresh rows, held against other writers of the same prompt until the transaction ends."""
        return self.select_for_update(no_key=True, of=("self",))

    def visible_to(self, principal: Principal, scope: Scope = Scope.PROMPTS_READ) -> "PromptQuerySet":
        """The prompts of the principal's project that it may read; `scope` is what a key needs for what it reads."""
        prompts = self.filter(project=principal.project)
        if principal.key is not None:
            if scope not in principal.key.scopes:
                return prompts.none()
            return prompts.filter(pattern_condition(principal.key.prompts)) if principal.key.prompts else prompts
        if holds(principal.user, Permission.READ, principal.project):
            return prompts
        return prompts.filter(
            pk__in=granted(principal.user, Permission.READ, Prompt.objects.filter(project=principal.project))
        )


class Prompt(models.Model):
    """A named thing that has versions. Its folders are the name's path. It is never deleted, only archived."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    name = models.CharField(max_length=200)
    type = models.CharField(max_length=4, choices=PromptType)
    description = models.TextField(blank=True, default="")
    tags = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    next_number = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)

    history = HistoricalRecords(excluded_fields=["next_number"])
    objects = PromptQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        permissions = [(p.value, p.label) for p in PROMPT_PERMISSIONS]
        constraints = [
            models.UniqueConstraint("project", Lower("name"), name="prompt_name_once"),
            models.CheckConstraint(condition=models.Q(name__regex=NAME_FORM), name="prompt_name_form"),
            models.CheckConstraint(condition=models.Q(type__in=PromptType.values), name="prompt_type_known"),
        ]

    def __str__(self) -> str:
        return self.name


class PromptUserPermission(UserObjectPermissionBase):
    content_object = models.ForeignKey(Prompt, on_delete=models.CASCADE)

    class Meta(UserObjectPermissionBase.Meta):
        abstract = False


class PromptGroupPermission(GroupObjectPermissionBase):
    content_object = models.ForeignKey(Prompt, on_delete=models.CASCADE)

    class Meta(GroupObjectPermissionBase.Meta):
        abstract = False
