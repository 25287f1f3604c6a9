"""The environment variables that PromptForge reads, in one place, so that a misspelt name is refused, not ignored."""

import os
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent

# Every documented name is known from the first build on, whether its feature exists yet or not:
# an operator's file written for a later release must not stop an earlier one.
KNOWN = frozenset(
    {
        "PROMPTFORGE_ENV",
        "PROMPTFORGE_SECRET_KEY",
        "PROMPTFORGE_KEYS",
        "PROMPTFORGE_ALLOWED_HOSTS",
        "PROMPTFORGE_TRUSTED_ORIGINS",
        "PROMPTFORGE_VAR",
        "PROMPTFORGE_PORT",
        "PROMPTFORGE_LOG_FORMAT",
        "PROMPTFORGE_METRICS_TOKEN",
        "PROMPTFORGE_RATE_FETCH",
        "PROMPTFORGE_RATE_INTAKE",
        "PROMPTFORGE_RATE_WRITE",
        "PROMPTFORGE_ALLOWED_PRIVATE_HOSTS",
        "PROMPTFORGE_LOCAL_MODEL",
    }
)

env = environ.FileAwareEnv()


def refuse_unknown_names() -> None:
    """Stop with the nearest known name when the environment holds a `PROMPTFORGE_*` name that nothing reads.

    `NAME_FILE` (a file that holds the value, as container secrets are mounted) counts as `NAME`.
    """
    from difflib import get_close_matches

    for name in sorted(os.environ):
        if name.startswith("PROMPTFORGE_") and name.removesuffix("_FILE") not in KNOWN:
            near = get_close_matches(name, KNOWN, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ImproperlyConfigured(
                f"{name} is not a setting of PromptForge.{hint} docs/operations.md lists them all."
            )


def var_directory() -> Path:
    """Where everything that changes at run time lives: the embedded database, the broker's files, keys, logs."""
    return Path(env.str("PROMPTFORGE_VAR", default=str(ROOT / "var"))).resolve()


def web_processes() -> int:
    """How many web processes there are: `WEB_CONCURRENCY`, or one for each core."""
    named: str = env.str("WEB_CONCURRENCY", default=str(os.cpu_count() or 1))
    if not named.isdigit() or int(named) < 1:
        raise ImproperlyConfigured(f"WEB_CONCURRENCY is {named!r}: it is the number of web processes, 1 or more.")
    return int(named)


def has_local_model() -> bool:
    """Whether evaluations may run the local model on this machine: `PROMPTFORGE_LOCAL_MODEL`, yes unless told no."""
    named: str = env.str("PROMPTFORGE_LOCAL_MODEL", default="yes")
    if named not in ("yes", "no"):
        raise ImproperlyConfigured(f"PROMPTFORGE_LOCAL_MODEL is {named!r}: write yes or no.")
    return named == "yes"
