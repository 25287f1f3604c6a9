"""What README and docs/ say is so: names, options, codes and links at once; the first five minutes on a real server."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import load_command_class
from django.core.management.base import BaseCommand
from django.urls import URLResolver

from events.kinds import EventKind
from promptforge import api
from promptforge.env import KNOWN, ROOT
from promptforge.lib.errors import CODES
from tests.startup.conftest import clean_environment, free_port, home, wait_until

__all__ = ["home"]

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = sorted(
    (path.parts[-4], path.stem)
    for path in ROOT.glob("*/management/commands/*.py")
    if path.stem not in ("__init__", "migrate")  # migrate is Django's, with the guards after it
)
_FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands below a heading, down to the next one of the same level or a higher one."""
    level = heading.split(maxsplit=1)[0]
    _, found, rest = f"\n{text}".partition(f"\n{heading}\n")
    assert found, f"there is no heading {heading}"
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def without_code(text: str) -> str:
    return _FENCE.sub("", text)


# --- Names -----------------------------------------------------------------------------------------------------------
def test_the_environment_variables_are_those_that_are_read() -> None:
    told = set(re.findall(r"\bPROMPTFORGE_[A-Z_]*[A-Z]\b", read("docs/operations.md")))
    assert {name.removesuffix("_FILE") for name in told} == KNOWN
    everywhere = set(re.findall(r"\bPROMPTFORGE_[A-Z_]*[A-Z]\b", "".join(page.read_text() for page in PAGES)))
    assert {name.removesuffix("_FILE") for name in everywhere} <= KNOWN


@pytest.mark.parametrize(("app", "name"), COMMANDS, ids=[name for _, name in COMMANDS])
def test_every_command_is_told_with_its_options(app: str, name: str) -> None:
    told = section(read("docs/operations.md"), f"### {name}")
    usual = {option for action in BaseCommand().create_parser("", "")._actions for option in action.option_strings}
    parser = load_command_class(app, name).create_parser("manage.py", name)
    ours = {option for action in parser._actions for option in action.option_strings} - usual
    missing = {option for option in ours if not re.search(rf"{option}(?![\w-])", told)}
    assert missing == set()
    invented = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", told)) - ours - usual
    assert invented == set()


def test_every_kind_of_event_is_told() -> None:
    told = set(re.findall(r"`([a-z]+\.[a-z]+)`", section(read("docs/concepts.md"), "## Events and seals")))
    assert set(EventKind.values) <= told


def calls_that_exist() -> set[str]:
    """`GET /versions/{}` and the like: every address with every method that it answers; those of /api/v1 without it."""
    found = set()
    for included in (entry for entry in api.urlpatterns if isinstance(entry, URLResolver)):
        prefix = "" if str(included.pattern) == "v1/" else f"api/{included.pattern}"
        for route in included.url_patterns:
            path = prefix + re.sub(r"<[^>]+>", "{}", str(route.pattern))
            view = route.callback.view_class
            verbs = [verb for verb in view.http_method_names if verb not in ("head", "options") and hasattr(view, verb)]
            found |= {f"{verb.upper()} /{path}" for verb in verbs}
    return found


