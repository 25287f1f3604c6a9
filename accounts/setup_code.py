"""The code that opens the set-up page: whoever sees what the server prints may make the first account, nobody else."""

import base64
import secrets

from django.utils.crypto import salted_hmac

GROUP, GROUPS = 4, 4  # 80 bits: no guess is worth counting


def setup_code() -> str:
    """The code of this installation, from its secret key, so that every process knows it and nothing stores it."""
    digest = salted_hmac("promptforge.setup", "first account", algorithm="sha256").digest()
    text = base64.b32encode(digest).decode()[: GROUP * GROUPS]
    return "-".join(text[at : at + GROUP] for at in range(0, len(text), GROUP))


def is_setup_code(text: str) -> bool:
    """Whether somebody typed the code; case, blanks and hyphens do not matter."""
    return secrets.compare_digest(_plain(text), _plain(setup_code()))


def _plain(text: str) -> bytes:
    return "".join(character for character in text if character.isalnum()).upper().encode()
