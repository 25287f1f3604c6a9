"""Projects and their channels, with what the channels demand. Policies and freezes are read here."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.models import Project
from events.admin.seen import ProjectFilter, RowsInline, SeenAdmin, Tool, Verb, list_of
from prompts.forms import NewChannelForm, NewProjectForm
from prompts.models import Channel, ChannelPolicy, FreezeWindow, PolicyChange

DEMANDS = (
    "required_approvals",
    "required_checks",
    "review_groups",
    "approval_ttl_days",
    "evidence_ttl_days",
    "rollout_plan",
    "rollback_roles",
)


class ChannelsInline(RowsInline):
    model = Channel
    fields = ("name", "position", "policy")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        return super().get_queryset(request).select_related("policy__channel").order_by("position")


@admin.register(Project)
class ProjectAdmin(SeenAdmin):
    project_lookup = "pk"
    shown = ("name", "importing", "created_at")
    list_display = ("name", "importing", "created_at")
    list_filter = ()
    search_fields = ("name",)
    ordering = ("name",)
    inlines = (ChannelsInline,)
    add_form = NewProjectForm
    verbs = (Verb("channel", "Add channel", NewChannelForm),)
    subject_kind = "project"

    def tools(self, request: HttpRequest, row: Project) -> list[Tool]:
        lists = (("Prompts", "prompts_prompt"), ("Members", "accounts_membership"))
        links = [Tool(label, list_of(name, project=row.pk)) for label, name in lists]
        return [*super().tools(request, row), *links]


@admin.register(Channel)
class ChannelAdmin(SeenAdmin):
    shown = ("project", "name", "position", "policy", "created_at")
    list_display = ("name", "project", "position", "policy", "created_at")
    list_select_related = ("project", "policy__channel")
    search_fields = ("name",)
    ordering = ("project__name", "position")
    subject_kind = "channel"


class OfChannelAdmin(SeenAdmin):
    project_lookup = "channel__project"
    search_fields = ("channel__name",)


@admin.register(ChannelPolicy)
class ChannelPolicyAdmin(OfChannelAdmin):
    shown = ("channel", "revision", *DEMANDS, "author", "approved_by", "change", "at")
    list_display = ("__str__", "project", "required_approvals", "required_checks", "author", "approved_by", "at")
    list_select_related = ("channel__project", "author", "approved_by")
    date_hierarchy = "at"

    @admin.display(ordering="channel__project__name")
    def project(self, policy: ChannelPolicy) -> Project:
        return policy.channel.project


@admin.register(PolicyChange)
class PolicyChangeAdmin(OfChannelAdmin):
    shown = ("channel", "base", *DEMANDS, "author", "reason", "at")
    list_display = ("channel", "base", "required_approvals", "required_checks", "author", "reason", "at")
    list_select_related = ("channel", "base__channel", "author")
    date_hierarchy = "at"


@admin.register(FreezeWindow)
class FreezeWindowAdmin(OfChannelAdmin):
    shown = ("channel", "starts_at", "ends_at", "reason", "created_by", "created_at", "lifted_by", "lifted_at")
    list_display = ("channel", "starts_at", "ends_at", "reason", "created_by", "lifted_by", "lifted_at")
    list_filter = (ProjectFilter, ("lifted_at", admin.EmptyFieldListFilter))
    list_select_related = ("channel", "created_by", "lifted_by")
    date_hierarchy = "starts_at"
