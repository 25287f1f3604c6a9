"""One line of a prompt's versions and releases, newest on top, and what else happened to it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from accounts.models import Project
from events.models import EventSeal
from events.telling import tell
from prompts.models import Prompt, PromptVersion, Release
from prompts.models.releases import ReleaseKind
from prompts.pages.listing import LONG

VERSIONS_SHOWN, EVENTS_SHOWN = 6, 40
_MOVES = {
    ReleaseKind.PROMOTE: "moved to {number}",
    ReleaseKind.ROLLBACK: "rolled back to {number}",
    ReleaseKind.BREAK_GLASS: "moved to {number} past every rule",
    ReleaseKind.IMPORT: "moved to {number}",
    ReleaseKind.CANARY_START: "began a canary of {canary}",
    ReleaseKind.CANARY_STEP: "went on with the canary of {canary}",
    ReleaseKind.CANARY_COMPLETE: "moved to {number} after its canary",
    ReleaseKind.CANARY_ABORT: "stopped the canary; {number} answers everybody",
}


@dataclass(frozen=True)
class Timeline:
    """Versions and releases by time; `older` is how many versions come before, `before` the number to ask from."""

    entries: list[PromptVersion | Release]
    older: int
    before: int


def move(release: Release) -> str:
    """What a release did, in half a sentence behind its channel's name."""
    canary = release.canary_version
    form = _MOVES[ReleaseKind(release.kind)]
    return form.format(number=release.version.number, canary=canary.number if canary else "")


def timeline(prompt: Prompt, before: int | None = None) -> Timeline:
    """The newest versions below `before`, and the releases from the oldest of them until the newest."""
    versions = prompt.versions.select_related("author").defer(*LONG).order_by("-number")
    if before is not None:
        versions = versions.filter(number__lt=before)
    shown = list(versions[:VERSIONS_SHOWN])
    if not shown:
        return Timeline([], 0, 0)
    releases = (
        Release.objects.filter(prompt=prompt)
        .select_related("channel", "version", "canary_version", "actor", "promotion")
        .defer(*(f"version__{text}" for text in LONG), *(f"canary_version__{text}" for text in LONG))
        .order_by("-at", "-pk")
    )
    if (oldest := shown[-1]).number > 1:
        releases = releases.filter(at__gte=oldest.created_at)
    if before is not None and (next_one := prompt.versions.filter(number=before).first()) is not None:
        releases = releases.filter(at__lt=next_one.created_at)
    entries = [*shown, *releases[: 4 * VERSIONS_SHOWN]]
    return Timeline(sorted(entries, key=_place, reverse=True), oldest.number - 1, oldest.number)


def _place(entry: PromptVersion | Release) -> tuple[datetime, int]:
    """By time; a release that happened in the very moment of its version stands above it."""
    return (entry.at, 1) if isinstance(entry, Release) else (entry.created_at, 0)


def activity(project: Project, prompt: Prompt) -> Iterable[tuple[str, datetime]]:
    """The newest events about the prompt itself, its versions, releases and promotions, in words."""
    subjects = Q(event__subject_kind="prompt", event__subject_id=prompt.pk)
    for kind, rows in (("version", prompt.versions), ("release", prompt.releases), ("promotion", prompt.promotions)):
        # Their ids are asked first: with them as a list, events are found by their index.
        newest = list(rows.order_by("-pk").values_list("pk", flat=True)[:EVENTS_SHOWN])
        subjects |= Q(event__subject_kind=kind, event__subject_id__in=newest)
    seals = list(
        EventSeal.objects.filter(subjects, project_id=project.pk, event__project_id=project.pk)
        .select_related("event")
        .order_by("-seq")[:EVENTS_SHOWN]
    )
    suffix = f" ({project})."
    return [(told.sentence.removesuffix(suffix), seal.event.at) for told, seal in zip(tell(seals), seals, strict=True)]
