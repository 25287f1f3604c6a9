"""What calls cost: the connection's own price, or a package's table, read offline. Unknown is None, never 0.

Only what counts money imports the table: it takes a second and 40 MB, which the web server does without.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from evaluations.providers import Kind, Message

_MILLION = Decimal(1_000_000)
_PROVIDER = {Kind.OPENAI: "openai", Kind.ANTHROPIC: "anthropic", Kind.GEMINI: "google"}
_OF_A_MESSAGE = 16  # tokens around each, more than any format has
_BYTES_OF_A_TOKEN = 4  # of ordinary text, for estimates


@dataclass(frozen=True, slots=True)
class Pricing:
    """What settles a price: whose model it is, and `price`, USD for a million tokens `{"input", "output"}`, or None."""

    kind: Kind
    base_url: str
    model: str
    price: Mapping[str, float] | None = None


def cost(
    pricing: Pricing, *, input_tokens: int | None, output_tokens: int | None, cached_tokens: int | None = None
) -> Decimal | None:
    """What a call with these tokens costs in USD, None when its price or its tokens are not known."""
    if pricing.price is not None:
        rates = [Decimal(str(pricing.price[name])) for name in ("input", "output")]
    elif pricing.kind is Kind.LOCAL:
        return Decimal(0)
    else:
        rates = []
    if input_tokens is None or output_tokens is None:
        return Decimal(0) if rates and not any(rates) else None
    if rates:
        return (rates[0] * input_tokens + rates[1] * output_tokens) / _MILLION
    return _looked_up(pricing, input_tokens, output_tokens, cached_tokens or 0)


def most(pricing: Pricing, messages: Sequence[Message], max_tokens: int) -> Decimal | None:
    """The most that a call can cost: no token is shorter than a byte, and no answer longer than its limit."""
    return cost(pricing, input_tokens=_length(messages, 1), output_tokens=max_tokens)


def estimate(pricing: Pricing, messages: Sequence[Message], max_tokens: int) -> Decimal | None:
    """What a call will about cost, were its answer as long as it may be."""
    return cost(pricing, input_tokens=_length(messages, _BYTES_OF_A_TOKEN), output_tokens=max_tokens)


def _length(messages: Sequence[Message], bytes_of_a_token: int) -> int:
    return sum(len(m["content"].encode()) // bytes_of_a_token + _OF_A_MESSAGE for m in messages)


def _looked_up(pricing: Pricing, input_tokens: int, output_tokens: int, cached_tokens: int) -> Decimal | None:
    from genai_prices import Usage, calc_price

    whose: dict[str, Any] = (
        {"provider_api_url": pricing.base_url} if pricing.base_url else {"provider_id": _PROVIDER[pricing.kind]}
    )
    usage = Usage(
        input_tokens=input_tokens, output_tokens=output_tokens, cache_read_tokens=min(cached_tokens, input_tokens)
    )
    try:
        found = calc_price(usage, model_ref=pricing.model, **whose)
    except (LookupError, ValueError):
        return None
    return Decimal(str(found.total_price))
