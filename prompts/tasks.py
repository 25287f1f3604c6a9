"""What runs on a schedule. Each task may run twice, and finds its work in rows."""

from celery import shared_task

from prompts import verification


@shared_task  # type: ignore[untyped-decorator]
def write_checkpoint() -> None:
    verification.write_checkpoint()
