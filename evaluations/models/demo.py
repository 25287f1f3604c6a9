"""How far the demo's evaluations have come."""

from django.db import models
from django.db.models.functions import Now

from accounts.models import Project


class DemoStory(models.Model):
    """A demo project whose evaluations are made once: each scene in one transaction with the count of scenes."""

    project = models.OneToOneField(Project, primary_key=True, on_delete=models.PROTECT, related_name="demo_story")
    scenes = models.PositiveSmallIntegerField(default=0, help_text="How many scenes have been played.")
    begun_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)
    why_not = models.TextField(blank=True, default="", help_text="Why it ended before its last scene.")

    def __str__(self) -> str:
        return f"{self.project}: {self.scenes} scenes"
