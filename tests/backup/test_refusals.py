"""What a backup and a restore refuse, in one sentence each, having changed nothing."""

import fcntl
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from events import restore
from events.backup import take_backup
from promptforge.lib import backup_keys, database, keyring
from promptforge.lib.backup import DUMP, KEYS, MANIFEST, SEAL, Archive, BackupRefused, Writer, new_file, program
from promptforge.lib.cluster import APPLICATION, Cluster
from tests.backup.conftest import Machine, Source
from tests.startup.conftest import clean_environment


def refusal(act: Callable[[], Any]) -> str:
    with pytest.raises(BackupRefused) as told:
        act()
    sentence = str(told.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def forged(path: Path, keys: str = "", **manifest: Any) -> Path:
    """A small archive whose digests fit, whatever its manifest says."""
    with new_file(path) as file:
        writer = Writer(file)
        writer.add_text(DUMP, "no dump")
        writer.add_text(KEYS, keys)
        writer.finish({"migrations": [], "projects": [], "postgresql": 150000} | manifest)
    return path


@pytest.fixture(scope="module")
def taken(source: Source) -> Path:
    path = source.folder / "taken.tar"
    source.machine.manage("backup", path)
    return path


@pytest.fixture
def here(source: Source, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The source's database, asked from this process."""
    monkeypatch.setattr(database, "owner_url", lambda: source.machine.owner_url)
    monkeypatch.setattr(database, "is_external", lambda: False)
    return source.machine


# --- The file --------------------------------------------------------------------------------------------------------
def test_a_taken_path_is_refused(tmp_path: Path, here: Machine) -> None:
    path = tmp_path / "mine.tar"
    path.write_text("mine")
    sentence = refusal(lambda: take_backup(path))
    assert sentence == f"{path} is there already: choose another name, for a backup is never overwritten."
    assert path.read_text() == "mine"
    assert "cannot be written: No such file" in refusal(lambda: take_backup(tmp_path / "no" / "folder.tar"))


def test_an_unmade_database_is_not_backed_up(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "owner_url", lambda: source.machine.owner_url.replace("/promptforge?", "/postgres?"))
    assert "There is nothing to back up" in refusal(lambda: take_backup(tmp_path / "none.tar"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", [DUMP, KEYS, MANIFEST, SEAL])
def test_one_changed_byte_is_noticed(taken: Path, tmp_path: Path, part: str) -> None:
    with tarfile.open(taken) as tar:
        place = tar.getmember(part).offset_data + 20
    content = bytearray(taken.read_bytes())
    content[place] ^= 1
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(content)
    assert "is damaged" in refusal(lambda: Archive(damaged))


def test_what_is_no_backup_is_refused(taken: Path, tmp_path: Path) -> None:
    whole, path = taken.read_bytes(), tmp_path / "other"
    for content in (b"", b"no tar", whole[: len(whole) // 2], whole[:700], bytes(10240)):
        path.write_bytes(content)
        assert "is no backup of PromptForge, or is damaged" in refusal(lambda: Archive(path))
    assert "There is no file" in refusal(lambda: Archive(tmp_path / "none"))
    with tarfile.open(path, "w") as tar:
        link = tarfile.TarInfo(MANIFEST)
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert "is no backup" in refusal(lambda: Archive(path))


def test_newer_releases_are_refused(tmp_path: Path, here: Machine) -> None:
    newer = Archive(forged(tmp_path / "newer.tar", migrations=["events.0001_initial", "events.9999_future"]))
    assert "is of a newer PromptForge (events.9999_future" in refusal(lambda: restore.check_release(newer))
    later = Archive(forged(tmp_path / "later.tar", postgresql=990000))
    assert "does not fit into the older 18" in refusal(lambda: restore.check_target(later, 1))
    assert "another release" in refusal(lambda: Archive(forged(tmp_path / "format.tar", format=2)))


FILL = """
import sys
from pathlib import Path
from promptforge.lib.backup import BackupRefused, Writer, new_file
try:
    with new_file(Path(sys.argv[1])) as file:
        Writer(file).add("database.dump", lambda size: bytes(size))
except BackupRefused as refusal:
    print(refusal)
"""


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk to fill")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        said = subprocess.run(
            [sys.executable, "-c", FILL, str(disk / "one.tar")],
            env=clean_environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert said.stdout == f"{disk / 'one.tar'} cannot be written: No space left on device.\n"
        assert list(disk.iterdir()) == []


def test_what_a_killed_backup_left_is_removed_by_the_next_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    left, other = tmp_path / ".one.tar.0123abcd.partial", tmp_path / ".notes.partial"
    left.write_text("texts and keys")
    other.write_text("somebody's own")
    with new_file(tmp_path / "two.tar"):
        (held,) = tmp_path.glob(".two.tar.*.partial")
        with new_file(tmp_path / "three.tar"):
            assert (left.exists(), held.exists()) == (False, True)
    assert sorted(tmp_path.iterdir()) == [other, tmp_path / "three.tar", tmp_path / "two.tar"]


# --- The programs ----------------------------------------------------------------------------------------------------
def fake_program(folder: Path, major: int) -> Path:
    folder.mkdir()
    path = folder / "pg_dump"
    path.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {major}.2 (Debian)'\n")
    path.chmod(0o755)
    return path


def test_the_program_of_the_server_s_own_version_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "is_external", lambda: True)
    paths = {major: fake_program(tmp_path / str(major), major) for major in (18, 14, 16)}
    monkeypatch.setenv("PATH", os.pathsep.join(str(path.parent) for path in paths.values()))
    assert program("pg_dump", 16) == str(paths[16])
    assert program("pg_dump", 17) == str(paths[18])
    assert refusal(lambda: program("pg_dump", 19)) == (
        "There is no pg_dump of PostgreSQL 19 or newer on the PATH: install its client programs."
    )


def test_the_password_is_on_no_command_line(tmp_path: Path, here: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program tells what it was given: words without the password, and an environment with it."""
    spy = tmp_path / "pg_dump"
    spy.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/words"; env > "{tmp_path}/env"; exit 1\n')
    spy.chmod(0o755)
    monkeypatch.setattr("events.backup.program", lambda name, major: str(spy))
    url = here.owner_url.replace("promptforge_owner@", "promptforge_owner:hush-hush@")
    monkeypatch.setattr(database, "owner_url", lambda: url)
    assert "pg_dump failed" in refusal(lambda: take_backup(tmp_path / "one.tar"))
    assert "hush-hush" not in (tmp_path / "words").read_text()
    assert "PGPASSWORD=hush-hush" in (tmp_path / "env").read_text()
    assert not (tmp_path / "one.tar").exists()


# --- The target ------------------------------------------------------------------------------------------------------
def test_a_database_in_use_or_not_empty_is_refused(here: Machine, taken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive(taken)
    assert "it holds 1 projects. --replace 1 drops everything" in refusal(lambda: restore.check_target(archive, None))
    assert "holds 1 projects and not 2" in refusal(lambda: restore.check_target(archive, 2))
    assert restore.check_target(archive, 1) == 18
    with psycopg.connect(here.owner_url):
        assert "1 other sessions use this database" in refusal(lambda: restore.check_target(archive, 1))
    application = Cluster(here.home).url(APPLICATION)
    monkeypatch.setattr(database, "owner_url", lambda: application)
    assert "The role promptforge_app does not own" in refusal(lambda: restore.check_target(archive, 1))


def test_strange_tables_are_never_dropped(here: Machine, taken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(here.owner_url, autocommit=True) as owner:
        owner.execute("CREATE DATABASE strange")
        url = here.owner_url.replace("/promptforge?", "/strange?")
        with psycopg.connect(url) as strange:
            strange.execute("CREATE TABLE invoices ()")
        monkeypatch.setattr(database, "owner_url", lambda: url)
        assert "tables of something else (invoices)" in refusal(lambda: restore.check_target(Archive(taken), 0))
        owner.execute("DROP DATABASE strange")


def test_a_running_server_keeps_its_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTFORGE_VAR", str(tmp_path))
    with (tmp_path / "server.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "PromptForge runs on this database" in refusal(lambda: restore.nobody_serves().__enter__())
    with restore.nobody_serves():
        assert "which restores a backup" in (tmp_path / "server.lock").read_text()


def test_a_dump_that_ends_early_is_not_committed(
    here: Machine, taken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the reader of the backup is killed: what came so far is whole SQL, and still nothing of it stays."""
    with tarfile.open(taken) as tar:
        dump = tar.extractfile(DUMP)
        assert dump is not None
        content = dump.read()
    before = here.sql("SELECT * FROM public.events_serving")
    for cut in (len(content) // 2, len(content) - 10, 100):
        archive = Archive(taken)
        monkeypatch.setattr(archive, "copy", lambda name, into, cut=cut: into.write(content[:cut]))
        assert "The restore failed: pg_restore: error:" in refusal(lambda archive=archive: restore.load(archive, 18))
        assert here.sql("SELECT * FROM public.events_serving") == before
    monkeypatch.setattr(restore, "WHOLE", b"")
    assert "the dump ended early" in refusal(lambda: restore.load(Archive(taken), 18))
    assert here.sql("SELECT * FROM public.events_serving") == before


def test_a_newer_checkpoint_file_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.jsonl"
    assert restore.put_checkpoints(path, "one\n", "now") is None
    assert restore.put_checkpoints(path, "one\n", "now") is None
    path.write_text("one\ntwo\nthree\n")
    aside = tmp_path / "checkpoints.jsonl.before-restore-now"
    assert restore.put_checkpoints(path, "one\n", "now") == (
        f"The checkpoint file here has 3 lines and the backup's 1: it is kept as {aside}."
    )
    assert (path.read_text(), aside.read_text()) == ("one\n", "one\ntwo\nthree\n")
    assert "the backup's 0" in (restore.put_checkpoints(path, None, "later") or "")
    assert not path.exists()


# --- The keys --------------------------------------------------------------------------------------------------------
API_KEY = "k1:api-key:" + "e" * 32


def ring(**secrets: str) -> str:
    return "".join(f"{name.split('_')[0]}:{name.split('_')[1]}:{secret * 32}\n" for name, secret in secrets.items())


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PROMPTFORGE_VAR", str(tmp_path))
    monkeypatch.delenv("PROMPTFORGE_KEYS", raising=False)
    path = tmp_path / "keys"
    path.write_text(
        ring(k1_receipt="a", k0_receipt="b", k1_checkpoint="c", k1_django="d", k1_secrets="s")
        + "k1:api-key:"
        + "e" * 32
    )
    path.chmod(0o600)
    yield path
    keyring.keyring.cache_clear()
    keyring.django_secret_key.cache_clear()


def test_the_backup_s_keys_become_current_and_none_is_lost(keys: Path) -> None:
    former = keys.read_text()
    archived = ring(k1_receipt="z", k1_checkpoint="c", k1_django="y") + "k2:api-key:" + "x" * 32 + "\n"
    aside = backup_keys.merge(archived, "now")
    assert aside is not None
    assert aside.read_text() == former
    found = {purpose: [(key.id, key.secret[:1]) for key in held] for purpose, held in keyring.keyring().items()}
    assert found["receipt"] == [("k1", b"z"), ("k0", b"b")]
    assert found["api-key"] == [("k2", b"x"), ("k1", b"e")]
    assert found["checkpoint"] == [("k1", b"c")]
    assert keyring.django_secret_key() == "y" * 32
    assert {path.stat().st_mode & 0o777 for path in (keys, aside)} == {0o600}
    assert backup_keys.merge(archived, "later") is None


def test_a_ring_in_the_environment_must_have_them(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    former = keys.read_text()
    monkeypatch.setenv("PROMPTFORGE_KEYS", former)
    backup_keys.check_environment(former)
    sentence = refusal(lambda: backup_keys.check_environment(ring(k7_receipt="z") + former))
    assert "lacks keys of the backup (k7:receipt)" in sentence
    assert "zzz" not in sentence
    assert backup_keys.merge(ring(k7_receipt="z"), "now") is None
    assert keys.read_text() == former


# --- The command -----------------------------------------------------------------------------------------------------
def test_the_command_says_one_sentence(source: Source, taken: Path) -> None:
    said = source.machine.manage("restore", taken, code=1)
    assert said.startswith("This database is not empty")
    assert said.count("\n") == 1


@pytest.mark.parametrize("json", [pytest.param([], marks=pytest.mark.full), ["--json"]])
def test_a_load_that_fails_leaves_the_former_keys(source: Source, tmp_path: Path, json: list[str]) -> None:
    """The keys of the backup have the same names as those here, whose database stays."""
    machine, archived = source.machine, ring(k1_receipt="z", k1_checkpoint="y", k1_secrets="x") + API_KEY
    before, keys = source.look(machine), (machine.home / "keys").read_text()
    said = machine.manage("restore", forged(tmp_path / "torn.tar", archived), "--replace", "1", *json, code=1)
    joined, back = (line for line in said.splitlines() if "key file" in line)
    assert joined.startswith("The key file was joined with the backup's keys")
    assert back == "The restore did not happen: the former key file is in its place again."
    assert "The restore failed: pg_restore: error:" in said
    assert (machine.home / "keys").read_text() == keys
    assert list(machine.home.glob("keys.before-restore-*")) == []
    assert source.look(machine) == before
