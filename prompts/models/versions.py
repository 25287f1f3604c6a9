"""Versions: what was written, frozen from the moment it is saved; and drafts, the only text that may change."""

import json
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from accounts.models import User
from prompts.models.prompts import Prompt, PromptType


class PromptVersion(models.Model):
    """One immutable text (or chat) with its variables, config and pinned includes, numbered 1, 2, 3 … per prompt."""

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    type = models.CharField(max_length=4, choices=PromptType)
    content = models.TextField(help_text="What is served: includes expanded. A chat is canonical JSON.")
    source = models.TextField(help_text="What was typed. A chat is canonical JSON.")
    variables = models.TextField(
        default="[]", help_text="Canonical JSON: the declarations, in order of first occurrence."
    )
    config = models.TextField(default="{}", help_text="Canonical JSON, key order kept.")
    includes = ArrayField(models.BigIntegerField(), default=list, blank=True, help_text="Ids of the pinned versions.")
    message = models.TextField(blank=True, default="")
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    contributor = models.ForeignKey(
        User,
        on_delete=models.PROTECT,
        related_name="+",
        editable=False,
        help_text="The person behind the author; of imported history, behind the import. Set by the database.",
    )
    created_at = models.DateTimeField(help_text="When it was written; set by the database, but for imported history.")
    recorded_at = models.DateTimeField(db_default=Now(), editable=False)
    digest = models.BinaryField(
        max_length=32, editable=False, help_text="SHA-256 of what is served. Set by the database."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["prompt", "number"], name="version_number_once"),
            models.UniqueConstraint(fields=["prompt", "id"], name="version_of_prompt"),
        ]
        indexes = [models.Index(fields=["created_at"], name="version_newest")]

    def __str__(self) -> str:
        return f"{self.prompt.name}@{self.number}"

    @property
    def served_content(self) -> Any:
        """The content as it is served: a string, or the list of messages of a chat."""
        return json.loads(self.content) if self.type == PromptType.CHAT else self.content

    @property
    def typed_source(self) -> Any:
        return json.loads(self.source) if self.type == PromptType.CHAT else self.source

    @property
    def served_texts(self) -> list[tuple[int | None, str, str]]:
        """Every text that is served: the number of its message (a text has one), what it is called, and itself."""
        content = self.served_content
        parts = [{"content": content}] if isinstance(content, str) else content
        called = "the text" if isinstance(content, str) else "message {}"
        texts = [
            (n, called.format(n), part.get("content") or part.get("placeholder", "")) for n, part in enumerate(parts, 1)
        ]
        return [*texts, (None, "the variables", self.variables), (None, "the config", self.config)]

    @property
    def variable_list(self) -> list[dict[str, Any]]:
        declarations: list[dict[str, Any]] = json.loads(self.variables)
        return declarations

    @property
    def config_object(self) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(self.config)
        return config


class Draft(models.Model):
    """One person's unsaved work on a prompt."""

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT)
    user = models.ForeignKey(User, on_delete=models.PROTECT)
    base_version = models.ForeignKey(PromptVersion, null=True, on_delete=models.PROTECT, related_name="+")
    source = models.TextField(blank=True)
    variables = models.TextField(default="[]")
    config = models.TextField(default="{}")
    message = models.TextField(blank=True, default="")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["prompt", "user"], name="draft_once")]

    def __str__(self) -> str:
        return f"{self.user}'s draft of {self.prompt}"


class SampleValues(models.Model):
    """Values under a name with which one person tries a prompt: its preview is drawn with them."""

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT)
    user = models.ForeignKey(User, on_delete=models.PROTECT)
    name = models.CharField(max_length=60)
    values = models.TextField(default="{}", help_text="Canonical JSON: variable to text, as typed.")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["prompt", "user", "name"], name="sample_name_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def given(self) -> dict[str, str]:
        values: dict[str, str] = json.loads(self.values)
        return values
