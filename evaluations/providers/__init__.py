"""Calling models: three wire formats behind one function, `complete`. No SDK, no framework, no retry in here."""

from evaluations.providers.calling import complete, is_same_model
from evaluations.providers.interface import (
    DEFAULT_MAX_TOKENS,
    FREE,
    MOST_TOKENS,
    CallFailed,
    Completion,
    Connection,
    Failure,
    Kind,
    Message,
    Secret,
    most_tokens,
)

__all__ = [
    "DEFAULT_MAX_TOKENS",
    "FREE",
    "MOST_TOKENS",
    "CallFailed",
    "Completion",
    "Connection",
    "Failure",
    "Kind",
    "Message",
    "Secret",
    "complete",
    "is_same_model",
    "most_tokens",
]
