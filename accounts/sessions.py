"""Where sessions are stored: rows of `accounts.Session`, which know whose they are and when they were used last."""

from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts.models import Session, User

BEGAN = "began"
EXACT_TO = timedelta(minutes=1)


class SessionStore(DatabaseStore):
    """Django's store in the database. That a row is gone ends its session for every process at the next request."""

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def create_model_instance(self, data: Any) -> Any:
        row: Any = super().create_model_instance(data)
        row.user_id = data.get(SESSION_KEY)
        if began := data.get(BEGAN):
            row.began_at = datetime.fromisoformat(began["at"])
            row.device, row.address = began["device"], began["address"]
        return row

    def _get_session_from_db(self) -> Session | None:
        row: Session | None = super()._get_session_from_db()  # type: ignore[misc]  # the stubs leave it out
        if row is not None and row.user_id is not None and row.seen_at < timezone.now() - EXACT_TO:
            Session.objects.filter(pk=row.pk).update(seen_at=timezone.now())
        return row


def note_beginning(request: HttpRequest) -> None:
    """Remember in the session when and where it began; the row shows it."""
    request.session[BEGAN] = {
        "at": timezone.now().isoformat(),
        "device": request.headers.get("User-Agent", "")[:200].replace("\0", ""),
        "address": _address(request.META.get("REMOTE_ADDR", "")),
    }


def _address(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None  # a socket of this machine


def sessions_of(user: User) -> list[Session]:
    """The sessions in which this person is signed in now, the one that was used last first."""
    rows = Session.objects.filter(user=user, expire_date__gt=timezone.now()).order_by("-seen_at")
    valid = user.get_session_auth_hash()
    return [row for row in rows if constant_time_compare(row.get_decoded().get(HASH_SESSION_KEY, ""), valid)]


def public_id(session: Session) -> str:
    """What a page may call a session: its key alone would let in whoever reads the page."""
    return salted_hmac("promptforge.session", session.session_key, algorithm="sha256").hexdigest()[:20]
