"""Reviews: what one person decided about one promotion, having seen one diff."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from accounts.models import User
from prompts.models.promotions import Promotion


class Review(models.Model):
    """One person's decision. Append-only; comments never count, of the others each person's newest does."""

    class Decision(models.TextChoices):
        APPROVE = "approve"
        REQUEST_CHANGES = "request_changes"
        COMMENT = "comment"

    promotion = models.ForeignKey(Promotion, on_delete=models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="reviews")
    decision = models.CharField(max_length=16, choices=Decision)
    body = models.TextField(blank=True, default="")
    diff_digest = models.BinaryField(max_length=32, help_text="Of the diff that the reviewer saw.")
    acknowledged = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(decision__in=["approve", "request_changes", "comment"]), name="review_decision_known"
            )
        ]
        indexes = [models.Index(fields=["promotion", "reviewer", "-id"], name="review_newest")]

    def __str__(self) -> str:
        return f"{self.reviewer}: {self.decision}"


class ReviewDismissal(models.Model):
    """A release manager's word that a review no longer counts."""

    review = models.OneToOneField(Review, on_delete=models.PROTECT, related_name="dismissal")
    dismissed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()
    at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"{self.review} dismissed"
