"""Personal data in a text: by its form, and where there is one, by its check digits."""

import re
from collections.abc import Callable, Iterator, Mapping

MAX_READ = 200_000

_EMAIL = re.compile(r"(?<![\w.+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}\b")
_CARD = re.compile(r"(?<![\w.-])(?<!\d )[3-6]\d{3}(?:[ -]?\d{2,6}){2,4}(?![ -]?[\w-])")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
# With a country's code, or written the American way: seven digits in a row alone are more often an order's number.
_PHONE = re.compile(
    r"(?<![\w.+-])(?:\+\d{1,3}[ .()/-]{0,3}\d(?:[ .()/-]{0,2}\d){6,12}|"
    r"\(?\b[2-9]\d{2}\)?[ .-]{1,2}[2-9]\d{2}[ .-]\d{4})(?![\w-])"
)
_AMERICAN_ID = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
# Kept free for examples by RFC 2606 and the numbering plan: nobody's.
_NOBODY = re.compile(r"(?i)@(?:[\w-]+\.)*(?:example\.(?:com|net|org)|[\w-]+\.(?:example|invalid|test)|localhost)$")
_NOBODY_CALLS = re.compile(r"555\D{0,2}01\d{2}$")
_LENGTHS_OF_IBAN = {
    "AD": 24, "AE": 23, "AT": 20, "BE": 16, "BG": 22, "BR": 29, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18,
    "EE": 20, "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IS": 26,
    "IT": 27, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25,
    "QA": 29, "RO": 24, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TR": 26, "UA": 29,
}  # fmt: skip


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and luhn(digits)


def _is_iban(text: str) -> bool:
    """ISO 13616: the length is the country's, and the whole number leaves 1 when divided by 97."""
    plain = text.replace(" ", "")
    if len(plain) != _LENGTHS_OF_IBAN.get(plain[:2], 0):
        return False
    return int("".join(str(int(character, 36)) for character in plain[4:] + plain[:4])) % 97 == 1


def _is_phone(text: str) -> bool:
    return not _NOBODY_CALLS.search(text)


KINDS: Mapping[str, tuple[re.Pattern[str], Callable[[str], bool]]] = {
    "e-mail address": (_EMAIL, lambda text: not _NOBODY.search(text)),
    "card number": (_CARD, _is_card),
    "bank account": (_IBAN, _is_iban),
    "phone number": (_PHONE, _is_phone),
    "social security number": (_AMERICAN_ID, lambda _: True),
}


def find_personal_data(text: str, kinds: tuple[str, ...] = tuple(KINDS)) -> Iterator[tuple[str, int]]:
    """Kind and offset of each piece of personal data; never the piece itself, which would spread it."""
    read = text[:MAX_READ]
    for kind in kinds:
        form, holds = KINDS[kind]
        for match in form.finditer(read):
            if holds(match[0]):
                yield kind, match.start()
