"""People, roles and keys in the admin. (A project is made with its channels: it stands in prompts.admin.)"""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts.forms import (
    NewGrantForm,
    NewKeyForm,
    NewMemberForm,
    NewUserForm,
    RemoveMemberForm,
    RevokeKeyForm,
    SetPasswordForm,
    SetRolesForm,
)
from accounts.models import ApiKey, BreakGlassGrant, Membership, Project, RoleGroup, User
from accounts.policies import Principal
from accounts.roles import Permission
from events.admin.seen import (
    Done,
    ProjectFilter,
    RememberedAdmin,
    SeenAdmin,
    Verb,
    VerbForm,
    page_of,
    projects_seen,
    shown_as,
)

# Groups follow the memberships; edited by hand they would say something else. Second factors are their owners'.
for _model in (Group, Authenticator, EmailAddress):
    admin.site.unregister(_model)


def projects_where(request: HttpRequest, permission: Permission) -> list[Project]:
    """The projects that may be seen in which this person holds the permission."""
    user: Any = request.user
    return [project for project in projects_seen(request) if Principal(user, project).may(permission).allowed]


@admin.register(User)
class UserAdmin(SeenAdmin):
    shown = (
        "email",
        "name",
        "kind",
        "responsible",
        "is_active",
        "is_staff",
        "is_superuser",
        "last_login",
        "created_at",
    )
    list_display = ("email", "name", "kind", "responsible", "is_active", "is_staff", "is_superuser")
    list_filter = ("kind", "is_active", "is_staff", "is_superuser")
    list_select_related = ("responsible",)
    search_fields = ("email", "name")
    date_hierarchy = "created_at"
    add_form = NewUserForm
    verbs = (Verb("password", "Set password", SetPasswordForm),)
    subject_kind = "person"

    def narrowed(self, request: HttpRequest, rows: QuerySet[User]) -> QuerySet[User]:
        """Oneself, the members of one's projects, and the accounts behind their keys."""
        projects = projects_seen(request).order_by().values("pk")
        members = Membership.objects.filter(project__in=projects).values("user")
        accounts = ApiKey.objects.filter(project__in=projects).values("service_account")
        return rows.filter(Q(pk=request.user.pk) | Q(pk__in=members) | Q(pk__in=accounts))


class MembersAdmin(SeenAdmin):
    """Rows about one member each: seen by who manages the project's members, and by the member."""

    def narrowed(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        managed = projects_where(request, Permission.ADMINISTER)
        return super().narrowed(request, rows).filter(Q(project__in=managed) | Q(user=request.user.pk))

    def may_add(self, request: HttpRequest) -> bool:
        return bool(projects_where(request, Permission.ADMINISTER))


@admin.register(Membership)
class MembershipAdmin(MembersAdmin, RememberedAdmin):
    shown = ("project", "user", "roles", "created_at")
    list_display = ("user", "project", "roles", "created_at")
    list_select_related = ("project", "user")
    search_fields = ("user__email", "user__name")
    add_form = NewMemberForm
    verbs = (Verb("roles", "Set roles", SetRolesForm), Verb("remove", "Remove member", RemoveMemberForm))
    subject_kind = "person"

    def subject_id(self, row: Membership) -> int:
        return row.user_id


@admin.register(RoleGroup)
class RoleGroupAdmin(SeenAdmin):
    shown = ("project", "role", "rights")
    list_display = ("__str__", "project", "role")
    list_filter = (ProjectFilter, "role")
    list_select_related = ("project",)
    search_fields = ("role",)

    @shown_as("Rights")
    def rights(self, row: RoleGroup) -> str:
        held = row.project.projectgrouppermission_set.filter(group=row.group_id)
        return ", ".join(held.order_by("permission__codename").values_list("permission__codename", flat=True))


@admin.register(ApiKey)
class ApiKeyAdmin(SeenAdmin):
    shown = (
        "project",
        "name",
        "public_id",
        "scopes",
        "channels",
        "prompts",
        "rate_fetch",
        "service_account",
        "created_by",
        "created_at",
        "expires_at",
        "revoked_at",
    )
    list_display = ("name", "public_id", "project", "scopes", "created_by", "created_at", "expires_at", "revoked_at")
    list_filter = (ProjectFilter, ("revoked_at", admin.EmptyFieldListFilter))
    list_select_related = ("project", "created_by")
    search_fields = ("name", "public_id")
    date_hierarchy = "created_at"
    add_form = NewKeyForm
    verbs = (Verb("revoke", "Revoke", RevokeKeyForm),)
    subject_kind = "key"

    def narrowed(self, request: HttpRequest, rows: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        """Keys are listed for those who manage them."""
        return rows.filter(project__in=projects_where(request, Permission.ADMINISTER))

    def may_add(self, request: HttpRequest) -> bool:
        return bool(projects_where(request, Permission.ADMINISTER))

    def done(self, request: HttpRequest, form: VerbForm, done: Done) -> HttpResponse:
        """The page of the key; of a new one, first the page that shows its text, this once."""
        if not isinstance(form, NewKeyForm):
            return super().done(request, form, done)
        self.log_addition(request, form.made.key, form.title)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "The key was made",
            "text": form.made.text,
            "key": form.made.key,
            "page": page_of(form.made.key),
        }
        return TemplateResponse(request, "admin/key_made.html", context)


@admin.register(BreakGlassGrant)
class BreakGlassGrantAdmin(MembersAdmin):
    shown = ("project", "user", "granted_by", "at", "expires_at")
    list_display = ("user", "project", "granted_by", "at", "expires_at")
    list_select_related = ("project", "user", "granted_by")
    search_fields = ("user__email", "user__name")
    date_hierarchy = "at"
    add_form = NewGrantForm
