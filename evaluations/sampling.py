"""The parameters of a call: the connection's own, and before them what the version's config says.

A config is free JSON. Applied are the names in `RULES`, where the connection's kind of server has them and the value
fits. Every other name is told with the reason, so that nobody takes what was measured for more than was asked.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from evaluations.providers import MOST_TOKENS, Kind, is_same_model
from promptforge.lib.errors import shorten
from promptforge.lib.json import canonical_json

MOST_NAMED = 5  # names of one reason that are kept; further ones are counted
MOST_STOPS, LONGEST_STOP = 16, 200


class Rule(NamedTuple):
    """Whether a value fits, and what it must be, in words."""

    fits: Callable[[Any], bool]
    must: str


class Left(NamedTuple):
    """Names of a config that are not applied, `more` of them not named, for one reason."""

    names: tuple[str, ...]
    more: int
    why: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """What of a version's config its calls are made with, and what not."""

    applied: Mapping[str, Any]
    left: tuple[Left, ...] = ()


def sampling_of(config: Mapping[str, Any], *, kind: Kind, model: str) -> Sampling:
    """What a connection of this kind to this model applies of a version's config. A name that is null says nothing."""
    applied: dict[str, Any] = {}
    reasons: dict[str, list[str]] = defaultdict(list)
    for name, value in config.items():
        if value is None:
            continue
        why = _why_not(name, value, kind, model)
        if why is not None:
            reasons[why].append(name)
        elif name != "model":
            applied[name] = value
    if "max_completion_tokens" in applied:
        limit = applied.pop("max_completion_tokens")
        if applied.setdefault("max_tokens", limit) != limit:
            reasons["max_tokens stands beside it"].append("max_completion_tokens")
    left = [
        Left(tuple(shorten(name, 40) for name in names[:MOST_NAMED]), max(0, len(names) - MOST_NAMED), why)
        for why, names in reasons.items()
    ]
    return Sampling(applied, tuple(left))


def parameters_of(applied: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a call: `own`, the connection's, with the version's in the place of what means the same."""
    merged = dict(own)
    for name, value in applied.items():
        for other in _ALSO.get(name, ()):
            merged.pop(other, None)
        if name == "max_tokens" and "max_completion_tokens" in merged:
            # The connection has this name because its server refuses the other.
            merged.pop(name, None)
            merged["max_completion_tokens"] = value
        else:
            merged[name] = value
    return merged


def left_told(left: Left, whose: str) -> str:
    """`whose` is such as `version 2's config`."""
    names = list(left.names)
    if left.more:
        names.append(f"{left.more:,} more")
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return f"{listed} of {whose} {'is' if len(names) == 1 else 'are'} not applied: {left.why}."


# --- What fits -------------------------------------------------------------------------------------------------------
def _number(low: float, high: float) -> Rule:
    return Rule(lambda value: _is_number(value) and low <= value <= high, f"a number from {low:g} to {high:g}")


def _whole(low: int, high: int) -> Rule:
    return Rule(
        lambda value: isinstance(value, int) and _is_number(value) and low <= value <= high,
        f"a whole number from {low:,} to {high:,}",
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_stop(value: Any) -> bool:
    texts = value if isinstance(value, list) else [value]
    return 0 < len(texts) <= MOST_STOPS and all(isinstance(t, str) and 0 < len(t) <= LONGEST_STOP for t in texts)


def _is_format(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") in ("text", "json_object", "json_schema")


_ALL = tuple(Kind)
_PENALTY = dict.fromkeys((Kind.OPENAI, Kind.GEMINI, Kind.LOCAL), _number(-2, 2))
_LIMIT = dict.fromkeys(_ALL, _whole(1, MOST_TOKENS))
# By the name that OpenAI's chat completions have for it, which the adapters map: which kinds have it, and what fits.
RULES: Mapping[str, Mapping[Kind, Rule]] = {
    "temperature": dict.fromkeys(_ALL, _number(0, 2)) | {Kind.ANTHROPIC: _number(0, 1)},
    "top_p": dict.fromkeys(_ALL, _number(0, 1)),
    "top_k": dict.fromkeys((Kind.ANTHROPIC, Kind.GEMINI, Kind.LOCAL), _whole(1, 1_000_000)),
    "max_tokens": _LIMIT,
    "max_completion_tokens": _LIMIT,
    "stop": dict.fromkeys(_ALL, Rule(_is_stop, f"a text or up to {MOST_STOPS}, of 1 to {LONGEST_STOP} characters")),
    "frequency_penalty": _PENALTY,
    "presence_penalty": _PENALTY,
    "response_format": dict.fromkeys(
        (Kind.OPENAI, Kind.LOCAL), Rule(_is_format, "an object whose type is text, json_object or json_schema")
    ),
}
# What providers call the same themselves: a connection may have it so.
_ALSO: Mapping[str, tuple[str, ...]] = {
    "max_tokens": ("maxOutputTokens",),
    "top_p": ("topP",),
    "top_k": ("topK",),
    "stop": ("stop_sequences", "stopSequences"),
    "frequency_penalty": ("frequencyPenalty",),
    "presence_penalty": ("presencePenalty",),
}


def _why_not(name: str, value: Any, kind: Kind, model: str) -> str | None:
    if name == "model":
        is_ours = isinstance(value, str) and is_same_model(value, model)
        return None if is_ours else f"it is {_shown(value)}, and the connection asks {shorten(model)}"
    if name == "seed":
        return "each call has a seed of its own"
    if name not in RULES:
        return "evaluations apply no such parameter"
    rule = RULES[name].get(kind)
    if rule is None:
        return f"connections of the kind {kind.value} have no such parameter"
    return None if rule.fits(value) else f"it is {rule.must}, not {_shown(value)}"


def _shown(value: Any) -> str:
    return shorten(value if isinstance(value, str) else canonical_json(value), 60)
