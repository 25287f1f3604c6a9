"""Runs each chosen test in a database with one guard broken, and writes down how it ended.

`SABOTAGES` names a JSON file, test → SQL; the answers stand beside it, test → what the test said.
"""

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

FILE = Path(os.environ["SABOTAGES"])
SQL: dict[str, str] = json.loads(FILE.read_text())
answers: dict[str, str] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    os.environ["SABOTAGE_SQL"] = SQL[item.nodeid]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if report.when == "call" or report.failed:
        answers[item.nodeid] = f"{report.when} {report.outcome}\n{report.longreprtext}"
    return report


def pytest_sessionfinish() -> None:
    FILE.with_suffix(".answers").write_text(json.dumps(answers))
