"""The table of refusals: each code is raised somewhere and provoked somewhere, and the pages list exactly these."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import transaction
from django.test import Client

from delivery.api import views
from promptforge.lib.error_page import markdown
from promptforge.lib.errors import CODES, DomainError
from promptforge.lib.refusals import CODE_OF_CONSTRAINT, refusals
from prompts.models import Channel, PromptVersion
from tests.api.conftest import Caller, body_of, problem_of, release, written
from tests.personas import Team
from tests.plugin import ROOT

APPS = ("accounts", "delivery", "evaluations", "events", "promptforge", "prompts")


def sources() -> Iterator[Path]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts and path.name not in ("errors.py", "error_page.py"):
                yield path


def raised() -> set[str]:
    """Every text that stands where a code does: an argument of a call, a value of a table, a refusal in SQL."""
    found = set()
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            values: list[ast.expr | None] = []
            if isinstance(node, ast.Call):
                values = [*node.args, *(keyword.value for keyword in node.keywords)]
            elif isinstance(node, ast.Dict):
                values = [*node.values]
            elif isinstance(node, ast.IfExp):
                values = [node.body, node.orelse]
            found |= {v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str)}
    for path in ROOT.glob("*/sql/*.sql"):
        found |= set(re.findall(r"promptforge_refuse\('(\w+)'", path.read_text()))
    return found


def provoked() -> set[str]:
    text = "\n".join(
        path.read_text()
        for path in sorted((ROOT / "tests").rglob("*"))
        if path.suffix in (".py", ".json", ".jsonl") and path != Path(__file__)
    )
    text += Path(__file__).read_text().partition("# --- Provoked here")[2]
    return {code for code in CODES if f'"{code}"' in text}


def test_every_code_is_raised_somewhere() -> None:
    assert set(CODES) - raised() == set()


def test_every_code_is_provoked_by_a_test() -> None:
    assert set(CODES) - provoked() == set()


def test_every_constraint_has_a_code_that_is_known() -> None:
    assert set(CODE_OF_CONSTRAINT.values()) <= set(CODES)


def test_titles_are_short_and_say_something() -> None:
    titles = [code.title for code in CODES.values()]
    assert len(set(titles)) == len(titles)
    for title in titles:
        assert title[0].isupper()
        assert 3 < len(title) <= 60
        assert title[-1] not in ".!"


def test_the_page_in_docs_is_up_to_date() -> None:
    assert (ROOT / "docs" / "errors.md").read_text() == markdown(), "run script/docs"
    assert set(re.findall(r"^\| `(\w+)` \|", markdown(), re.MULTILINE)) == set(CODES)


def test_the_served_page_lists_exactly_these(committed_db: str) -> None:
    page = Client().get("/docs/errors")
    assert page.status_code == 200
    rows = re.findall(
        r'<tr id="(\w+)"><td><code>(\w+)</code></td><td class="number">(\d+)</td><td>(.*?)</td>', page.content.decode()
    )
    assert {row[0]: (row[1], int(row[2])) for row in rows} == {name: (name, CODES[name].status) for name in CODES}
    assert len(rows) == len(CODES)


# --- Provoked here: what no other test brings about by its name -------------------------------------------------------
def test_history_and_guards_answer_by_their_codes(team: Team) -> None:
    team.prompt()
    for act, code in (
        (lambda: PromptVersion.objects.using("owner").update(message="x"), "frozen"),
        (lambda: Channel.objects.using("owner").update(name="other"), "guard"),
    ):
        before = written()
        with pytest.raises(DomainError) as refusal, refusals(), transaction.atomic(using="owner"):
            act()
        assert refusal.value.code == code
        assert written() == before


def test_a_document_beyond_the_limit(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    release(team, team.prompt(), 1)
    reader = Caller(team.key())
    size = len(reader.get("prompts", {"_version": "stable"}).content)
    monkeypatch.setattr(views, "LARGEST_DOCUMENT", size)  # the real limit takes a minute to reach
    body_of(reader.get("prompts", {"_version": "stable"}))
    monkeypatch.setattr(views, "LARGEST_DOCUMENT", size - 1)
    problem_of(reader.get("prompts", {"_version": "stable"}), 413, "too_large")
