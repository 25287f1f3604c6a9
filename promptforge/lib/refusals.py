"""What a guard's refusal is called outside the database: constraint name -> code, in one table for all doors."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import DatabaseError, OperationalError

from promptforge.lib.errors import CODES, DomainError

# A constraint that is not named here and is no code itself answers as `guard`, with the database's own sentence.
CODE_OF_CONSTRAINT = {
    "api_key_scopes_known": "bad_value",
    "break_glass_reason": "reason_too_short",
    "break_glass_right": "forbidden",
    "case_key_stands_once": "name_taken",
    "channel_name_form": "bad_channel_name",
    "channel_name_once": "name_taken",
    "connection_name_once": "name_taken",
    "dismissal_right": "forbidden",
    "evaluation_has_rule": "evaluation_not_passed",
    "evaluation_passed": "evaluation_not_passed",
    "freeze": "frozen_channel",
    "grant_not_to_oneself": "four_eyes",
    "grant_right": "forbidden",
    "grant_short": "bad_value",
    "freeze_lift_right": "forbidden",
    "freeze_right": "forbidden",
    "import_in_order": "bad_timestamp",
    "import_open": "import_closed",
    "import_right": "forbidden",
    "import_still_open": "import_closed",
    "membership_roles_known": "bad_value",
    "policy_four_eyes": "four_eyes",
    "project_name_form": "bad_name",
    "accounts_project_name_key": "name_taken",
    "promotion_applied_by_release": "promotion_closed",
    "promotion_approvals": "promotion_not_ready",
    "promotion_base": "promotion_not_ready",
    "promotion_checks": "promotion_not_ready",
    "promotion_closes_once": "promotion_closed",
    "promotion_groups": "promotion_not_ready",
    "promotion_matches": "promotion_not_ready",
    "promotion_objection": "promotion_not_ready",
    "promotion_on_the_present": "stale_base",
    "promotion_open": "promotion_not_ready",
    "promotion_open_once": "duplicate_promotion",
    "promotion_policy": "promotion_not_ready",
    "prompt_name_form": "bad_name",
    "prompt_name_once": "name_taken",
    "ratified_by_another": "four_eyes",
    "release_revision_once": "stale_head",
    "release_right": "forbidden",
    "review_right": "forbidden",
    "rule_once": "name_taken",
    "rule_removal_right": "forbidden",
    "rule_removed_by_two": "four_eyes",
    "rule_right": "forbidden",
    "watch_freezes_by_right": "forbidden",
    "rollback_reason": "reason_required",
    "rollback_right": "forbidden",
    "set_name_once": "name_taken",
    "set_revision_right": "forbidden",
    "user_email_once": "name_taken",
    "version_still_importing": "import_closed",
}
LOCK_NOT_AVAILABLE, DEADLOCK, SERIALIZATION = "55P03", "40P01", "40001"
DISK_FULL = "53100"


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the database refuses inside the block into a DomainError. Put it outside the transaction."""
    try:
        yield
    except DatabaseError as error:
        refusal = explain(error)
        if refusal is None:
            raise
        raise refusal from error


def explain(error: DatabaseError) -> DomainError | None:
    """The refusal that a database error stands for; None when it is a fault of ours."""
    cause = error.__cause__
    if isinstance(cause, psycopg.Error) and (refusal := explain_driver(cause)):
        return refusal
    return _no_answer() if isinstance(error, OperationalError) else None


def explain_driver(error: psycopg.Error) -> DomainError | None:
    """The same of the driver's own error, for what speaks to PostgreSQL without Django."""
    state = error.sqlstate or ""
    if state.startswith("23"):
        return _constraint(error.diag.constraint_name or "", error.diag.message_primary or "")
    if state in (LOCK_NOT_AVAILABLE, DEADLOCK, SERIALIZATION):
        return DomainError("unavailable", "Somebody else is changing the same thing. Nothing was written; try again.")
    if state == DISK_FULL:
        return DomainError("storage_full", "The database's disk is full. Nothing was written; what is live stays live.")
    return _no_answer() if isinstance(error, psycopg.OperationalError) else None


def _no_answer() -> DomainError:
    return DomainError("unavailable", "The database does not answer. Nothing was written; try again in a moment.")


def _constraint(name: str, message: str) -> DomainError:
    if name.endswith("_frozen"):
        return DomainError("frozen", message)
    code = CODE_OF_CONSTRAINT.get(name, name if name in CODES else "guard")
    if code == "name_taken" and "violates" in message:
        message = "The name is taken already. Names are compared without regard to case."
    elif "violates" in message:
        message = f"The database refused it ({name})."
    return DomainError(code, message)
