"""The ledger in the admin: releases are read, and a channel is moved from the page of its head."""

from django.contrib import admin
from django.http import HttpRequest

from events.admin.seen import ProjectFilter, Tool, Verb, list_of, shown_as
from prompts.admin.rows import PromptRowsAdmin
from prompts.forms import BreakGlassForm, PromoteForm, RollBackForm
from prompts.models import Head, Ratification, Release
from prompts.shapes import digest_text


@admin.register(Release)
class ReleaseAdmin(PromptRowsAdmin):
    shown = (
        "prompt",
        "channel",
        "revision",
        "kind",
        "version",
        "promotion",
        "actor",
        "reason",
        "at",
        "recorded_at",
        "canary_version",
        "canary_share",
        "salt",
        "previous",
        "fingerprint",
    )
    list_display = ("prompt", "channel", "revision", "kind", "number", "at", "actor", "reason")
    list_display_links = ("prompt", "revision")
    list_filter = (ProjectFilter, "kind")
    list_select_related = ("prompt", "channel", "version", "actor")
    search_fields = ("prompt__name", "channel__name", "reason")
    date_hierarchy = "at"
    subject_kind = "release"

    @shown_as("Version", "version__number")
    def number(self, release: Release) -> int:
        return release.version.number

    @shown_as("Digest of the row before")
    def previous(self, release: Release) -> str | None:
        return digest_text(release.previous_digest) if release.previous_digest else None

    @shown_as("Digest")
    def fingerprint(self, release: Release) -> str:
        return digest_text(release.digest)


@admin.register(Head)
class HeadAdmin(PromptRowsAdmin):
    shown = ("prompt", "channel", "version", "revision", "release")
    list_display = ("__str__", "version", "revision")
    list_select_related = ("prompt", "channel", "version__prompt")
    search_fields = ("prompt__name", "channel__name")
    ordering = ("prompt__name", "channel__position")
    verbs = (
        Verb("promote", "Promote", PromoteForm),
        Verb("rollback", "Roll back", RollBackForm),
        Verb("break-glass", "Break glass", BreakGlassForm),
    )

    def tools(self, request: HttpRequest, row: Head) -> list[Tool]:
        ledger = list_of("prompts_release", prompt__id__exact=row.prompt_id, channel__id__exact=row.channel_id)
        return [*super().tools(request, row), Tool("Ledger", ledger)]


@admin.register(Ratification)
class RatificationAdmin(PromptRowsAdmin):
    prompt_lookup = "release__prompt"
    project_lookup = "release__prompt__project"
    shown = ("release", "ratified_by", "note", "at")
    list_display = ("release", "ratified_by", "note", "at")
    list_select_related = ("release__prompt", "release__channel", "ratified_by")
    search_fields = ("release__prompt__name", "note")
    date_hierarchy = "at"
