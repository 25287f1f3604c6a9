"""Sealed secrets: read in their place alone, by a key of the ring alone, and altered by nobody unseen."""

import pytest

from promptforge.lib import keyring
from promptforge.lib.sealing import Unsealable, seal, unseal


def test_what_is_sealed_is_read_in_its_place_alone() -> None:
    sealed = seal("whsec_ä", "table:1:secret")
    assert unseal(sealed, "table:1:secret") == "whsec_ä"
    assert b"whsec" not in sealed
    assert sealed != seal("whsec_ä", "table:1:secret")
    for place in ("table:2:secret", "table:1:other", ""):
        with pytest.raises(Unsealable, match="altered, or moved"):
            unseal(sealed, place)


def test_every_altered_byte_is_noticed() -> None:
    sealed = seal("secret", "here")
    for number in range(len(sealed)):
        altered = bytearray(sealed)
        altered[number] ^= 1
        with pytest.raises(Unsealable):
            unseal(bytes(altered), "here")
    for cut in (b"", sealed[:-1], sealed[:5], b"k1."):
        with pytest.raises(Unsealable):
            unseal(cut, "here")


def test_a_retired_key_still_reads_and_a_lost_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = seal("secret", "here")
    old, new = keyring.current("secrets"), keyring.Key("k9", b"n" * 40)
    monkeypatch.setattr(keyring, "keyring", lambda: {"secrets": (new, old)})
    assert unseal(sealed, "here") == "secret"
    assert seal("secret", "here").startswith(b"k9.")
    monkeypatch.setattr(keyring, "keyring", lambda: {"secrets": (new,)})
    with pytest.raises(Unsealable, match="does not have any more"):
        unseal(sealed, "here")
