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
    PROMOTION_OPENED = "promotion.opened"
    PROMOTION_WITHDRAWN = "promotion.withdrawn"
    PROMOTION_REJECTED = "promotion.rejected"
    PROMOTION_SUPERSEDED = "promotion.superseded"
    PROMOTION_APPLIED = "promotion.applied"
    PROMOTION_SCHEDULED = "promotion.scheduled"
    PROMOTION_UNSCHEDULED = "promotion.unscheduled"
    PROMOTION_MISSED = "promotion.missed"
    REVIEW_GIVEN = "review.given"
    REVIEW_DISMISSED = "review.dismissed"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_CHANGED = "webhook.changed"
    WEBHOOK_ROTATED = "webhook.rotated"
    WEBHOOK_TESTED = "webhook.tested"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_REMOVED = "webhook.removed"
    SET_CREATED = "set.created"
    SET_REVISED = "set.revised"
    SET_CHANGED = "set.changed"
    SET_ARCHIVED = "set.archived"
    CONNECTION_CREATED = "connection.created"
    CONNECTION_CHANGED = "connection.changed"
    CONNECTION_ROTATED = "connection.rotated"
    CONNECTION_TESTED = "connection.tested"
    CONNECTION_REMOVED = "connection.removed"
    RULE_ADDED = "rule.added"
    RULE_QUESTIONED = "rule.questioned"
    RULE_REMOVED = "rule.removed"
    BUDGET_CHANGED = "budget.changed"
    RUN_STARTED = "run.started"
    RUN_PAUSED = "run.paused"
    RUN_RESUMED = "run.resumed"
    RUN_CANCELLED = "run.cancelled"
    RUN_FINISHED = "run.finished"
    REFERENCE_TAKEN = "reference.taken"
    WATCH_CHANGED = "watch.changed"
    DRIFT_NOTICED = "drift.noticed"
    DRIFT_SUSPECTED = "drift.suspected"
    DRIFT_FOUND = "drift.found"
    DRIFT_CLEARED = "drift.cleared"
    SESSION_BEGUN = "session.begun"
    SESSION_ENDED = "session.ended"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105
    FACTOR_ADDED = "factor.added"
    FACTOR_REMOVED = "factor.removed"
    CODES_RENEWED = "codes.renewed"


# What people do about their own sign-in belongs to no project, so no webhook of a project ever gets it.
OF_NO_PROJECT = frozenset(
    {
        EventKind.SESSION_BEGUN,
        EventKind.SESSION_ENDED,
        EventKind.PASSWORD_CHANGED,
        EventKind.FACTOR_ADDED,
        EventKind.FACTOR_REMOVED,
        EventKind.CODES_RENEWED,
    }
)
