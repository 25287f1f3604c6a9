"""Who is signed in where, and whom a letter for a new password is due to."""

from typing import Any

from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models.users import User

# The first that fits: most browsers name others before themselves.
_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


class Session(AbstractBaseSession):
    """One browser's session; while somebody is signed in there, also who, from where and when it was used last."""

    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE)
    device = models.CharField(max_length=200, blank=True, help_text="What the browser calls itself.")
    address = models.GenericIPAddressField(null=True)
    began_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(default=timezone.now)

    @classmethod
    def get_session_store_class(cls) -> Any:
        from accounts.sessions import SessionStore

        return SessionStore

    @property
    def browser(self) -> str:
        """Browser and system in two words, as far as the device says them."""
        browser = next((name for mark, name in _BROWSERS if mark in self.device), "Another program")
        system = next((name for mark, name in _SYSTEMS if mark in self.device), "")
        return f"{browser} on {system}" if system else browser


class ResetLetter(models.Model):
    """A person who asked for a letter to set a new password. The row goes when the letter has gone."""

    user = models.OneToOneField(User, primary_key=True, on_delete=models.CASCADE)
    asked_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.user_id} since {self.asked_at}"