def test_every_call_is_told_and_none_is_invented() -> None:
    told = re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`?\s]*)", read("docs/api.md"))
    assert {re.sub(r"{\w+}", "{}", call).replace(" /api/v1/", " /") for call in told} == calls_that_exist()


def codes_told(text: str) -> Iterator[str]:
    """Words in code type that a page gives as codes: in a column `code`, as `"code": …` and alone in parentheses."""
    yield from re.findall(r'"code": "(\w+)"', text)
    yield from re.findall(r"\(`([a-z]+(?:_[a-z]+)+)`\)", without_code(text))
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        rows = [[cell.strip() for cell in row.split("|")] for row in table.splitlines()]
        if "code" in rows[0]:
            column = rows[0].index("code")
            yield from (code for row in rows[2:] for code in re.findall(r"`(\w+)`", row[column]))


def test_every_code_that_is_told_exists() -> None:
    pages = [page for page in PAGES if page.name != "architecture.md"]  # there, parentheses hold names of functions
    told = {(page.name, code) for page in pages for code in codes_told(page.read_text(encoding="utf-8"))}
    assert {row for row in told if row[1] not in CODES} == set()
    assert len({code for _, code in told}) > 60


# --- Links -----------------------------------------------------------------------------------------------------------
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code forges make them."""
    headings = re.findall(r"^#+ (.+)$", without_code(page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_pictures_are_small() -> None:
    assert [p.name for p in (ROOT / "docs" / "images").iterdir() if p.stat().st_size > 200_000] == []


# --- Voice -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_voice_is_ours(page: Path) -> None:
    said = re.sub(r"`[^`\n]*`", "", without_code(page.read_text(encoding="utf-8"))).replace("![", "[")
    assert re.findall(r"\w!|\b(?:[Pp]lease|[Oo]ops|[Pp]owerful|[Ss]eamless\w*|blazing\w*)\b", said) == []
    if page.parent.name == "docs":
        assert re.match(r"# .+\n\nFor (?:whoever|everybody) [^\n]+", page.read_text(encoding="utf-8"))


# --- The first five minutes ------------------------------------------------------------------------------------------
def steps() -> list[tuple[str, str, str]]:
    """The README's commands, each with the kind and text of the answer that it shows (empty when it shows none)."""
    blocks = [(m["kind"], m["body"]) for m in _FENCE.finditer(section(read("README.md"), "## The first five minutes"))]
    found = []
    for number, (kind, body) in enumerate(blocks):
        if kind == "sh":
            after = blocks[number + 1] if number + 1 < len(blocks) else ("sh", "")
            found.append((body, *(after if after[0] != "sh" else ("", ""))))
    return found


def agrees(shown: Any, real: Any) -> bool:
    """Whether a shortened answer is a true part of the real one; `…` stands for any text."""
    if isinstance(shown, dict):
        return isinstance(real, dict) and all(name in real and agrees(shown[name], real[name]) for name in shown)
    if isinstance(shown, list):
        return isinstance(real, list) and len(shown) == len(real) and all(map(agrees, shown, real))
    if isinstance(shown, str) and isinstance(real, str):
        return bool(re.fullmatch(".*".join(map(re.escape, shown.split("…"))), real, flags=re.DOTALL))
    return bool(shown == real)


def test_a_shortened_answer_is_compared_in_earnest() -> None:
    real = {"version": 8, "content": "Hello Ada! Good to see you", "head": {"version": 8, "revision": 9}, "hidden": []}
    assert agrees({"version": 8, "content": "Hello Ada! …", "head": {"revision": 9}, "hidden": []}, real)
    for wrong in ({"version": 9}, {"content": "Hello Ada!"}, {"head": {"revision": 8}}, {"hidden": [1]}, {"new": 1}):
        assert not agrees(wrong, real)


def test_readme_shows_an_answer_to_every_request() -> None:
    assert len(steps()) >= 11
    for command, kind, answer in steps():
        assert answer or "curl" not in command
        if kind == "json":
            json.loads(answer)


@pytest.mark.full
def test_the_first_five_minutes(home: Path) -> None:
    """Every command of README's first five minutes, in one shell, against `script/server` on a fresh var directory."""
    port, environment = free_port(), clean_environment(PROMPTFORGE_VAR=str(home), WEB_CONCURRENCY="1")
    log = home.parent / "said"
    with log.open("w") as said:
        server = subprocess.Popen(
            [str(ROOT / "script" / "server"), "--port", str(port)],
            cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_until(lambda: "Ctrl-C ends it" in log.read_text() or server.poll() is not None, 90)
        assert server.poll() is None, log.read_text()
        answers = _run([command for command, _, _ in steps()], port, environment)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=40)
    for (command, kind, shown), answer in zip(steps(), answers, strict=True):
        if kind == "json":
            assert agrees(json.loads(shown), json.loads(answer)), f"{command}\n{answer}"
        else:
            _assert_lines(shown, answer)


def _run(commands: list[str], port: int, environment: dict[str, str]) -> list[str]:
    """What each command prints, all of them run by one shell that stops at the first failure."""
    mark = "--- the next answer ---"
    script = f"\nprintf '%s' '{mark}'\n".join(commands).replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", script],
        cwd=ROOT, env=environment | {"HOME": os.environ.get("HOME", "/")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split(mark)


def _assert_lines(shown: str, answer: str) -> None:
    """Each line that is shown stands in the answer, in this order."""
    rest = answer.splitlines()
    for line in shown.splitlines():
        place = next((n for n, real in enumerate(rest) if agrees(line, real.rstrip("\r"))), None)
        assert place is not None, f"{line!r} is not (or not here) in:\n{answer}"
        rest = rest[place + 1 :]
