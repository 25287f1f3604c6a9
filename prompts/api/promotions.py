"""Promotions by REST: opened, reviewed, and applied or closed."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.admission import idempotent
from accounts.api.door import DoorView
from accounts.roles import Permission, Scope
from accounts.sign_in import TWELVE_HOURS, require_recent_sign_in
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.ids import decode
from promptforge.lib.instants import parse_instant
from promptforge.lib.pagination import PARAMETERS as PAGE_PARAMETERS
from promptforge.lib.pagination import page
from promptforge.lib.rest import Choice, StrictSerializer, Text, Whole, refuse_unknown_parameters
from promptforge.lib.verdicts import require
from prompts.actions.lengths import LONGEST_NOTE, LONGEST_REASON, LONGEST_TITLE
from prompts.actions.promotions import apply_promotion, open_promotion, reject, renew, withdraw
from prompts.actions.reviews import dismiss_review, review
from prompts.actions.schedules import schedule, unschedule
from prompts.api.schemas import PROBLEM, PromotionShape, ReviewShape, page_of
from prompts.checks import STATUSES, with_status
from prompts.models import Promotion, Prompt, Review
from prompts.reading import find_channel, find_promotion, find_prompt, find_version
from prompts.shapes import promotion_shape, review_shape
from prompts.standing import standing, standings

_STATES = [state.lower() for state in Promotion.State.values]


class NewPromotion(StrictSerializer):
    shown_only = ("id", "status", "base_version", "base_revision", "opened_by", "opened_at", "diff_digest", "checks")
    prompt = Text()
    version = Whole(min_value=1, max_value=2_147_483_647)
    channel = Text(default="stable")
    title = Text(default="", max_length=LONGEST_TITLE)
    note = Text(default="", max_length=LONGEST_NOTE)


class NewReview(StrictSerializer):
    shown_only = ("id", "reviewer", "counts", "why_not", "at")
    decision = Choice(Review.Decision.values)
    body = Text(default="", max_length=LONGEST_NOTE)
    diff_digest = Text(default=None, allow_null=True)
    acknowledged = serializers.ListField(child=Text(), default=list, max_length=10)


class Reason(StrictSerializer):
    reason = Text(default="", max_length=LONGEST_REASON)


class Application(StrictSerializer):
    mode = Choice(["now", "canary", "shadow"], default="now")
    plan = serializers.JSONField(default=None, allow_null=True)
    at = Text(default=None, allow_null=True)


class PromotionDoor(DoorView):
    """A door about one promotion."""

    def promotion(self, promotion_id: str) -> Promotion:
        return find_promotion(self.principal, promotion_id)

    def require_sign_in(self, request: Request) -> None:
        if self.principal.key is None:
            require_recent_sign_in(request._request, TWELVE_HOURS)  # noqa: SLF001  the session is the plain request's

    def answer(self, promotion: Promotion, status_code: int = status.HTTP_200_OK) -> Response:
        return Response(promotion_shape(standing(promotion)), status=status_code)


class PromotionsView(PromotionDoor):
    @extend_schema(
        operation_id="list_promotions",
        parameters=[
            OpenApiParameter("prompt", str),
            OpenApiParameter("channel", str),
            OpenApiParameter("status", str, enum=STATUSES),
            OpenApiParameter("state", str, enum=_STATES),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor", str),
        ],
        responses={200: page_of(PromotionShape), **PROBLEM},
    )
    def get(self, request: Request) -> Response:
        """Promotions, newest first."""
        require(self.principal.may_somewhere(Permission.READ))
        refuse_unknown_parameters(request, ("prompt", "channel", "status", "state", *PAGE_PARAMETERS))
        given = request.query_params
        promotions = Promotion.objects.filter(prompt__in=Prompt.objects.visible_to(self.principal))
        if (name := given.get("prompt")) is not None:
            promotions = promotions.filter(prompt=find_prompt(self.principal, name))
        if (channel := given.get("channel")) is not None:
            promotions = promotions.filter(channel=find_channel(self.principal, channel))
        if (state := _one_of(_STATES, "state", given.get("state"))) is not None:
            promotions = promotions.filter(state=state.upper())
        if (wanted := _one_of(STATUSES, "status", given.get("status"))) is not None:
            promotions = with_status(promotions, wanted)
        answer = page(request, promotions, key="-id", shape=lambda promotion: promotion)
        return Response(answer | {"data": [promotion_shape(each) for each in standings(answer["data"])]})

    @extend_schema(operation_id="open_promotion", request=NewPromotion, responses={201: PromotionShape, **PROBLEM})
    @idempotent
    def post(self, request: Request) -> Response:
        """Ask that a version becomes a channel's head."""
        require(self.principal.may_somewhere(Permission.EDIT, Scope.PROMOTIONS_WRITE))
        asked = NewPromotion.read(request)
        prompt = find_prompt(self.principal, asked["prompt"], Permission.EDIT, Scope.PROMOTIONS_WRITE)
        promotion = open_promotion(
            by=self.principal,
            prompt=prompt,
            channel=find_channel(self.principal, asked["channel"]),
            version=find_version(prompt, asked["version"]),
            title=asked["title"],
            note=asked["note"],
        )
        return self.answer(promotion, status.HTTP_201_CREATED)


