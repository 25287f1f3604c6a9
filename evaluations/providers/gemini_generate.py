"""Google's generateContent."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from evaluations.providers.interface import INSTRUCTS, Asked, Connection, Message, Told, inside, whole, word

BASE_URL = "https://generativelanguage.googleapis.com/v1beta"
# The names that the other two know, as this one calls them; every other parameter goes into its config as it is.
_NAMES = {
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "top_p": "topP",
    "top_k": "topK",
    "stop": "stopSequences",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
_FINISHES = {"STOP": "stop", "MAX_TOKENS": "length"}
_WITHHELD = {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "IMAGE_SAFETY"}


def ask(connection: Connection, messages: Sequence[Message], seed: int | None) -> Asked:
    """`POST {base}/models/{model}:generateContent`; the key goes into a header, for addresses end up in logs."""
    base = connection.base_url or BASE_URL
    config = {_NAMES.get(name, name): value for name, value in connection.parameters.items()}
    config["maxOutputTokens"] = connection.max_tokens
    if isinstance(config.get("stopSequences"), str):
        config["stopSequences"] = [config["stopSequences"]]
    if seed is not None:
        config["seed"] = seed % 2**31
    turns = [
        {"role": "model" if m["role"] == "assistant" else "user", "parts": [{"text": m["content"]}]}
        for m in messages
        if m["role"] not in INSTRUCTS
    ]
    body: dict[str, Any] = {"contents": turns, "generationConfig": config}
    system = "\n\n".join(m["content"] for m in messages if m["role"] in INSTRUCTS)
    if system:
        body["systemInstruction"] = {"parts": [{"text": system}]}
    model = quote(connection.model.removeprefix("models/"), safe="")
    headers = {"x-goog-api-key": connection.api_key.reveal()}
    return Asked(f"{base.rstrip('/')}/models/{model}:generateContent", headers, body)


def read(answer: dict[str, Any]) -> Told:
    """The first candidate of an answer, without what the model thought on the way."""
    candidate, usage = inside(answer, "candidates", 0), answer.get("usageMetadata")
    parts = inside(candidate, "content", "parts")
    shown = [p for p in parts if not inside(p, "thought")] if isinstance(parts, list) else []
    said = [text for text in (inside(part, "text") for part in shown) if isinstance(text, str)]
    reason = word(inside(candidate, "finishReason"))
    blocked = word(inside(answer, "promptFeedback", "blockReason"))
    written, thought = whole(inside(usage, "candidatesTokenCount")), whole(inside(usage, "thoughtsTokenCount"))
    return Told(
        text="".join(said) if said else None,
        finish_reason="content_filter" if reason in _WITHHELD else _FINISHES.get(reason, reason.lower() or "stop"),
        model=word(answer.get("modelVersion")),
        input_tokens=whole(inside(usage, "promptTokenCount")),
        output_tokens=None if written is None and thought is None else (written or 0) + (thought or 0),
        cached_tokens=whole(inside(usage, "cachedContentTokenCount")),
        id=word(answer.get("responseId")),
        withheld=blocked or (reason if reason in _WITHHELD else ""),
    )
