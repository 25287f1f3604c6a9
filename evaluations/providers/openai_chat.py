"""OpenAI's chat completions, which a good dozen of others speak too."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from evaluations.providers.interface import Asked, Connection, Message, Told, inside, whole, word

BASE_URL = "https://api.openai.com/v1"
# What its newer models call the limit; they refuse the older name, which all others know.
_LIMIT_OF = {"api.openai.com": "max_completion_tokens"}


def ask(connection: Connection, messages: Sequence[Message], seed: int | None) -> Asked:
    """`POST {base}/chat/completions`; parameters go as they are, whatever this server knows."""
    base = connection.base_url or BASE_URL
    body: dict[str, Any] = {**connection.parameters, "model": connection.model, "messages": list(messages)}
    body["stream"] = False
    if "max_completion_tokens" not in body:
        body.pop("max_tokens", None)
        body[_LIMIT_OF.get(urlsplit(base).hostname or "", "max_tokens")] = connection.max_tokens
    if seed is not None:
        body["seed"] = seed
    key = connection.api_key.reveal()
    return Asked(f"{base.rstrip('/')}/chat/completions", {"Authorization": f"Bearer {key}"} if key else {}, body)


def read(answer: dict[str, Any]) -> Told:
    """The first choice of an answer."""
    choice, usage = inside(answer, "choices", 0), answer.get("usage")
    text, refusal = inside(choice, "message", "content"), inside(choice, "message", "refusal")
    finish = word(inside(choice, "finish_reason")) or "stop"
    return Told(
        # A model that declines in the field made for that has answered: what it says is what the user reads.
        text=text if isinstance(text, str) else refusal if isinstance(refusal, str) else None,
        finish_reason=finish,
        model=word(answer.get("model")),
        input_tokens=whole(inside(usage, "prompt_tokens")),
        output_tokens=whole(inside(usage, "completion_tokens")),
        cached_tokens=whole(inside(usage, "prompt_tokens_details", "cached_tokens")),
        fingerprint=word(answer.get("system_fingerprint")),
        id=word(answer.get("id")),
        withheld=finish if finish == "content_filter" else "",
    )
