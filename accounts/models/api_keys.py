"""API keys: a recognisable text that services send, of which only a keyed hash is stored."""

from datetime import datetime
from fnmatch import fnmatchcase
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from accounts.models.projects import Project
from accounts.models.users import User
from accounts.roles import Scope


class ApiKey(models.Model):
    """One key of one project's service account, narrowed to scopes, channels and prompt name patterns."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    service_account = models.ForeignKey(User, on_delete=models.PROTECT, related_name="api_keys")
    name = models.CharField(max_length=100)
    public_id = models.CharField(max_length=10, unique=True, help_text="The part of the key that may be shown.")
    hash_key_id = models.CharField(max_length=32, help_text="Which secret of the key ring hashed it.")
    secret_hash = models.BinaryField(max_length=32)
    scopes = ArrayField(models.CharField(max_length=32, choices=Scope))
    channels = ArrayField(
        models.CharField(max_length=63), default=list, blank=True, help_text="What it may select; none means all."
    )
    prompts = ArrayField(
        models.CharField(max_length=200),
        default=list,
        blank=True,
        help_text="Name patterns such as support/*; none means all.",
    )
    rate_fetch = models.PositiveIntegerField(
        null=True, blank=True, help_text="Fetches per second; none means the default."
    )
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(scopes__contained_by=Scope.values) & ~models.Q(scopes=[]),
                name="api_key_scopes_known",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.public_id})"

    def has_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def reaches_prompt(self, name: str) -> bool:
        """Whether a prompt of this name lies within the key's patterns; `*` matches any run of characters, also `/`."""
        return not self.prompts or any(fnmatchcase(name, pattern) for pattern in self.prompts)

    def reaches_selector(self, selector: str) -> bool:
        """Whether the key may select this: a channel's name, `latest`, or `pinned` for a number."""
        return not self.channels or selector in self.channels
