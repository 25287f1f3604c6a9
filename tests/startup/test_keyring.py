"""The key ring: made once and privately, read from the environment when named there, refused when malformed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from promptforge.env import ROOT
from promptforge.lib import keyring
from tests.startup.conftest import clean_environment

SECRET = "s" * 32
WHOLE = f"""r2:receipt:{SECRET}2,r1:receipt:{SECRET}1
# a comment, with a comma
a1:api-key:{SECRET}:with:colons
c1:checkpoint:{SECRET}
s1:secrets:{SECRET}"""


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A var directory without keys, and nothing remembered before or after."""
    for name in ("PROMPTFORGE_KEYS", "PROMPTFORGE_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PROMPTFORGE_VAR", str(tmp_path / "var"))
    _forget()
    yield
    _forget()


def _forget() -> None:
    keyring.keyring.cache_clear()
    keyring.django_secret_key.cache_clear()


def test_first_use_makes_a_private_file_that_stays(tmp_path: Path) -> None:
    first = {purpose: keyring.current(purpose) for purpose in keyring.PURPOSES}
    django = keyring.django_secret_key()
    assert (tmp_path / "var" / "keys").stat().st_mode & 0o777 == 0o600
    assert len({key.secret for key in first.values()} | {django.encode()}) == 5
    assert list((tmp_path / "var").iterdir()) == [tmp_path / "var" / "keys"]
    _forget()
    assert {purpose: keyring.current(purpose) for purpose in keyring.PURPOSES} == first
    assert keyring.django_secret_key() == django


def test_the_first_signs_and_the_retired_still_verify(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROMPTFORGE_KEYS", WHOLE)
    assert keyring.current("receipt") == keyring.Key("r2", f"{SECRET}2".encode())
    assert keyring.find("receipt", "r1") == keyring.Key("r1", f"{SECRET}1".encode())
    assert keyring.current("api-key").secret == f"{SECRET}:with:colons".encode()
    assert keyring.find("receipt", "a1") is None
    assert keyring.find("nothing", "r1") is None
    assert not (tmp_path / "var").exists()


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    program = (
        "from promptforge.lib import keyring; print(keyring.current('receipt').secret, keyring.django_secret_key())"
    )
    environment = clean_environment(PROMPTFORGE_VAR=str(tmp_path / "shared"))
    command = [sys.executable, "-c", program]
    started = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(6)
    ]
    printed = {process.communicate()[0] for process in started}
    assert len(printed) == 1
    assert len(printed.pop()) > 100


@pytest.mark.parametrize(
    ("ring", "sentence"),
    [
        ("r1:receipt", "key 1 does not have three parts"),
        (f"R.1:receipt:{SECRET}", "an id that is not 1 to 16 lower-case letters"),
        (f"r1:recipe:{SECRET}", "an unknown purpose"),
        ("r1:receipt:hunter2", "a secret shorter than 32 characters"),
        (f"r1:receipt:{SECRET},r1:receipt:{SECRET}2", "key 2 has the id r1, which another key for receipt has too"),
        (f"r1:receipt:{SECRET}", "no key for the purpose api-key"),
        (WHOLE.rpartition("\n")[0], "no key for the purpose secrets: add a line id:secrets:secret"),
    ],
)
def test_a_malformed_ring_is_refused_without_quoting_it(
    monkeypatch: pytest.MonkeyPatch, ring: str, sentence: str
) -> None:
    monkeypatch.setenv("PROMPTFORGE_KEYS", ring)
    with pytest.raises(ImproperlyConfigured) as refused:
        keyring.keyring()
    assert sentence in str(refused.value)
    assert SECRET not in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    keyring.keyring()
    (tmp_path / "var" / "keys").chmod(mode)
    _forget()
    with pytest.raises(ImproperlyConfigured, match="can be read by others: run chmod 600"):
        keyring.keyring()


def test_a_short_secret_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTFORGE_SECRET_KEY", "secret")
    with pytest.raises(ImproperlyConfigured, match="PROMPTFORGE_SECRET_KEY is too short"):
        keyring.django_secret_key()
    monkeypatch.setenv("PROMPTFORGE_SECRET_KEY", SECRET)
    assert keyring.django_secret_key() == SECRET


def test_a_file_of_an_earlier_release_gets_what_came_since_once(tmp_path: Path) -> None:
    """Three processes find the old file at once; all use the one key that the first of them appended."""
    keyring.keyring()
    file = tmp_path / "var" / "keys"
    former = "".join(line for line in file.read_text().splitlines(keepends=True) if ":secrets:" not in line).rstrip(
        "\n"
    )
    file.write_text(former)
    program = "from promptforge.lib import keyring; print(keyring.current('secrets').secret.decode())"
    environment = clean_environment(PROMPTFORGE_VAR=str(tmp_path / "var"))
    command = [sys.executable, "-c", program]
    started = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    (secret,) = {process.communicate()[0].strip() for process in started}
    assert file.read_text() == f"{former}\nk1:secrets:{secret}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    _forget()
    assert keyring.current("secrets") == keyring.Key("k1", secret.encode())


def test_a_file_that_lost_another_key_gets_no_new_one(tmp_path: Path) -> None:
    """A fresh key for API keys would end every key that there is, in silence."""
    keyring.keyring()
    file = tmp_path / "var" / "keys"
    file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if ":api-key:" not in line))
    _forget()
    with pytest.raises(ImproperlyConfigured, match="no key for the purpose api-key"):
        keyring.keyring()
