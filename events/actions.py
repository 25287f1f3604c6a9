"""Writing into the memory."""

from functools import partial
from typing import Any

from django.db import transaction

from events.kinds import EventKind
from events.models import Event
from events.relay import follow
from promptforge.lib.json import canonical_json

SYSTEM = ("system", 0)
NO_PROJECT = 0  # the chain of what belongs to no project: how people sign in


def record(kind: EventKind, *, project_id: int, actor: tuple[str, int], subject: tuple[str, int], **data: Any) -> Event:
    """Say what happened, in the transaction in which it happens; the commit seals it, and wakes what follows it.

    `actor` and `subject` are a plain kind and id, (`person`, 7) or (`version`, 12). `data` is JSON without personal
    data: whoever is spoken of stands there by id.
    """
    transaction.on_commit(partial(follow, kind), robust=True)
    return Event.objects.create(
        project_id=project_id,
        kind=kind,
        actor_kind=actor[0],
        actor_id=actor[1],
        subject_kind=subject[0],
        subject_id=subject[1],
        data=canonical_json(data),
    )
