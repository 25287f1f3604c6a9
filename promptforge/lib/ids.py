"""Opaque ids for the API: `ver_4k2…` stands for a row's number without telling it, and reads back."""

from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.tokens import ALPHABET

_MODULUS = 1 << 63
_FACTOR = 0x2545F4914F6CDD1D  # odd, so that multiplying by it permutes the numbers below 2^63
_INVERSE = pow(_FACTOR, -1, _MODULUS)


def encode(prefix: str, number: int) -> str:
    scattered, text = number * _FACTOR % _MODULUS, ""
    while scattered:
        scattered, digit = divmod(scattered, len(ALPHABET))
        text = ALPHABET[digit] + text
    return f"{prefix}_{text}"


def decode(prefix: str, text: str, not_found: str) -> int:
    """The row's number; a text that is no such id is refused with the code `not_found`."""
    head, _, digits = text.partition("_")
    scattered = 0
    if head == prefix and digits and len(digits) <= 11 and digits.isascii() and digits.isalnum():
        for character in digits:
            scattered = scattered * len(ALPHABET) + ALPHABET.index(character)
        number = scattered * _INVERSE % _MODULUS
        if scattered < _MODULUS and encode(prefix, number) == text:
            return number
    raise DomainError(not_found, f"There is nothing with the id {shorten(text)} within reach.")
