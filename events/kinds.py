"""Every kind of event that PromptForge records, as `noun.verbed`: one word for audit trail, webhook and log."""

from django.db import models


class EventKind(models.TextChoices):
    PROJECT_CREATED = "project.created"
    PROJECT_CHANGED = "project.changed"
    MEMBER_ADDED = "member.added"
    MEMBER_CHANGED = "member.changed"
    MEMBER_REMOVED = "member.removed"
    GRANT_GIVEN = "grant.given"
    RIGHTS_CHANGED = "rights.changed"
    KEY_CREATED = "key.created"
    KEY_ROTATED = "key.rotated"
    KEY_REVOKED = "key.revoked"
    PROMPT_CREATED = "prompt.created"
    PROMPT_CHANGED = "prompt.changed"
    PROMPT_ARCHIVED = "prompt.archived"
    PROMPT_RESTORED = "prompt.restored"
    VERSION_SAVED = "version.saved"
    CHANNEL_CREATED = "channel.created"
    POLICY_PROPOSED = "policy.proposed"
    POLICY_CHANGED = "policy.changed"
    FREEZE_SET = "freeze.set"
    FREEZE_LIFTED = "freeze.lifted"
    RELEASE_MADE = "release.made"
    RELEASE_RATIFIED = "release.ratified"
