"""People and service accounts: whoever acts is a User, so that one actor column is enough everywhere."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower, Now
from guardian.mixins import GuardianUserMixin


class UserManager(BaseUserManager["User"]):
    def addressed(self, email: str | None) -> "models.QuerySet[User]":
        """Whoever has this address: nobody, or one. PostgreSQL folds both sides, as for the constraint below."""
        return self.alias(folded=Lower("email")).filter(folded=Lower(models.Value(email)))

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.addressed(username).get()

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(GuardianUserMixin, AbstractBaseUser, PermissionsMixin):
    """A person, or the service account behind an API key with the person who is responsible for it.

    It has no history on purpose: frozen rows name people by id only, so that a person can be forgotten.
    """

    class Kind(models.TextChoices):
        PERSON = "person"
        SERVICE = "service"

    kind = models.CharField(max_length=16, choices=Kind, default=Kind.PERSON)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200, blank=True)
    responsible = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, help_text="The person behind a service account."
    )
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False, help_text="May open the Django admin.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_email_once"),
            models.CheckConstraint(
                condition=models.Q(kind="person", responsible=None)
                | models.Q(kind="service", responsible__isnull=False, is_staff=False, is_superuser=False),
                name="user_service_has_responsible",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.email
