"""How events look in answers."""

import json
from typing import Any

from events.models import EventSeal
from promptforge.lib.ids import encode
from promptforge.lib.instants import format_instant

# The prefix of a subject's opaque id, by its kind: where a call takes one, the same.
_PREFIXES = {
    "version": "ver",
    "release": "rel",
    "key": "key",
    "freeze": "frz",
    "policy_change": "pol",
    "promotion": "pro",
    "review": "rev",
    "webhook": "whk",
    "prompt": "prm",
    "channel": "chn",
    "project": "prj",
    "person": "usr",
    "set": "set",
    "connection": "con",
    "run": "run",
    "rule": "rul",
    "watch": "drw",
}


def event_shape(seal: EventSeal) -> dict[str, Any]:
    """All but the actor. `seq` is the place in the order of commits; `digest` covers the event and all before it."""
    event = seal.event
    return {
        "id": encode("evt", event.pk),
        "seq": seal.seq,
        "kind": event.kind,
        "subject": {
            "kind": event.subject_kind,
            "id": encode(_PREFIXES.get(event.subject_kind, event.subject_kind), event.subject_id),
        },
        "data": json.loads(event.data),
        "at": format_instant(event.at),
        "digest": f"sha256:{bytes(seal.digest).hex()}",
    }
