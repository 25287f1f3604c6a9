"""What the tests of import and export share."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from prompts.models import PromptVersion, Release

BEGINNING = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)

type Files = dict[str, bytes | str]


def day(number: float) -> str:
    """An instant of the export, so many days after its beginning."""
    return (BEGINNING + timedelta(days=number)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def put(root: Path, files: Files) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def run_import(path: Path, project: str = "shop", *arguments: str) -> dict[str, Any]:
    """The report of an import; `exit` is the command's status."""
    out, status = StringIO(), 1
    with suppress(SystemExit):
        call_command("import_prompts", str(path), "--project", project, "--json", *arguments, stdout=out)
        status = 0
    report: dict[str, Any] = json.loads(out.getvalue())
    return report | {"exit": status}


def refused_import(path: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The sentence with which an import is refused as a whole."""
    with pytest.raises(SystemExit) as left:
        call_command("import_prompts", str(path), "--project", "shop", *arguments)
    assert left.value.code == 1
    return capsys.readouterr().err.strip()


def run_export(path: Path, project: str = "shop") -> dict[str, Any]:
    out = StringIO()
    call_command("export_prompts", str(path), "--project", project, "--json", stdout=out)
    report: dict[str, Any] = json.loads(out.getvalue())
    return report


def bytes_below(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def assert_adds_up() -> None:
    out = StringIO()
    call_command("verify", stdout=out)
    assert out.getvalue().strip().endswith("Everything adds up.")


def versions(name: str, project: str = "shop") -> list[PromptVersion]:
    found = PromptVersion.objects.filter(prompt__project__name=project, prompt__name=name)
    return list(found.select_related("prompt", "author").order_by("number"))


def ledger(name: str, channel: str = "stable", project: str = "shop") -> list[tuple[int, str, str]]:
    rows = Release.objects.filter(prompt__project__name=project, prompt__name=name, channel__name=channel)
    return [(r.version.number, r.kind, r.at.isoformat()) for r in rows.select_related("version").order_by("revision")]


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[Files], Path]:
    """Makes a folder with these files."""

    def make(files: Files) -> Path:
        root = tmp_path / "given"
        root.mkdir(exist_ok=True)
        return put(root, files)

    return make
