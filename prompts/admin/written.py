"""Prompts, their versions and drafts: a version is saved by the verb on its prompt's page."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts.admin import projects_where
from accounts.roles import Permission
from events.admin.seen import ProjectFilter, RememberedAdmin, RowsInline, Tool, Verb, list_of, shown_as
from prompts.admin.rows import PromptRowsAdmin, as_json, visible_prompts, written
from prompts.forms import NewPromptForm, RightsForm, SaveVersionForm
from prompts.models import Draft, Head, Prompt, PromptGroupPermission, PromptUserPermission, PromptVersion
from prompts.models.prompts import PromptType
from prompts.promotion_forms import OpenPromotionForm
from prompts.shapes import digest_text


class HeadsInline(RowsInline):
    model = Head
    fields = ("channel", "version", "revision")
    verbose_name_plural = "Where its channels stand: each is promoted and rolled back on its page"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Head]:
        heads = super().get_queryset(request).select_related("prompt", "channel", "version__prompt")
        return heads.order_by("channel__position")


@admin.register(Prompt)
class PromptAdmin(RememberedAdmin):
    shown = ("project", "name", "type", "description", "tags", "rights", "created_at", "archived_at")
    list_display = ("name", "project", "type", "newest", "tags", "created_at", "archived_at")
    list_filter = (ProjectFilter, "type", ("archived_at", admin.EmptyFieldListFilter))
    list_select_related = ("project",)
    search_fields = ("name", "description")
    date_hierarchy = "created_at"
    ordering = ("name",)
    inlines = (HeadsInline,)
    add_form = NewPromptForm
    verbs = (Verb("save", "New version", SaveVersionForm), Verb("rights", "Set rights", RightsForm))
    subject_kind = "prompt"

    def narrowed(self, request: HttpRequest, rows: QuerySet[Prompt]) -> QuerySet[Prompt]:
        return rows.filter(pk__in=visible_prompts(request).values("pk"))

    def may_add(self, request: HttpRequest) -> bool:
        return bool(projects_where(request, Permission.EDIT))

    def tools(self, request: HttpRequest, row: Prompt) -> list[Tool]:
        lists = (
            ("Versions", "prompts_promptversion"),
            ("Promotions", "prompts_promotion"),
            ("Releases", "prompts_release"),
        )
        links = [Tool(label, list_of(name, prompt__id__exact=row.pk)) for label, name in lists]
        return [*super().tools(request, row), *links]

    @shown_as("Newest version", "next_number")
    def newest(self, prompt: Prompt) -> int | None:
        return prompt.next_number - 1 or None

    @shown_as("Rights on this prompt alone")
    def rights(self, prompt: Prompt) -> SafeString | None:
        people = PromptUserPermission.objects.filter(content_object=prompt).select_related("user", "permission")
        groups = PromptGroupPermission.objects.filter(content_object=prompt).select_related("group", "permission")
        held: list[tuple[Any, str]] = [(grant.user, grant.permission.codename) for grant in people]
        held += [(grant.group, grant.permission.codename) for grant in groups]
        return format_html_join(", ", "{}: {}", held) or None


@admin.register(PromptVersion)
class PromptVersionAdmin(PromptRowsAdmin):
    shown = (
        "prompt",
        "number",
        "type",
        "message",
        "text",
        "typed",
        "settings",
        "declarations",
        "includes",
        "author",
        "contributor",
        "created_at",
        "recorded_at",
        "fingerprint",
    )
    list_display = ("__str__", "message", "author", "created_at", "start")
    list_filter = (ProjectFilter, "type")
    list_select_related = ("prompt", "author")
    search_fields = ("prompt__name", "message")
    date_hierarchy = "created_at"
    subject_kind = "version"
    verbs = (Verb("promotion", "Open a promotion", OpenPromotionForm),)
    deferred = ("content", "source", "config", "variables")

    @shown_as("Content, as it is served")
    def text(self, version: PromptVersion) -> SafeString:
        return _readable(version.type, version.served_content)

    @shown_as("Source, as it was typed")
    def typed(self, version: PromptVersion) -> SafeString | str:
        same = version.source == version.content
        return "The same." if same else _readable(version.type, version.typed_source)

    @shown_as("Config")
    def settings(self, version: PromptVersion) -> SafeString:
        return as_json(version.config_object)

    @shown_as("Variables")
    def declarations(self, version: PromptVersion) -> SafeString:
        return as_json(version.variable_list)

    @shown_as("Digest")
    def start(self, version: PromptVersion) -> str:
        return digest_text(version.digest)[:15] + "…"

    @shown_as("Digest")
    def fingerprint(self, version: PromptVersion) -> str:
        return digest_text(version.digest)


@admin.register(Draft)
class DraftAdmin(PromptRowsAdmin):
    shown = ("prompt", "user", "base_version", "text", "config", "variables", "message", "updated_at")
    list_display = ("prompt", "user", "base_version", "updated_at")
    list_select_related = ("prompt", "user", "base_version__prompt")
    search_fields = ("prompt__name",)
    deferred = ("source", "config", "variables")

    def narrowed(self, request: HttpRequest, rows: QuerySet[Draft]) -> QuerySet[Draft]:
        """A draft is its writer's own until it is saved as a version."""
        return super().narrowed(request, rows).filter(user=request.user.pk)

    @shown_as("Source")
    def text(self, draft: Draft) -> SafeString:
        return written(draft.source)


def _readable(kind: str, content: Any) -> SafeString:
    """A text as it is; a chat as a text per message, its role before it."""
    if kind == PromptType.TEXT:
        return written(content)
    parts = (
        (message.get("role", "placeholder"), written(message.get("content", message.get("placeholder", ""))))
        for message in content
    )
    return format_html_join("\n", "<strong>{}</strong>{}", parts)
