"""Promotions with their reviews, checks and schedules: read here, decided where they are shown whole."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from events.admin.seen import ProjectFilter, RowsInline, shown_as
from prompts.admin.rows import PromptRowsAdmin
from prompts.models import Check, Promotion, Review, ReviewDismissal, Schedule
from prompts.shapes import digest_text


class ReviewsInline(RowsInline):
    model = Review
    fields = ("reviewer", "decision", "body", "at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Review]:
        return super().get_queryset(request).select_related("reviewer")


class ChecksInline(RowsInline):
    model = Check
    fields = ("name", "conclusion", "summary", "at")


@admin.register(Promotion)
class PromotionAdmin(PromptRowsAdmin):
    shown = (
        "prompt",
        "channel",
        "version",
        "state",
        "title",
        "note",
        "base_version",
        "base_revision",
        "policy",
        "fingerprint",
        "opened_by",
        "opener",
        "opened_at",
        "closed_by",
        "closed_at",
        "close_reason",
        "successor",
    )
    list_display = ("version", "channel", "state", "title", "opened_by", "opened_at", "closed_by", "closed_at")
    list_filter = (ProjectFilter, "state")
    list_select_related = ("prompt", "version__prompt", "channel", "opened_by", "closed_by")
    search_fields = ("prompt__name", "title")
    date_hierarchy = "opened_at"
    inlines = (ReviewsInline, ChecksInline)

    @shown_as("Digest of the diff")
    def fingerprint(self, promotion: Promotion) -> str:
        return digest_text(promotion.diff_digest)


class OfPromotionAdmin(PromptRowsAdmin):
    prompt_lookup = "promotion__prompt"
    project_lookup = "promotion__prompt__project"
    search_fields = ("promotion__prompt__name", "promotion__title")
    date_hierarchy = "at"


@admin.register(Review)
class ReviewAdmin(OfPromotionAdmin):
    shown = ("promotion", "reviewer", "decision", "body", "acknowledged", "fingerprint", "at")
    list_display = ("promotion", "reviewer", "decision", "body", "at")
    list_filter = (ProjectFilter, "decision")
    list_select_related = ("promotion__version__prompt", "promotion__channel", "reviewer")

    @shown_as("Digest of the diff seen")
    def fingerprint(self, review: Review) -> str:
        return digest_text(review.diff_digest)


@admin.register(ReviewDismissal)
class ReviewDismissalAdmin(PromptRowsAdmin):
    prompt_lookup = "review__promotion__prompt"
    project_lookup = "review__promotion__prompt__project"
    shown = ("review", "dismissed_by", "reason", "at")
    list_display = ("review", "dismissed_by", "reason", "at")
    list_select_related = ("review__reviewer", "dismissed_by")
    search_fields = ("review__promotion__prompt__name", "reason")
    date_hierarchy = "at"


@admin.register(Check)
class CheckAdmin(OfPromotionAdmin):
    shown = (
        "promotion",
        "name",
        "conclusion",
        "summary",
        "version",
        "base_version",
        "policy",
        "evidence_table",
        "evidence_id",
        "fingerprint",
        "at",
    )
    list_display = ("promotion", "name", "conclusion", "summary", "at")
    list_filter = (ProjectFilter, "name", "conclusion")
    list_select_related = ("promotion__version__prompt", "promotion__channel")

    @shown_as("Digest of the evidence")
    def fingerprint(self, check: Check) -> str | None:
        return digest_text(check.evidence_digest) if check.evidence_digest else None


@admin.register(Schedule)
class ScheduleAdmin(OfPromotionAdmin):
    shown = ("promotion", "apply_at", "actor", "reason", "at")
    list_display = ("promotion", "apply_at", "actor", "reason", "at")
    list_select_related = ("promotion__version__prompt", "promotion__channel", "actor")
