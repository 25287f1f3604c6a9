"""A backup taken while others write comes back whole on an empty machine, behind a fence, with keys that still fit."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from promptforge.lib.backup import CHECKPOINTS, DUMP, KEYS, Archive
from promptforge.lib.cluster import APPLICATION, Cluster
from tests.backup.conftest import Machine, Source, mode, reached

CHECKPOINT = """
from prompts.tasks import write_checkpoint
write_checkpoint()
print("null")
"""
# What decides whose keys stay when a restore ends early.
IS_LOADED = """
from pathlib import Path
from events.restore import is_loaded
from promptforge.lib.backup import Archive
print(json.dumps(is_loaded(Archive(Path(json.loads(sys.argv[1]))))))
"""


def backup_while_writing(source: Source, path: Path, before: int) -> tuple[int, int]:
    """The last version that was acknowledged before the backup began, and after it had ended."""
    writer = source.machine.write()
    try:
        acknowledged = reached(writer, before)
        source.machine.manage("backup", path)
    finally:
        rest, _ = writer.communicate("")
    return acknowledged, int(rest.split()[-1])


def test_it_comes_back_whole_and_fenced(source: Source, new_machine: Callable[..., Machine]) -> None:
    path, before = source.folder / "one.tar", source.look(source.machine)
    acknowledged, last = backup_while_writing(source, path, (before["live"] or 0) + 8)
    archive = Archive(path)
    assert mode(path) == 0o600
    assert set(archive.manifest["parts"]) == {DUMP, KEYS, CHECKPOINTS}
    assert [entry.name for entry in source.folder.iterdir() if "partial" in entry.name] == []

    target = new_machine()
    assert not target.ask(IS_LOADED, str(path))
    said = json.loads(target.manage("restore", path, "--json"))
    assert [target.ask(IS_LOADED, str(path)), source.machine.ask(IS_LOADED, str(path))] == [True, False]
    assert said["wrong"] == []
    assert said["checked"] > 5
    assert said["fenced"]
    found, (accounts, project) = source.look(target), archive.manifest["projects"]
    assert accounts["project_id"] == 0
    assert (found["key"], found["receipt"], found["guards"]) == ("shop", True, [])
    assert acknowledged <= found["live"] <= last
    assert project["counts"]["release.made"] in (found["live"] - 1, found["live"])
    generation, epoch, transaction = found["serving"][str(project["project_id"])]
    assert generation == project["generation"]
    assert epoch != project["epoch"]
    assert transaction == 0

    # Held until a person confirms; the serving role cannot let itself out.
    assert found["fenced"]
    checkpoints = target.checkpoints.read_text()
    target.ask(CHECKPOINT)
    assert target.checkpoints.read_text() == checkpoints
    with (
        psycopg.connect(Cluster(target.home).url(APPLICATION)) as application,
        pytest.raises(psycopg.errors.CheckViolation, match="by the owner of the tables"),
    ):
        application.execute("UPDATE public.events_restorefence SET confirmed_at = now()")
    assert "go on" in target.manage("restore", "--confirm")
    target.ask(CHECKPOINT)
    assert target.checkpoints.read_text() != checkpoints
    for statement in (
        "UPDATE public.events_restorefence SET confirmed_at = now()",
        "DELETE FROM public.events_restorefence",
        "TRUNCATE public.events_restorefence",
    ):
        with pytest.raises(psycopg.errors.CheckViolation):
            target.sql(statement)


@pytest.mark.full
def test_backups_in_the_rush_all_verify(source: Source, new_machine: Callable[..., Machine]) -> None:
    """Three writers; each backup holds every write that was acknowledged before it began."""
    target = new_machine()
    writers = [source.machine.write(f"rush/{number}") for number in range(3)]
    try:
        for turn in range(4):
            acknowledged = [reached(writer, turn + 2) for writer in writers]
            path = source.folder / f"rush{turn}.tar"
            source.machine.manage("backup", path)
            target.manage("restore", path, *(["--replace", "1"] if turn else []))
            for number, least in enumerate(acknowledged):
                ((saved,),) = target.sql(f"SELECT next_number - 1 FROM prompts_prompt WHERE name = 'rush/{number}'")
                assert saved >= least
            path.unlink()
    finally:
        for writer in writers:
            writer.communicate("")


@pytest.mark.full
def test_an_older_backup_goes_with_its_own_checkpoints(source: Source, new_machine: Callable[..., Machine]) -> None:
    """The file here remembers what the older database does not: it is kept aside, and said."""
    machine = new_machine()
    path, later = source.folder / "old.tar", source.folder / "later.tar"
    source.machine.manage("backup", path)
    machine.manage("restore", path)
    machine.manage("restore", "--confirm")
    writer = machine.write()
    reached(writer, 1)
    writer.communicate("")
    machine.ask(CHECKPOINT)
    newer = machine.checkpoints.read_text()
    machine.manage("backup", later)
    assert "is not empty: it holds 1 projects" in machine.manage("restore", path, code=1)

    said = machine.manage("restore", path, "--replace", "1")
    (aside,) = machine.home.glob("checkpoints.jsonl.before-restore-*")
    assert str(aside) in said
    assert aside.read_text() == newer
    assert machine.checkpoints.read_text() == Archive(path).text(CHECKPOINTS)
    assert "Everything adds up." in machine.manage("verify")

    shutil.copy(aside, machine.checkpoints)
    assert "the chain of events was cut" in machine.manage("verify", code=1)
