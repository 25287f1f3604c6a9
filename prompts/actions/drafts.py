"""Drafts: one person's unsaved work on one prompt. They change, nobody else sees them, and no event tells of them."""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from accounts.policies import Principal
from accounts.roles import Permission
from promptforge.lib.errors import DomainError
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import require
from prompts.models import Draft, Prompt, PromptVersion

MAX_DRAFT = 1_048_576  # bytes of all its columns: four times what a version may have


def own_draft(by: Principal, prompt: Prompt) -> Draft | None:
    """The person's own; there is no way to anybody else's."""
    drafts = Draft.objects.filter(prompt=prompt, user=by.user)
    return drafts.select_related("prompt", "base_version").first()


def keep_draft(
    *,
    by: Principal,
    prompt: Prompt,
    columns: Mapping[str, str],
    base: PromptVersion | None,
    seen: datetime | None,
) -> Draft:
    """Keep what is being written, finished or not.

    `seen` is when the draft was last kept as far as the writer's page knows, None for a first time. When another
    window kept something else meanwhile, nothing is written.
    """
    require(by.may(Permission.EDIT, prompt))
    if (size := sum(len(text.encode()) for text in columns.values())) > MAX_DRAFT:
        raise DomainError("content_too_large", f"A draft may have {MAX_DRAFT:,} bytes; this one has {size:,}.")
    with refusals(), transaction.atomic():
        draft = Draft.objects.select_for_update().filter(prompt=prompt, user=by.user).first()
        if draft is not None and draft.updated_at != seen and not _same(draft, columns):
            raise DomainError(
                "stale_draft",
                "You went on with this draft in another window. Nothing of either is lost; decide which one stays.",
            )
        if draft is None:
            draft = Draft(prompt=prompt, user=by.user)
        for name, text in columns.items():
            setattr(draft, name, text)
        draft.base_version = base
        draft.save()
        return draft


def throw_away(*, by: Principal, prompt: Prompt) -> None:
    Draft.objects.filter(prompt=prompt, user=by.user).delete()


def _same(draft: Draft, columns: Mapping[str, str]) -> bool:
    return all(getattr(draft, name) == text for name, text in columns.items())
