"""How observations and feedback look in answers."""

import json
from typing import Any

from accounts.models import ApiKey
from accounts.shapes import actor_shape
from delivery.models import Feedback, Observation
from delivery.reading import approvals
from promptforge.lib.ids import encode
from promptforge.lib.instants import format_instant
from prompts.models import Promotion
from prompts.shapes import release_shape


def observation_shape(observation: Observation, *, content: bool) -> dict[str, Any]:
    """Needs prompt, version, channel and key. Without the right to `content` its fields are left out."""
    cost, latency = observation.cost_usd, observation.latency_ms
    shape = {
        "id": str(observation.uid),
        "prompt": observation.prompt.name,
        "version": observation.version.number,
        "ref": f"{observation.prompt.name}@{observation.version.number}",
        "channel": None if observation.channel is None else observation.channel.name,
        "revision": observation.revision,
        "arm": observation.arm,
        "user": observation.end_user,
        "trace_id": observation.trace_id,
        "session_id": observation.session_id,
        "model": observation.model,
        "provider": observation.provider,
        "latency_ms": int(latency) if latency is not None and latency.is_integer() else latency,
        "input_tokens": observation.input_tokens,
        "output_tokens": observation.output_tokens,
        "cost_usd": None if cost is None else float(cost),
        "finish_reason": observation.finish_reason,
        "failed": observation.failed,
        "at": format_instant(observation.at),
        "received_at": format_instant(observation.received_at),
        "reported_by": _key_shape(observation.key),
    }
    if not content:
        return shape
    return shape | {
        "variables": _read(observation.variables),
        "input": _read(observation.input),
        "output": observation.output,
        "error": observation.error,
        "metadata": _read(observation.metadata),
    }


def origin_shape(release: Any) -> dict[str, Any]:
    """The release that made an observation's version live, and the promotion that it carried out; both may be None."""
    if release is None:
        return {"release": None, "promotion": None}
    promotion: Promotion | None = release.promotion
    return {
        "release": release_shape(release),
        "promotion": None
        if promotion is None
        else {
            "id": encode("pro", promotion.pk),
            "title": promotion.title,
            "opened_by": actor_shape(promotion.opened_by),
            "approvers": [actor_shape(review.reviewer) for review in approvals(promotion.pk)],
        },
    }


def feedback_shape(feedback: Feedback, *, content: bool) -> dict[str, Any]:
    """Needs the key. Without the right to `content` a comment, and a value that is a text, are left out."""
    value = json.loads(feedback.value)
    shape = {
        "id": encode("fbk", feedback.pk),
        "observation": None if feedback.observation is None else str(feedback.observation),
        "trace_id": feedback.trace_id,
        "name": feedback.name,
        "value": value,
        "comment": feedback.comment,
        "user": feedback.end_user,
        "at": format_instant(feedback.at),
        "reported_by": _key_shape(feedback.key),
    }
    if not content:
        del shape["comment"]
        if isinstance(value, str):
            del shape["value"]
    return shape


def _key_shape(key: ApiKey) -> dict[str, str]:
    return {"key": key.public_id, "name": key.name}


def _read(text: str | None) -> Any:
    return None if text is None else json.loads(text)
