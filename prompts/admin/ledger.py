"""The ledger in the admin: releases are read, and a channel is moved from the page of its head."""

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.urls import reverse

from events.admin.seen import ProjectFilter, Tool, Verb, list_of, shown_as
from prompts.admin.rows import PromptRowsAdmin
from prompts.forms import BreakGlassForm, PromoteForm, RollBackForm
from prompts.models import Head, Ratification, Release
from prompts.models.releases import ReleaseKind
from prompts.promotion_forms import OpenPromotionForm, RatifyForm
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
        "ratified",
    )
    list_display = ("prompt", "channel", "revision", "kind", "number", "at", "actor", "reason")
    list_display_links = ("prompt", "revision")
    list_filter = (ProjectFilter, "kind")
    list_select_related = ("prompt", "channel", "version", "actor")
    search_fields = ("prompt__name", "channel__name", "reason")
    date_hierarchy = "at"
    subject_kind = "release"
    verbs = (Verb("ratify", "Ratify", RatifyForm),)

    def verbs_for(self, request: HttpRequest, row: Release) -> tuple[Verb, ...]:
        waits = row.kind == ReleaseKind.BREAK_GLASS and not hasattr(row, "ratification")
        return self.verbs if waits and row.actor_id != request.user.pk else ()

    @shown_as("Ratified by")
    def ratified(self, release: Release) -> str | None:
        if hasattr(release, "ratification"):
            return f"{release.ratification.ratified_by}, {release.ratification.at:%Y-%m-%d %H:%M} UTC"
        return "Nobody yet" if release.kind == ReleaseKind.BREAK_GLASS else None

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

    def verbs_for(self, request: HttpRequest, row: Head) -> list[Verb]:
        """A protected channel takes no direct release: a promotion is opened instead."""
        protected = row.channel.policy is None or row.channel.policy.protects
        return [verb for verb in self.verbs if verb.word != "promote" or not protected]

    def tools(self, request: HttpRequest, row: Head) -> list[Tool]:
        of_this = {"prompt__id__exact": row.prompt_id, "channel__id__exact": row.channel_id}
        newest = row.prompt.versions.order_by("-number").first()
        opening = []
        if (
            newest is not None
            and newest.pk != row.version_id
            and OpenPromotionForm.verdict(request.user, newest).allowed
        ):
            page = reverse("admin:prompts_promptversion_promotion", args=[quote(newest.pk)])
            opening = [Tool(f"Open a promotion of version {newest.number}", page)]
        lists = (("Promotions", "prompts_promotion"), ("Ledger", "prompts_release"))
        return [
            *opening,
            *super().tools(request, row),
            *(Tool(label, list_of(name, **of_this)) for label, name in lists),
        ]


@admin.register(Ratification)
class RatificationAdmin(PromptRowsAdmin):
    prompt_lookup = "release__prompt"
    project_lookup = "release__prompt__project"
    shown = ("release", "ratified_by", "note", "at")
    list_display = ("release", "ratified_by", "note", "at")
    list_select_related = ("release__prompt", "release__channel", "ratified_by")
    search_fields = ("release__prompt__name", "note")
    date_hierarchy = "at"
