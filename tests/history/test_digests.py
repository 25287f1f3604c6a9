"""The digests that PostgreSQL writes and the ones that `verify` computes, held together by shared vectors."""

import json
from datetime import datetime
from typing import Any

import pytest
from django.db import connection

from events.models import Event, EventSeal
from promptforge.lib.digests import digest_of, micros
from prompts.digests import release_digest, seal_digest, version_digest
from prompts.models import PromptVersion, Release
from tests.personas import Team
from tests.plugin import ROOT

VECTORS = json.loads((ROOT / "tests" / "vectors" / "digests.json").read_text(encoding="utf-8"))


def asked(sql: str, *values: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {sql}", values)
        [answer] = cursor.fetchone()
    return bytes(answer).hex() if isinstance(answer, bytes | memoryview) else answer


def fields_of(row: dict[str, Any], *binary: str) -> dict[str, Any]:
    """A vector's row for Python: instants and digests as what they are."""
    values = {name: bytes.fromhex(value) if name in binary else value for name, value in row.items()}
    moments = {name: datetime.fromisoformat(values[name]) for name in ("at", "recorded_at") if name in values}
    return values | moments


@pytest.mark.parametrize("vector", VECTORS["fields"], ids=lambda vector: vector["why"])
def test_fields(vector: dict[str, Any]) -> None:
    assert digest_of(*vector["fields"]).hex() == vector["sha256"]


def test_fields_in_the_database(committed_db: str) -> None:
    for vector in VECTORS["fields"]:
        assert asked("public.promptforge_digest(VARIADIC %s::text[])", vector["fields"]) == vector["sha256"], vector[
            "why"
        ]


def test_instants(committed_db: str) -> None:
    for vector in VECTORS["micros"]:
        assert micros(datetime.fromisoformat(vector["instant"])) == int(vector["micros"])
        assert asked("public.promptforge_micros(%s::timestamptz)", vector["instant"]) == vector["micros"]


def test_versions(committed_db: str) -> None:
    for vector in VECTORS["versions"]:
        row = vector["row"]
        assert version_digest(PromptVersion(**row)).hex() == vector["sha256"]
        values = [row[name] for name in ("type", "content", "variables", "config")]
        assert asked("public.promptforge_version_digest(%s, %s, %s, %s)", *values) == vector["sha256"]


def test_seals(committed_db: str) -> None:
    for vector in VECTORS["seals"]:
        seal = EventSeal(seq=vector["seq"], event=Event(**fields_of(vector["event"])))
        assert seal_digest(bytes.fromhex(vector["previous"]), seal).hex() == vector["sha256"]
        event = "jsonb_populate_record(NULL::public.events_event, %s)"
        digest = asked(
            f"public.promptforge_seal_digest(decode(%s, 'hex'), %s, {event})",
            vector["previous"],
            vector["seq"],
            json.dumps(vector["event"]),
        )
        assert digest == vector["sha256"]


def test_releases(team: Team) -> None:
    team.prompt("vector", content="The text of the vectors: Grüße, {{name}} 🙂")
    version = PromptVersion.objects.get()
    assert (version.pk, bytes(version.digest).hex()) == (1, VECTORS["version_of_releases"])
    for vector in VECTORS["releases"]:
        row = fields_of(vector["row"], "previous_digest")
        assert release_digest(Release(**row)).hex() == vector["sha256"]
        record = vector["row"] | {"previous_digest": "\\x" + vector["row"]["previous_digest"]}
        digest = asked(
            "public.promptforge_release_digest(jsonb_populate_record(NULL::public.prompts_release, %s))",
            json.dumps(record),
        )
        assert digest == vector["sha256"]
