"""Calling models: three wire formats behind one function, `complete`. No SDK, no framework, no retry in here."""

from evaluations.providers.calling import complete
from evaluations.providers.interface import (
    DEFAULT_MAX_TOKENS,
    CallFailed,
    Completion,
    Connection,
    Failure,
    Kind,
    Message,
    Secret,
)

__all__ = [
    "DEFAULT_MAX_TOKENS",
    "CallFailed",
    "Completion",
    "Connection",
    "Failure",
    "Kind",
    "Message",
    "Secret",
    "complete",
]
