"""The file of checkpoints: what it vouches for, what it weighs, and what a kill or a full disk leaves in it."""

import json
import subprocess
import sys
import uuid
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from promptforge.lib.checkpoint_file import append, whole_lines
from prompts.actions.versions import save_version
from prompts.models import Prompt
from prompts.verification import verify, write_checkpoint
from tests.history.conftest import broken
from tests.personas import Team
from tests.plugin import ROOT
from tests.races.conftest import at_once

HALF = '{"body":"{\\"chai'


def checkpoints(team: Team, history: Prompt, count: int) -> None:
    """So many lines, of which each knows one version more."""
    for _ in range(count):
        save_version(by=team.ada, prompt=history, content=f"Text {uuid.uuid4()}")
        write_checkpoint()


def test_a_checkpoint_that_is_written_while_verify_reads(team: Team, history: Prompt, checkpoint_file: Path) -> None:
    write_checkpoint()
    findings = verify(team.project)
    next(findings)  # the snapshot is taken
    assert at_once(1, lambda _: checkpoints(team, history, 1)) == [None]
    assert len(checkpoint_file.read_text().splitlines()) == 2
    assert [finding.line for finding in findings if finding.broken] == []


def test_nothing_is_written_until_a_chain_moves(team: Team, history: Prompt, checkpoint_file: Path) -> None:
    write_checkpoint()
    write_checkpoint()
    assert len(checkpoint_file.read_text().splitlines()) == 1
    checkpoints(team, history, 1)
    write_checkpoint()
    assert len(checkpoint_file.read_text().splitlines()) == 2


def test_the_number_of_queries_does_not_grow_with_the_file(team: Team, history: Prompt, checkpoint_file: Path) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert [finding for finding in verify(team.project) if finding.broken] == []
        return len(asked)

    checkpoints(team, history, 1)
    before = queries()
    checkpoints(team, history, 5)
    assert queries() == before


def test_a_checkpoint_that_was_forged_or_spoilt(team: Team, history: Prompt, checkpoint_file: Path) -> None:
    checkpoints(team, history, 2)
    assert broken(team) == {}
    good = checkpoint_file.read_text()
    first, second = good.splitlines()
    entry = json.loads(second)
    body = json.loads(entry["body"])
    body["chains"][str(team.project.pk)][0] -= 1
    for forged in (entry | {"body": json.dumps(body)}, entry | {"mac": "0"}, entry | {"key": "k9"}):
        checkpoint_file.write_text(f"{first}\n{json.dumps(forged)}\n")
        assert broken(team) == {"checkpoints": "line 2 of the checkpoint file was not signed here"}
    for spoilt in (second[:-20], "[]", '{"body":5,"key":"k1","mac":""}', "\udcff\0"):
        checkpoint_file.write_bytes(f"{first}\n{spoilt}\n".encode(errors="surrogateescape"))
        assert broken(team) == {"checkpoints": "line 2 of the checkpoint file cannot be read"}


def test_a_line_that_was_left_unfinished(team: Team, history: Prompt, checkpoint_file: Path) -> None:
    """It does not count while it is the last one; then it is a line of its own, and a later one vouches for it."""
    checkpoints(team, history, 1)
    with checkpoint_file.open("a") as file:
        file.write(HALF)
    assert broken(team) == {}
    out = StringIO()
    call_command("verify", stdout=out)
    assert "warning" not in out.getvalue()

    checkpoints(team, history, 1)
    assert checkpoint_file.read_text().splitlines()[1] == HALF
    assert broken(team) == {}
    call_command("verify", stdout=out)
    said = "warning checkpoints: line 2 of the checkpoint file cannot be read; a later one vouches"
    assert [f"{name}  {said}" in out.getvalue() for name in ("shop", "accounts")] == [True, True]

    # And what a later line does not vouch for is no warning.
    lines = checkpoint_file.read_text().splitlines()
    checkpoint_file.write_text("\n".join(lines[:2]) + "\n")
    assert broken(team) == {"checkpoints": "line 2 of the checkpoint file cannot be read"}


FILL = """
import resource, signal, sys
from pathlib import Path
from promptforge.lib.checkpoint_file import append
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    append(Path(sys.argv[1]), "2" * 120)
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.parametrize("before", ["1" * 70 + "\n", "1" * 70 + "\n" + HALF])
def test_a_full_disk_leaves_no_half_line(tmp_path: Path, before: str) -> None:
    path = tmp_path / "file"
    path.write_text(before)
    done = subprocess.run([sys.executable, "-c", FILL, str(path)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "File too large\n"
    assert path.read_text() == before
    assert whole_lines(path) == "1" * 70 + "\n"


def test_lines_that_begin_or_end_alike_are_different_lines(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there" / "yet"
    assert whole_lines(path) is None
    for line in ("ab", "ab", "b", "abb", "abb", "bb"):
        append(path, line)
    assert whole_lines(path) == "ab\nb\nabb\nbb\n"