class PromotionView(PromotionDoor):
    @extend_schema(operation_id="get_promotion", responses={200: PromotionShape, **PROBLEM})
    def get(self, request: Request, promotion_id: str) -> Response:
        require(self.principal.may_somewhere(Permission.READ))
        refuse_unknown_parameters(request, ())
        return self.answer(self.promotion(promotion_id))


class ReviewsView(PromotionDoor):
    @extend_schema(operation_id="review_promotion", request=NewReview, responses={201: ReviewShape, **PROBLEM})
    @idempotent
    def post(self, request: Request, promotion_id: str) -> Response:
        """Approve, ask for changes, or comment, having seen the diff that `diff_digest` names."""
        require(self.principal.may_somewhere(Permission.REVIEW if self.principal.key else Permission.READ))
        self.require_sign_in(request)
        asked = NewReview.read(request)
        given = review(by=self.principal, promotion=self.promotion(promotion_id), **asked)
        return Response(_review_shape(given), status=status.HTTP_201_CREATED)


class DismissView(PromotionDoor):
    @extend_schema(operation_id="dismiss_review", request=Reason, responses={200: ReviewShape, **PROBLEM})
    def post(self, request: Request, promotion_id: str, review_id: str) -> Response:
        """Say that a review counts no longer."""
        require(self.principal.may_somewhere(Permission.REVIEW if self.principal.key else Permission.RELEASE))
        self.require_sign_in(request)
        reason = Reason.read(request)["reason"]
        promotion = self.promotion(promotion_id)
        given = promotion.reviews.filter(pk=decode("rev", review_id, "not_found")).first()
        if given is None:
            raise DomainError("not_found", "There is no such review within reach.")
        return Response(_review_shape(dismiss_review(by=self.principal, review=given, reason=reason)))


class ApplyView(PromotionDoor):
    @extend_schema(operation_id="apply_promotion", request=Application, responses={200: PromotionShape, **PROBLEM})
    @idempotent
    def post(self, request: Request, promotion_id: str) -> Response:
        """Make the version live now, or at an instant."""
        require(self.principal.may_somewhere(Permission.RELEASE))
        self.require_sign_in(request)
        asked = Application.read(request)
        promotion, at = self.promotion(promotion_id), asked["at"]
        if asked["mode"] != "now" or asked["plan"] is not None:
            raise DomainError("kind_not_available", "Releases in steps are not available yet; the mode is now.")
        if at is None:
            apply_promotion(by=self.principal, promotion=promotion)
        else:
            schedule(by=self.principal, promotion=promotion, apply_at=parse_instant(at, "at"))
        return self.answer(promotion)


class UnscheduleView(PromotionDoor):
    @extend_schema(operation_id="unschedule_promotion", request=None, responses={200: PromotionShape, **PROBLEM})
    def post(self, request: Request, promotion_id: str) -> Response:
        """Call off what was scheduled."""
        require(self.principal.may_somewhere(Permission.RELEASE))
        refuse_unknown_parameters(request, ())
        return self.answer(unschedule(by=self.principal, promotion=self.promotion(promotion_id)))


class WithdrawView(PromotionDoor):
    @extend_schema(operation_id="withdraw_promotion", request=None, responses={200: PromotionShape, **PROBLEM})
    def post(self, request: Request, promotion_id: str) -> Response:
        """Take it back."""
        require(self.principal.may_somewhere(Permission.EDIT, Scope.PROMOTIONS_WRITE))
        refuse_unknown_parameters(request, ())
        return self.answer(withdraw(by=self.principal, promotion=self.promotion(promotion_id)))


class RejectView(PromotionDoor):
    @extend_schema(operation_id="reject_promotion", request=Reason, responses={200: PromotionShape, **PROBLEM})
    def post(self, request: Request, promotion_id: str) -> Response:
        """Close it with a no."""
        require(self.principal.may_somewhere(Permission.REVIEW))
        self.require_sign_in(request)
        reason = Reason.read(request)["reason"]
        return self.answer(reject(by=self.principal, promotion=self.promotion(promotion_id), reason=reason))


class RenewView(PromotionDoor):
    @extend_schema(operation_id="renew_promotion", request=None, responses={201: PromotionShape, **PROBLEM})
    @idempotent
    def post(self, request: Request, promotion_id: str) -> Response:
        """Open the successor of a stale or expired promotion on what stands now."""
        require(self.principal.may_somewhere(Permission.EDIT, Scope.PROMOTIONS_WRITE))
        refuse_unknown_parameters(request, ())
        successor = renew(by=self.principal, promotion=self.promotion(promotion_id))
        return self.answer(successor, status.HTTP_201_CREATED)


def _review_shape(given: Review) -> dict[str, Any]:
    [cast] = [cast for cast in standing(given.promotion).casts if cast.review.pk == given.pk]
    return review_shape(cast)


def _one_of(known: Any, name: str, text: str | None) -> str | None:
    if text is not None and text not in known:
        raise DomainError("bad_value", f"{shorten(text)} is no {name} of a promotion. Known: {', '.join(known)}.")
    return text
