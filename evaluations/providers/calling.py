"""One call to a model, and what becomes of everything that can go wrong with it."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from evaluations.providers import anthropic_messages, failures, gemini_generate, openai_chat
from evaluations.providers.interface import (
    Asked,
    CallFailed,
    Completion,
    Connection,
    Failure,
    Kind,
    Message,
    Told,
    writable,
)
from promptforge.lib import http
from promptforge.lib.errors import DomainError

LARGEST_ANSWER = 4_000_000  # bytes; the longest answers of today's models have a tenth
ADAPTERS: Mapping[Kind, ModuleType] = {
    Kind.OPENAI: openai_chat,
    Kind.LOCAL: openai_chat,
    Kind.ANTHROPIC: anthropic_messages,
    Kind.GEMINI: gemini_generate,
}


def complete(connection: Connection, messages: Sequence[Message], seed: int | None = None) -> Completion:
    """Call the model once and return its whole answer; raises `CallFailed` and nothing else."""
    adapter = ADAPTERS[connection.kind]
    asked: Asked = adapter.ask(connection, messages, seed)
    began = time.monotonic()
    answer = _call(connection, asked)
    latency_ms = round((time.monotonic() - began) * 1000)
    content = _content(connection, answer)
    told: Told = adapter.read(content)
    text = _text(connection, told)
    if not is_same_model(connection.model, told.model):
        raise CallFailed(
            Failure.WRONG_MODEL,
            f"The connection asks for the model {connection.model!r}, and {told.model!r} answered. "
            "Name the model that is meant in the connection.",
        )
    return Completion(
        text=writable(text),
        finish_reason=writable(told.finish_reason),
        input_tokens=told.input_tokens,
        output_tokens=told.output_tokens,
        cached_tokens=told.cached_tokens,
        model=writable(told.model),
        fingerprint=writable(told.fingerprint),
        request_id=writable(_request_id(answer) or told.id),
        latency_ms=latency_ms,
    )


def _call(connection: Connection, asked: Asked) -> http.Answer:
    body = json.dumps(asked.body, ensure_ascii=False).encode("utf-8", "replace")
    try:
        return http.request(
            "POST",
            asked.url,
            headers={"Content-Type": "application/json", "Accept": "application/json", **asked.headers},
            body=body,
            seconds=connection.timeout,
            largest=LARGEST_ANSWER,
            keep=True,
            own_port=connection.own_port,
        )
    except DomainError as refused:
        raise CallFailed(Failure.URL_NOT_ALLOWED, refused.detail) from None
    except http.Unreachable as unreachable:
        raise failures.of_no_answer(unreachable) from None


def _content(connection: Connection, answer: http.Answer) -> dict[str, Any]:
    """The parsed body of an answer that is one."""
    try:
        content = json.loads(answer.body)
    except (ValueError, RecursionError):
        content = None
    key = connection.api_key.reveal()
    if answer.status != 200:
        raise failures.of_status(answer.status, content, answer.headers, key)
    if not isinstance(content, dict):
        raise CallFailed(
            Failure.BAD_ANSWER,
            f"The provider's answer is no JSON object ({len(answer.body):,} bytes): check the connection's address.",
        )
    if content.get("error"):
        raise failures.of_error(content, answer.headers, key)
    return content


def _text(connection: Connection, told: Told) -> str:
    if told.withheld:
        raise CallFailed(
            Failure.BAD_ANSWER, f"The provider's content filter withheld the answer ({told.withheld.lower()})."
        )
    if not told.text and told.finish_reason == "length":
        raise CallFailed(
            Failure.BAD_ANSWER,
            f"The model used up its {connection.max_tokens:,} tokens before it wrote anything: "
            "raise max_tokens in the version's config or the connection's parameters.",
        )
    if told.text is None:
        raise CallFailed(Failure.BAD_ANSWER, "The provider's answer holds no text.")
    return told.text


def _request_id(answer: http.Answer) -> str:
    named = (answer.headers.get(name, "") for name in ("x-request-id", "request-id"))
    return next(filter(None, named), "")[:200]


# --- The same model --------------------------------------------------------------------------------------------------
# What may follow the name that was asked for: a date or number of a build, and what builds are called.
_WORD_OF_BUILD = r"preview|latest|exp|experimental|beta|stable|free"
_BUILD = re.compile(rf"(?:[-_@:](?:\d{{4}}-\d\d-\d\d|\d\d-\d{{4}}|\d\d-\d\d|v?\d{{3,8}}|{_WORD_OF_BUILD}))*\Z")
_LOOSE = re.compile(rf"[\d.]+|{_WORD_OF_BUILD}")
_LATEST = "-latest"


def is_same_model(asked: str, returned: str) -> bool:
    """Whether the model that answered is the one that was asked for, or a dated build of it.

    `gpt-4o-2024-08-06` is one of `gpt-4o`; `gpt-4o-mini` is another model, and so is `gpt-4.1` for `gpt-4`. A name that
    ends in `latest` stands for whichever release has all its other words. Some servers do not say what answered; then
    there is nothing to compare.
    """
    ours, theirs = _bare(asked), _bare(returned)
    if not theirs:
        return True
    name = ours.removesuffix(_LATEST)
    if theirs.startswith(name) and _BUILD.match(theirs[len(name) :]):
        return True
    if ours == name:
        return False
    others = [part for part in theirs.split("-") if part not in name.split("-")]
    return set(name.split("-")) <= set(theirs.split("-")) and all(_LOOSE.fullmatch(part) for part in others)


def _bare(model: str) -> str:
    """The name without whose it is: `openai/gpt-4o`, `models/gemini-flash`, a file's path."""
    return model.strip().lower().rpartition("/")[2].removesuffix(".gguf")
