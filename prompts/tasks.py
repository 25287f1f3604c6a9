"""What runs on a schedule. Each task may run twice, and finds its work in rows."""

from celery import shared_task

from events.fence import is_fenced
from prompts import verification
from prompts.actions import schedules


@shared_task  # type: ignore[untyped-decorator]
def write_checkpoint() -> None:
    """Note every chain's place, unless a restore waits: until it is confirmed, its past is not vouched for."""
    if not is_fenced():
        verification.write_checkpoint()


@shared_task  # type: ignore[untyped-decorator]
def apply_what_is_due() -> None:
    """Apply the promotions whose scheduled time has come."""
    schedules.apply_what_is_due()
