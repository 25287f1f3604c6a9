"""Promotions with their reviews, checks and schedules: each is read whole on its page, and decided from there."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.policies import Principal
from accounts.roles import Permission
from events.admin.seen import ProjectFilter, Tool, Verb, page_of, shown_as
from prompts.admin.promotion_page import page, verbs_that_fit
from prompts.admin.rows import PromptRowsAdmin
from prompts.checks import STATUSES, lines, status, with_status
from prompts.models import Check, Promotion, Review, ReviewDismissal, Schedule
from prompts.promotion_forms import (
    ApplyForm,
    DismissForm,
    RejectForm,
    RenewForm,
    ReviewForm,
    ScheduleForm,
    UnscheduleForm,
    WithdrawForm,
)
from prompts.shapes import digest_text
from prompts.showing import changes
from prompts.standing import standing, standings


class StatusFilter(admin.SimpleListFilter):
    """Narrows a list of promotions to those that stand alike, which no column holds."""

    title = parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status, status.replace("_", " ")) for status in STATUSES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Promotion]) -> QuerySet[Promotion]:
        wanted = self.value()
        return with_status(queryset, wanted) if wanted in STATUSES else queryset


class StandingList(ChangeList):
    """A page of promotions with how each stands, read for all of them at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: Any = list(self.result_list)
        for promotion, now in zip(self.result_list, standings(self.result_list), strict=True):
            promotion.now = now


@admin.register(Promotion)
class PromotionAdmin(PromptRowsAdmin):
    shown = (
        "prompt",
        "channel",
        "version",
        "state",
        "title",
        "base_version",
        "base_revision",
        "policy",
        "fingerprint",
        "opened_by",
        "opener",
        "opened_at",
        "expires",
        "closed_by",
        "closed_at",
        "successor",
    )
    list_display = ("version", "channel", "status", "title", "opened_by", "opened_at")
    list_filter = (ProjectFilter, StatusFilter)
    list_select_related = ("prompt", "version__prompt", "channel", "opened_by")
    search_fields = ("prompt__name", "title")
    date_hierarchy = "opened_at"
    subject_kind = "promotion"
    verbs = (
        Verb("apply", "Apply now", ApplyForm),
        Verb("renew", "Renew", RenewForm),
        Verb("review", "Review", ReviewForm),
        Verb("schedule", "Schedule", ScheduleForm),
        Verb("unschedule", "Call off", UnscheduleForm),
        Verb("withdraw", "Withdraw", WithdrawForm),
        Verb("reject", "Reject", RejectForm),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return StandingList

    def verbs_for(self, request: HttpRequest, row: Promotion) -> list[Verb]:
        fitting = verbs_that_fit(row.now, lines(row.now))  # type: ignore[attr-defined]
        person: Any = request.user
        decides = Principal(person, row.prompt.project).may(Permission.REVIEW, row.prompt).allowed
        verbs = (
            verb if decides or verb.word != "review" else Verb("review", "Comment", ReviewForm) for verb in self.verbs
        )
        return [verb for verb in verbs if verb.word in fitting]

    def tools(self, request: HttpRequest, row: Promotion) -> list[Tool]:
        """Where to look further; what may be done to it stands beneath what is missing."""
        return [Tool("Version", page_of(row.version)), *self.elsewhere(row)]

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        row = kwargs["obj"]
        row.now = standing(row)
        context |= {"title": f"Promote version {row.version.number} to {row.channel}", "subtitle": row.prompt}
        context |= page(row.now, lines(row.now), request.user)
        context |= {"changes": changes(row.base_version_id, row.version_id), "verbs": self.offered(request, row)}
        return super().render_change_form(request, context, *args, **kwargs)

    @shown_as("Status")
    def status(self, promotion: Any) -> str:
        return status(promotion.now, lines(promotion.now)).replace("_", " ")

    @shown_as("Digest of the diff")
    def fingerprint(self, promotion: Promotion) -> str:
        return digest_text(promotion.diff_digest)

    @shown_as("Expires at")
    def expires(self, promotion: Any) -> datetime:
        moment: datetime = promotion.now.expires_at
        return moment


class OfPromotionAdmin(PromptRowsAdmin):
    prompt_lookup = "promotion__prompt"
    project_lookup = "promotion__prompt__project"
    search_fields = ("promotion__prompt__name", "promotion__title")
    date_hierarchy = "at"


@admin.register(Review)
class ReviewAdmin(OfPromotionAdmin):
    shown = ("promotion", "reviewer", "decision", "body", "acknowledged", "fingerprint", "at")
    list_display = ("promotion", "reviewer", "decision", "body", "at")
    verbs = (Verb("dismiss", "Dismiss", DismissForm),)
    subject_kind = "review"
    list_filter = (ProjectFilter, "decision")
    list_select_related = ("promotion__version__prompt", "promotion__channel", "reviewer")

    def verbs_for(self, request: HttpRequest, row: Review) -> tuple[Verb, ...]:
        decided = row.decision != Review.Decision.COMMENT and not hasattr(row, "dismissal")
        return self.verbs if decided and row.promotion.state == Promotion.State.OPEN else ()

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
