"""Drafts and sample values: one person's unsaved work on one prompt. It changes, and no event tells of it."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import transaction

from accounts.policies import Principal
from accounts.roles import Permission
from promptforge.lib.errors import DomainError
from promptforge.lib.json import canonical_json
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import require
from prompts.models import Draft, Prompt, PromptVersion, SampleValues

MAX_DRAFT = 1_048_576  # bytes of all its columns: four times what a version may have
MAX_SAMPLES = 50
FIRST_SAMPLE = "First sample"


def own_draft(by: Principal, prompt: Prompt) -> Draft | None:
    """The person's own; there is no way to anybody else's."""
    drafts = Draft.objects.filter(prompt=prompt, user=by.user)
    return drafts.select_related("prompt", "base_version").first()


def keep_draft(
    *, by: Principal, prompt: Prompt, columns: Mapping[str, str], base: PromptVersion, seen: datetime | None
) -> Draft:
    """Keep what is being written, finished or not.

    `seen` is when the draft was last kept as far as the writer's page knows; None: it knows of none. When another
    window kept something else meanwhile, nothing is written.
    """
    require(by.may(Permission.EDIT, prompt))
    _check_size("A draft", columns.values())
    with refusals(), transaction.atomic():
        Prompt.objects.select_for_update(no_key=True).only("pk").get(pk=prompt.pk)
        draft = Draft.objects.filter(prompt=prompt, user=by.user).first()
        if draft is None:
            draft = Draft(prompt=prompt, user=by.user)
        elif draft.updated_at != seen and any(getattr(draft, name) != text for name, text in columns.items()):
            raise DomainError(
                "stale_draft", "You went on with this draft in another window. Both are kept; say which one stays."
            )
        for name, text in columns.items():
            setattr(draft, name, text)
        draft.base_version = base
        draft.save()
        return draft


def throw_away(*, by: Principal, prompt: Prompt) -> None:
    Draft.objects.filter(prompt=prompt, user=by.user).delete()


def own_samples(by: Principal, prompt: Prompt) -> list[SampleValues]:
    """The person's own, by name."""
    return list(SampleValues.objects.filter(prompt=prompt, user=by.user).order_by("name"))


def keep_sample(*, by: Principal, prompt: Prompt, name: str, values: Mapping[str, str]) -> None:
    """Keep values under a name, in the place of those that it had."""
    require(by.may(Permission.EDIT, prompt))
    name = name.strip()[:60] or FIRST_SAMPLE
    given = {variable: value for variable, value in values.items() if value}
    _check_size("A sample", [name, *given, *given.values()])
    with refusals(), transaction.atomic():
        Prompt.objects.select_for_update(no_key=True).only("pk").get(pk=prompt.pk)
        samples = SampleValues.objects.filter(prompt=prompt, user=by.user)
        known = samples.filter(name=name).first()
        if known is None and (not given or samples.count() >= MAX_SAMPLES):
            return
        sample = known or SampleValues(prompt=prompt, user=by.user, name=name)
        sample.values = canonical_json(given)
        sample.save()


def _check_size(what: str, texts: Iterable[str]) -> None:
    size = 0
    for text in texts:
        size += len(text.encode())
        if "\0" in text:
            raise DomainError("nul_not_allowed", f"{what} holds the NUL character (U+0000); remove it.")
    if size > MAX_DRAFT:
        raise DomainError("content_too_large", f"{what} may have {MAX_DRAFT:,} bytes; this one has {size:,}.")
