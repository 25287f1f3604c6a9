"""Schemathesis over the whole schema: what it makes up, good and bad, is answered as the schema promises."""

import json
from collections import Counter
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.roles import Scope
from tests.api.conftest import basic, release
from tests.api.promised import schema
from tests.personas import Team

EXAMPLES = 20
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def keys(team: Team) -> dict[str, str]:
    """A powerful key, one that reads, and none."""
    release(team, team.prompt(versions=2), 1)
    release(team, team.prompt("talk", content=[{"role": "user", "content": "Hi {{who}}"}]), 1)
    return {"powerful": team.key(*[scope.value for scope in Scope]), "reading": team.key("prompts:read"), "none": ""}


class Asker:
    """Sends what schemathesis makes up, and remembers what the schema does not promise."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.app = WSGIHandler()
        self.statuses: Counter[int] = Counter()
        self.wrong: dict[tuple[str, int], str] = {}

    def headers(self, path: str) -> dict[str, str]:
        sent = {"Host": "testserver"}
        if self.key:
            sent["Authorization"] = basic(self.key) if path.startswith("/api/public/") else f"Bearer {self.key}"
        return sent

    def ask(self, operation: Any, mode: GenerationMode) -> None:
        headers = self.headers(operation.path)

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def run(case: Any) -> None:
            answer = case.call(app=self.app, headers=headers)
            self.statuses[answer.status_code] += 1
            try:
                case.validate_response(answer, checks=CHECKS, headers=headers)
            except Exception as error:  # noqa: BLE001  all that is wrong is told at once
                place = (f"{operation.method.upper()} {operation.path}", answer.status_code)
                self.wrong.setdefault(place, f"{str(error)[:500]} {case.as_curl_command()[:500]}")

        run()


@pytest.mark.full
@pytest.mark.timeout(600)
@override_settings(RATE_WRITE=100_000, BURST_WRITE=100_000)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("key", ["powerful", "reading", "none"])
def test_every_operation(keys: dict[str, str], key: str, mode: GenerationMode) -> None:
    load_all_checks()
    api = schemathesis.openapi.from_dict(json.loads(json.dumps(schema())))
    asker = Asker(keys[key])
    for result in api.get_all_operations():
        try:
            asker.ask(result.ok(), mode)
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # some operations take nothing that could be wrong
    print(f"{asker.statuses.total()} calls, {mode.value}, with the {key} key: {sorted(asker.statuses.items())}")
    assert asker.statuses.total() >= EXAMPLES * 20
    if key == "powerful":
        assert {400, 404} <= set(asker.statuses)
        assert asker.statuses[200] + asker.statuses[201] > 0
    assert not asker.wrong, "\n\n".join(f"{place}: {what}" for place, what in asker.wrong.items())
