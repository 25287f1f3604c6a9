"""What carries events out. Each task may run twice, and finds its work in rows."""

from celery import shared_task

from events.mail import post
from events.relay import wake
from events.sending import pump


@shared_task  # type: ignore[untyped-decorator]
def send_webhooks() -> None:
    if pump():
        wake("events.tasks.send_webhooks")


@shared_task  # type: ignore[untyped-decorator]
def send_mail() -> None:
    post()
