"""What the verbs about promotions say when they have done something."""

from accounts.models import User
from events.actions import record
from events.kinds import EventKind
from prompts.models import Promotion, Schedule


def tell(kind: EventKind, promotion: Promotion, actor: tuple[str, int], **data: object) -> None:
    """Record what happened to a promotion, with what it is about."""
    record(
        kind,
        project_id=promotion.prompt.project_id,
        actor=actor,
        subject=("promotion", promotion.pk),
        prompt=promotion.prompt.name,
        channel=promotion.channel.name,
        version=promotion.version.number,
        **data,
    )


def call_off(schedule: Schedule, kind: EventKind, by: User, reason: str, **data: object) -> None:
    """End a standing schedule by a row of its own; the promotion stays open."""
    Schedule.objects.create(promotion=schedule.promotion, apply_at=None, actor=by, reason=reason)
    tell(kind, schedule.promotion, (by.kind, by.pk), **data)
