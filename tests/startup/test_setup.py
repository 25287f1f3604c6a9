"""`script/setup` in a folder with spaces in its name: fresh, again, changed, half made, moved, without a Python."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from promptforge.env import ROOT
from tests.startup.conftest import clean_environment

# What a bare machine has on its PATH; no Python among it.
TOOLS = ["cat", "chmod", "cmp", "cp", "dirname", "env", "flock", "id", "mkdir", "rm", "sed", "sh", "touch", "uname"]


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(found)
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose lists of requirements are empty, so that nothing is fetched."""
    folder = tmp_path / "my check out"
    (folder / "script").mkdir(parents=True)
    shutil.copy(ROOT / "script" / "setup", folder / "script")
    (folder / ".python-version").write_text("3.13\n")
    for name in ("requirements.txt", "requirements-dev.txt"):
        (folder / name).write_text("# nothing\n")
    return folder


def setup(checkout: Path, tools: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = clean_environment(PATH=str(tools), HOME=str(tools.parent))
    environment.pop("PYENV_ROOT", None)
    return subprocess.run(
        [str(checkout / "script" / "setup"), *arguments],
        cwd="/", env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def offer_python(tools: Path) -> None:
    """Put this Python on the PATH as python3."""
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    (tools / "python3").symlink_to(base)


def inode(checkout: Path) -> int:
    return (checkout / ".venv" / "pyvenv.cfg").stat().st_ino


def test_it_does_what_is_missing_and_no_more(checkout: Path, tools: Path) -> None:
    offer_python(tools)
    first = setup(checkout, tools)
    assert first.returncode == 0, first.stderr
    assert "making .venv with Python 3." in first.stderr
    assert "installing requirements.txt" in first.stderr
    made = inode(checkout)

    began = time.monotonic()
    again = setup(checkout, tools)
    assert (again.returncode, again.stderr) == (0, "")
    assert time.monotonic() - began < 1

    (checkout / "requirements.txt").write_text("# nothing more\n")
    changed = setup(checkout, tools)
    assert changed.stderr == "script/setup: installing requirements.txt (each file is checked against its hash)\n"
    assert inode(checkout) == made

    (checkout / ".venv" / "installing").touch()  # killed in the middle
    assert "making .venv" in setup(checkout, tools).stderr
    assert not (checkout / ".venv" / "installing").exists()


@pytest.mark.full
def test_a_moved_environment_and_a_vanished_python_are_mended(checkout: Path, tools: Path) -> None:
    offer_python(tools)
    setup(checkout, tools, "--dev")
    moved = checkout.rename(checkout.with_name("moved"))
    assert "making .venv" in setup(moved, tools, "--dev").stderr
    assert str(moved) in (moved / ".venv" / "bin" / "pip").read_text()
    for name in ("python", "python3", f"python3.{sys.version_info.minor}"):
        (moved / ".venv" / "bin" / name).unlink()
    assert "making .venv" in setup(moved, tools, "--dev").stderr
    assert setup(moved, tools).stderr == ""  # the development list holds everything of the other one


def test_no_python_is_one_sentence(checkout: Path, tools: Path) -> None:
    done = setup(checkout, tools)
    assert done.returncode == 1
    assert done.stderr == (
        "script/setup: no Python 3.12, 3.13 or 3.14 found; "
        "install one (or uv, which brings its own) and run this again\n"
    )
    assert not (checkout / ".venv").exists()


def test_a_python_without_venv_is_named_with_its_remedy(checkout: Path, tools: Path) -> None:
    incomplete = tools / "python3"
    incomplete.write_text(
        '#!/bin/sh\ncase "$2" in\n*ensurepip*) exit 1 ;;\n*"%d.%d"*) echo 3.13 ;;\n*) exit 0 ;;\nesac\n'
    )
    incomplete.chmod(0o755)
    done = setup(checkout, tools)
    assert done.returncode == 1
    assert done.stderr == (
        f"script/setup: {incomplete} lacks the modules venv and ensurepip; "
        "on Debian and Ubuntu: apt-get install python3.13-venv\n"
    )


def test_a_python_that_is_too_old_or_too_new_is_passed_over(checkout: Path, tools: Path) -> None:
    for name in ("python3", "python3.13"):
        (tools / name).write_text("#!/bin/sh\nexit 1\n")
        (tools / name).chmod(0o755)
    assert "no Python 3.12, 3.13 or 3.14 found" in setup(checkout, tools).stderr


def test_an_unknown_option_is_refused(checkout: Path, tools: Path) -> None:
    done = setup(checkout, tools, "--fast")
    assert (done.returncode, done.stderr) == (1, "script/setup: unknown option --fast; see script/setup --help\n")
    assert "script/setup --dev" in setup(checkout, tools, "--help").stdout


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "script").iterdir() if path.is_file()))
def test_every_script_parses_and_is_executable(name: str) -> None:
    path = ROOT / "script" / name
    assert os.access(path, os.X_OK)
    if path.read_bytes().startswith(b"#!/bin/sh"):
        subprocess.run(["sh", "-n", str(path)], check=True)
