"""What a log line looks like: one form for Django, the web server and Celery, with its request and without secrets."""

import re
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from django.core.exceptions import ImproperlyConfigured
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars, merge_contextvars

from promptforge.env import env

FORMATS = ("json", "text")
# What a line can carry besides its message, by `extra=`; frameworks attach whole requests and arguments of tasks.
EXTRAS = ("method", "path", "route", "status", "seconds")
LONGEST = 20_000  # characters of one value; a traceback is shorter
HIDDEN = "[hidden]"

_Event = MutableMapping[str, Any]

_NAME = r"(?:passw(?:or)?d|secret|token|api[_-]?key|cookie|session_?id|authorization)[\w.-]{0,40}"
_IS = r"\\?[\"']?\s{0,4}[=:]\s{0,4}"
_SECRETS = tuple(
    (re.compile(pattern, re.IGNORECASE), instead)
    for pattern, instead in (
        # The id of a key is what the history shows, too.
        (r"(pf(?:_|%5F)(?:live|dev)(?:_|%5F)[0-9A-Z]{1,10})(?:_|%5F)[0-9A-Z]+", rf"\1_{HIDDEN}"),
        (r"\bsk-[\w-]{8,}", f"sk-{HIDDEN}"),
        (r"\bwhsec_[\w+/=-]+", f"whsec_{HIDDEN}"),
        (r"\b(bearer|basic)\s{1,4}[\w+/=.~-]{6,}", rf"\1 {HIDDEN}"),
        (r"(://[^/\s:@'\"]{0,200}):[^@/\s]{1,500}@", rf"\1:{HIDDEN}@"),
        (rf"({_NAME}{_IS})(\\?[\"'])(?!{re.escape(HIDDEN)}).{{0,2000}}?\2", rf"\1\2{HIDDEN}\2"),
        (rf"({_NAME}{_IS})(?!\\?[\"'])(?!(?:bearer|basic)\s)[^\s,;&)}}\]]+", rf"\1{HIDDEN}"),
    )
)
_NAMES_A_SECRET = re.compile(_NAME, re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


# --- What belongs to the line ----------------------------------------------------------------------------------------
bind = bind_contextvars  # bind(project="shop"): from here to the end of this request or task, every line says so


@contextmanager
def bound(**names: Any) -> Iterator[None]:
    """Every line of the block carries these names; they, and what is bound inside, end with it."""
    before = get_contextvars()
    bind_contextvars(**names)
    try:
        yield
    finally:
        clear_contextvars()
        bind_contextvars(**before)


# --- Secrets ---------------------------------------------------------------------------------------------------------
def redact(text: str) -> str:
    """The text without API keys, passwords, tokens and authorization headers."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def _without_secrets(_: Any, __: str, event: _Event) -> _Event:
    """The one processor that hides them, in the message, in every value and in the traceback."""
    return {name: HIDDEN if _NAMES_A_SECRET.search(name) else _cleaned(value) for name, value in event.items()}


def _cleaned(value: Any, depth: int = 4) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping) and depth:
        return {
            str(name): HIDDEN if _NAMES_A_SECRET.search(str(name)) else _cleaned(inner, depth - 1)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset) and depth:
        return [_cleaned(inner, depth - 1) for inner in value]
    # Cut first: nobody's secret is half hidden, for it would have to stand exactly at the cut.
    return redact(str(value)[:LONGEST])


# --- The forms -------------------------------------------------------------------------------------------------------
def _text(_: Any, __: str, event: _Event) -> str:
    """`2026-11-26T15:20:04.123456Z ERROR promptforge.api message name=value`; a traceback follows on its own lines."""
    traceback = "".join(f"\n{event.pop(name)}" for name in ("exception", "stack") if event.get(name))
    head = f"{event.pop('timestamp')} {event.pop('level').upper()} {event.pop('logger', '-')} {event.pop('event')}"
    return _CONTROL.sub(_escaped, " ".join([head, *(f"{name}={value}" for name, value in event.items())])) + traceback


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def chosen_format() -> str:
    """`json` or `text`, as PROMPTFORGE_LOG_FORMAT says; without it, `json` in production."""
    production = env.str("PROMPTFORGE_ENV", default="development") == "production"
    chosen: str = env.str("PROMPTFORGE_LOG_FORMAT", default="") or ("json" if production else "text")
    if chosen not in FORMATS:
        raise ImproperlyConfigured(f"PROMPTFORGE_LOG_FORMAT is {chosen!r}; it is either json or text.")
    return chosen


class Line(structlog.stdlib.ProcessorFormatter):
    """The formatter of every handler: from `logging` records to lines of the chosen form."""

    def __init__(self) -> None:
        form = _text if chosen_format() == "text" else structlog.processors.JSONRenderer(ensure_ascii=False)
        super().__init__(
            foreign_pre_chain=[
                merge_contextvars,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.stdlib.ExtraAdder(allow=EXTRAS),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _without_secrets,
                form,
            ],
        )


def configuration() -> dict[str, Any]:
    """The `dictConfig` of every process but the web server's first (deploy/web-logging.json says the same for that)."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": "promptforge.lib.logs.Line"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": "INFO"},
        "loggers": {
            # Every refusal would be a line; what failed through a fault of ours is an error.
            "django.request": {"level": "ERROR"},
            "celery.beat": {"level": "WARNING"},
            # Sweepers come every few seconds: that they came and went is counted, not written.
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
        },
    }
