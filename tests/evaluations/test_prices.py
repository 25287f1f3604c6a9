"""Prices: the connection's own, the package's table, or None; never a guess, and never 0 for what is not known."""

import subprocess
import sys
from decimal import Decimal

import pytest

from evaluations.prices import Pricing, cost, estimate, most
from evaluations.providers import Kind, Message
from tests.plugin import ROOT

ASKED: list[Message] = [{"role": "user", "content": "Wo bleibt meine Rückzahlung?"}]


def price(pricing: Pricing, tokens: tuple[int | None, int | None] = (1_000_000, 1_000_000)) -> Decimal | None:
    return cost(pricing, input_tokens=tokens[0], output_tokens=tokens[1])


def test_a_connection_s_own_price_stands_before_the_table() -> None:
    own = Pricing(Kind.OPENAI, "", "gpt-4o", {"input": 1.5, "output": 0.25})
    assert price(own) == Decimal("1.75")
    assert price(own, (0, 1)) == Decimal("0.00000025")
    assert price(Pricing(Kind.OPENAI, "", "gpt-4o")) == Decimal("12.5")


@pytest.mark.parametrize(
    ("kind", "base_url", "model"),
    [
        (Kind.ANTHROPIC, "", "claude-sonnet-4-5"),
        (Kind.GEMINI, "", "gemini-2.5-flash"),
        (Kind.OPENAI, "https://api.groq.com/openai/v1", "llama-3.3-70b-versatile"),
    ],
)
def test_the_table_knows_the_common_ones(kind: Kind, base_url: str, model: str) -> None:
    found = price(Pricing(kind, base_url, model))
    assert found is not None
    assert Decimal("0.1") < found < 100


@pytest.mark.parametrize(
    ("kind", "base_url", "model"),
    [
        (Kind.OPENAI, "", "no-such-model"),
        (Kind.OPENAI, "https://models.internal.example/v1", "gpt-4o"),
        (Kind.ANTHROPIC, "", "gpt-4o"),
    ],
)
def test_what_nobody_knows_is_unknown_and_not_free(kind: Kind, base_url: str, model: str) -> None:
    assert price(Pricing(kind, base_url, model)) is None
    assert most(Pricing(kind, base_url, model), ASKED, 100) is None


def test_without_tokens_a_price_is_unknown() -> None:
    assert price(Pricing(Kind.OPENAI, "", "gpt-4o"), (None, 5)) is None
    assert price(Pricing(Kind.OPENAI, "", "x", {"input": 1, "output": 1}), (5, None)) is None
    assert price(Pricing(Kind.OPENAI, "", "x", {"input": 0, "output": 0}), (None, None)) == 0
    assert price(Pricing(Kind.LOCAL, "", "x"), (None, None)) == 0


def test_the_most_is_never_less_than_what_comes() -> None:
    own = Pricing(Kind.OPENAI, "", "x", {"input": 1, "output": 2})
    bound, guess = most(own, ASKED, 100), estimate(own, ASKED, 100)
    assert bound is not None
    assert guess is not None
    assert bound == Decimal(29 + 16 + 200) / 1_000_000
    assert guess < bound


def test_nothing_but_counting_money_loads_the_table() -> None:
    code = "import evaluations.prices, sys; sys.exit('genai_prices' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
