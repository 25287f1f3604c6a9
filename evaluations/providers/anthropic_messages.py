"""Anthropic's Messages."""

from collections.abc import Sequence
from typing import Any

from evaluations.providers.interface import INSTRUCTS, Asked, Connection, Message, Told, inside, whole, word

BASE_URL = "https://api.anthropic.com/v1"
VERSION = "2023-06-01"
_FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


def ask(connection: Connection, messages: Sequence[Message], seed: int | None) -> Asked:
    """`POST {base}/messages`. There is no seed: repeats differ as the model has it."""
    del seed
    base = connection.base_url or BASE_URL
    system = "\n\n".join(m["content"] for m in messages if m["role"] in INSTRUCTS)
    body: dict[str, Any] = {**connection.parameters, "model": connection.model, "max_tokens": connection.max_tokens}
    body["messages"] = [m for m in messages if m["role"] not in INSTRUCTS]
    body.pop("max_completion_tokens", None)  # it knows the other name only
    body["stream"] = False
    if "stop" in body:
        stop = body.pop("stop")
        body["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if system:
        body["system"] = system
    headers = {"x-api-key": connection.api_key.reveal(), "anthropic-version": VERSION}
    return Asked(f"{base.rstrip('/')}/messages", headers, body)


def read(answer: dict[str, Any]) -> Told:
    """The text of an answer, whose blocks may be of other kinds too; its input counts what came from a cache."""
    blocks, usage = answer.get("content"), answer.get("usage")
    shown = [block for block in blocks if inside(block, "type") == "text"] if isinstance(blocks, list) else []
    texts = [inside(block, "text") for block in shown]
    said = [text for text in texts if isinstance(text, str)]
    reason = word(answer.get("stop_reason"))
    fresh, cached = whole(inside(usage, "input_tokens")), whole(inside(usage, "cache_read_input_tokens"))
    written = whole(inside(usage, "cache_creation_input_tokens")) or 0
    return Told(
        text="".join(said) if said else None,
        finish_reason=_FINISHES.get(reason, reason or "stop"),
        model=word(answer.get("model")),
        input_tokens=None if fresh is None else fresh + (cached or 0) + written,
        output_tokens=whole(inside(usage, "output_tokens")),
        cached_tokens=cached,
        id=word(answer.get("id")),
        withheld=reason if reason == "refusal" else "",
    )
