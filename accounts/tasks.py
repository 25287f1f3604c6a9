"""What runs on a schedule. Each task may run twice, and finds its work in rows."""

from celery import shared_task

from accounts.admission import forget_answers
from accounts.reset_letters import send_letters
from accounts.sessions import SessionStore
from accounts.sign_in_limits import forget_failures


@shared_task  # type: ignore[untyped-decorator]
def forget_idempotent_answers() -> None:
    forget_answers()


@shared_task  # type: ignore[untyped-decorator]
def forget_sign_in_failures() -> None:
    forget_failures()


@shared_task  # type: ignore[untyped-decorator]
def forget_sessions() -> None:
    SessionStore.clear_expired()


@shared_task  # type: ignore[untyped-decorator]
def send_reset_letters() -> None:
    send_letters()
