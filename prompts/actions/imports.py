"""History brought along: versions and releases with dates of their own, while a project has none of its own yet."""

from datetime import datetime

from django.db import transaction

from accounts.models import User
from accounts.policies import Principal
from promptforge.lib.refusals import refusals
from prompts.actions.releases import cut_release, locked_head
from prompts.models import Channel, Prompt, PromptVersion, Release
from prompts.models.releases import ReleaseKind


def import_release(
    *, prompt: Prompt, channel: Channel, version: PromptVersion, decided_by: User, reason: str, at: datetime
) -> Release:
    """Append what was decided elsewhere, at the time at which it was decided."""
    with refusals(), transaction.atomic():
        head = locked_head(prompt, channel)
        by = Principal(decided_by, prompt.project)
        return cut_release(by=by, head=head, kind=ReleaseKind.IMPORT, version=version, reason=reason, at=at)
