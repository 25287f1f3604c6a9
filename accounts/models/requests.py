"""What is remembered of requests: the answers of idempotent ones, and how many writes a caller has left."""

from django.db import models
from django.db.models.functions import Now

from accounts.models.projects import Project
from accounts.models.users import User


class IdempotentAnswer(models.Model):
    """The answer to a request with an Idempotency-Key, written in the transaction of its effect."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    user = models.ForeignKey(User, on_delete=models.PROTECT)
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=400)
    key = models.CharField(max_length=255)
    request_digest = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField()
    body = models.TextField()
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "user", "method", "path", "key"], name="idempotent_answer_once")
        ]
        indexes = [models.Index(fields=["at"], name="idempotent_answer_age")]

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.key}"


class WriteBucket(models.Model):
    """The token bucket of one caller's writes: how many were left at a moment."""

    user = models.OneToOneField(User, primary_key=True, on_delete=models.CASCADE)
    tokens = models.FloatField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.user}: {self.tokens:.1f}"


class SignInFailures(models.Model):
    """The failed sign-ins of one account or one network, named by a keyed hash, and until when the next one waits."""

    digest = models.CharField(primary_key=True, max_length=64)
    failures = models.PositiveIntegerField(default=0)
    at = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.digest[:8]}: {self.failures}"
