"""Whom an event about a promotion is mailed to."""

import json

from django.db.models import BooleanField, F, Func, Value

from accounts.models import Membership
from accounts.roles import Permission
from events.models import Event
from prompts.actions.reviews import contributors
from prompts.models import Promotion, Review


def may_review(event: Event) -> set[int]:
    """Of a promotion: the members who may review its prompt, but for those who wrote or opened what it would bring."""
    promotion = Promotion.objects.get(pk=event.subject_id)
    holds = Func(
        F("user_id"),
        Value(Permission.REVIEW.value),
        F("project_id"),
        Value(promotion.prompt_id),
        function="public.promptforge_holds",
        output_field=BooleanField(),
    )
    members = Membership.objects.filter(project=event.project_id).alias(may=holds).filter(may=True)
    return set(members.values_list("user_id", flat=True)) - contributors(promotion)


def opener(event: Event) -> set[int]:
    """Of a promotion: the person who opened it."""
    return {Promotion.objects.get(pk=event.subject_id).opener_id} - {event.actor_id}


def opener_who_is_asked(event: Event) -> set[int]:
    """Of a review that asks for changes: the person who opened the promotion; of any other nobody."""
    if json.loads(event.data).get("decision") != Review.Decision.REQUEST_CHANGES:
        return set()
    return {Review.objects.select_related("promotion").get(pk=event.subject_id).promotion.opener_id} - {event.actor_id}


def scheduler(event: Event) -> set[int]:
    """Of a schedule that came to nothing: whoever had set it, in whose name it would have been applied."""
    return {event.actor_id}
