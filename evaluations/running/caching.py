"""Answers that serve again: under everything that decided them, the repeat included, and for a day at most."""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Sequence
from datetime import timedelta

from django.db import connection
from django.db.models.functions import Now

from evaluations.models import CachedCall
from evaluations.providers import Completion, Connection, Message
from promptforge.lib.json import canonical_json

# Another way of asking or reading is another answer. Raise it with every change of an adapter.
ADAPTER_VERSION = 2
# What is older is not compared with what is asked now: the model may have changed meanwhile.
KEPT = timedelta(hours=24)
_KEEP = """
    INSERT INTO evaluations_cachedcall AS kept (project_id, key, completion) VALUES (%s, %s, %s)
    ON CONFLICT (project_id, key) DO UPDATE SET completion = excluded.completion, at = statement_timestamp()
    WHERE kept.at <= statement_timestamp() - %s * interval '1 second'"""


def key_of(asked: Connection, messages: Sequence[Message], *, seed: int, repeat: int, purpose: str) -> bytes:
    text = canonical_json(
        {
            "adapter": ADAPTER_VERSION,
            "kind": asked.kind.value,
            "base_url": asked.base_url,
            "model": asked.model,
            "parameters": dict(asked.parameters),
            "messages": [dict(message) for message in messages],
            "seed": seed,
            "repeat": repeat,
            "purpose": purpose,
        }
    )
    return hashlib.sha256(text.encode()).digest()


def find(project_id: int, keys: Collection[bytes]) -> dict[bytes, Completion]:
    rows = CachedCall.objects.filter(project_id=project_id, key__in=list(keys), at__gt=Now() - KEPT)
    return {bytes(row.key): Completion(**json.loads(row.completion)) for row in rows}


def keep(project_id: int, key: bytes, completion: Completion) -> None:
    """For the next run with the same question; what was kept longer than it serves makes room."""
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [project_id, key, canonical_json(dataclasses.asdict(completion)), KEPT.total_seconds()])


def forget_old() -> int:
    return CachedCall.objects.filter(at__lte=Now() - KEPT).delete()[0]
