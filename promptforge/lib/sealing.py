"""Secrets that must be read again are stored sealed: AES-256-GCM with a key of the ring, bound to their place."""

import hashlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from promptforge.lib import keyring

PURPOSE = "secrets"
_NONCE = 12


class Unsealable(Exception):
    """What is stored cannot be read: its key is not in the ring, or it was altered or moved from another place."""


def seal(text: str, place: str) -> bytes:
    """`id of the key` + "." + nonce + ciphertext. `place` names table, row and column; it is needed to unseal."""
    key, nonce = keyring.current(PURPOSE), secrets.token_bytes(_NONCE)
    return key.id.encode() + b"." + nonce + _cipher(key).encrypt(nonce, text.encode(), place.encode())


def unseal(sealed: bytes, place: str) -> str:
    """The text that was sealed for this place."""
    key_id, _, rest = bytes(sealed).partition(b".")
    key = keyring.find(PURPOSE, key_id.decode("ascii", "replace"))
    if key is None:
        raise Unsealable("A stored secret was sealed with a key that the ring does not have any more.")
    try:
        return _cipher(key).decrypt(rest[:_NONCE], rest[_NONCE:], place.encode()).decode()
    except (InvalidTag, ValueError):
        raise Unsealable("A stored secret was altered, or moved here from another row.") from None


def _cipher(key: keyring.Key) -> AESGCM:
    # The ring's secrets are long random texts: one hash makes 256 bits of them.
    return AESGCM(hashlib.sha256(b"seal.v1:" + key.secret).digest())
