"""Prompts, their versions, and which version a label names."""

from django.db import models


class Prompt(models.Model):
    """A named prompt."""

    name = models.CharField(max_length=200, unique=True)

    def __str__(self) -> str:
        return self.name


class Version(models.Model):
    """One text of a prompt; `shown` is what an answer says of it."""

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE)
    number = models.PositiveIntegerField()
    shown = models.JSONField()

    def __str__(self) -> str:
        return f"{self.prompt}@{self.number}"


class Label(models.Model):
    """Which version is the one of this name."""

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE)
    version = models.ForeignKey(Version, on_delete=models.CASCADE)
    name = models.CharField(max_length=40)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["prompt", "name"], name="label_once")]

    def __str__(self) -> str:
        return f"{self.prompt} {self.name}"
