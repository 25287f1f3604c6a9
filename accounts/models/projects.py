"""Projects and who may do what in them."""

from django.contrib.auth.models import Group
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase
from simple_history.models import HistoricalRecords

from accounts.models.users import User
from accounts.roles import Permission, Role


class ProjectQuerySet(models.QuerySet["Project"]):
    def of_member(self, user: User) -> "ProjectQuerySet":
        """The projects that this person is a member of."""
        return self.filter(membership__user=user, membership__user__is_active=True)


class Project(models.Model):
    """A workspace: members have roles in it, and names are unique within it."""

    name = models.CharField(max_length=63, unique=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    importing = models.BooleanField(
        default=True,
        editable=False,
        help_text="Takes imported history; closed for ever by the first other release.",
    )
    serves_stale = models.BooleanField(
        default=False,
        help_text="While the database is gone, fetches of channels get what was live last, marked as stale.",
    )

    objects = ProjectQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        permissions = [(p.value, p.label) for p in Permission]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(name__regex=r"^[a-z0-9][a-z0-9-]{0,62}$"), name="project_name_form"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ProjectUserPermission(UserObjectPermissionBase):
    content_object = models.ForeignKey(Project, on_delete=models.CASCADE)

    class Meta(UserObjectPermissionBase.Meta):
        abstract = False


class ProjectGroupPermission(GroupObjectPermissionBase):
    content_object = models.ForeignKey(Project, on_delete=models.CASCADE)

    class Meta(GroupObjectPermissionBase.Meta):
        abstract = False


class RoleGroup(models.Model):
    """The group that carries one role's permissions in one project."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    role = models.CharField(max_length=20, choices=Role)
    group = models.OneToOneField(Group, on_delete=models.PROTECT)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "role"], name="role_group_once"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="role_group_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.role} of {self.project}"


class Membership(models.Model):
    """One person in one project, with one role or several. The database derives the groups from it."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    user = models.ForeignKey(User, on_delete=models.PROTECT)
    roles = ArrayField(models.CharField(max_length=20, choices=Role), help_text="One role or several, by name.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    history = HistoricalRecords()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="membership_once"),
            models.CheckConstraint(
                condition=models.Q(roles__contained_by=Role.values) & ~models.Q(roles=[]), name="membership_roles_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.project}: {', '.join(self.roles)}"


class BreakGlassGrant(models.Model):
    """The right to break glass for some minutes: given by one person to another, and never held otherwise."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="break_glass_grants")
    granted_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(user=models.F("granted_by")), name="grant_not_to_oneself"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.project} until {self.expires_at}"
