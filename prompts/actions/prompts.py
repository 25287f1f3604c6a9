"""What may still be said about a prompt after it was made: its description and tags, and whether it is archived."""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from accounts.policies import Principal
from accounts.roles import Permission
from events.actions import record
from events.kinds import EventKind
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import require
from prompts.actions.lengths import LONGEST_NOTE, check_length, check_tags
from prompts.models import Prompt


def change_prompt(
    *,
    by: Principal,
    prompt: Prompt,
    description: str | None = None,
    tags: Sequence[str] | None = None,
    archived: bool | None = None,
) -> Prompt:
    """Change what is given; the rest stays. An archived prompt is still served, and takes no versions and releases."""
    require(by.may(Permission.EDIT, prompt))
    check_length("description", description or "", LONGEST_NOTE)
    check_tags(tags or ())
    with refusals(), transaction.atomic():
        locked = Prompt.objects.locked().get(pk=prompt.pk)
        events = []
        if (description, tags) != (None, None):
            locked.description = locked.description if description is None else description
            locked.tags = locked.tags if tags is None else list(dict.fromkeys(tags))
            events.append(EventKind.PROMPT_CHANGED)
        if archived is not None and archived != (locked.archived_at is not None):
            locked.archived_at = timezone.now() if archived else None
            events.append(EventKind.PROMPT_ARCHIVED if archived else EventKind.PROMPT_RESTORED)
        if events:
            locked.save(update_fields=["description", "tags", "archived_at"])
        for kind in events:
            record(kind, project_id=by.project.pk, actor=by.actor, subject=("prompt", prompt.pk))
    return locked
