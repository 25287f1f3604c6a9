"""Files on their way into a set: kept between the preview that a person looks at and the saving."""

from django.db import models
from django.db.models.functions import Now

from accounts.models import User
from evaluations.models.sets import EvaluationSet


class StagedFile(models.Model):
    """One person's file for one set, until it is saved, thrown away, followed by another, or a day old."""

    set = models.ForeignKey(EvaluationSet, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=255)
    body = models.BinaryField()
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["set", "user"], name="staged_file_once")]

    def __str__(self) -> str:
        return self.name
