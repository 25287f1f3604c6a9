"""What an attacker who commands the database writes, so that as much as possible still adds up."""

import json
from collections.abc import Iterator
from typing import Any

from events.models import EventSeal
from promptforge.lib.json import canonical_json
from prompts.digests import release_digest, seal_digest
from prompts.models import Prompt, PromptVersion, Release
from tests.personas import Team


def third(prompt: Prompt) -> Release:
    return Release.objects.get(prompt=prompt, revision=3)


def point_head(prompt: Prompt, row: Release) -> tuple[str, list[Any]]:
    return (
        "UPDATE prompts_head SET release_id = %s, revision = %s, version_id = %s WHERE prompt_id = %s",
        [row.pk, row.revision, row.version_id, prompt.pk],
    )


def cut_tail(prompt: Prompt) -> list[tuple[str, list[Any]]]:
    """The third release never happened."""
    second = Release.objects.get(prompt=prompt, revision=2)
    return [point_head(prompt, second), ("DELETE FROM prompts_release WHERE id = %s", [third(prompt).pk])]


def appended_release(prompt: Prompt) -> list[tuple[str, list[Any]]]:
    last = third(prompt)
    forged = Release(
        pk=last.pk + 1000,
        prompt=prompt,
        channel=last.channel,
        revision=4,
        kind="promote",
        version=PromptVersion.objects.get(prompt=prompt, number=1),
        actor=last.actor,
        reason="",
        at=last.at.replace(year=last.at.year + 1),
        recorded_at=last.recorded_at.replace(year=last.at.year + 1),
        previous_digest=bytes(last.digest),
    )
    columns = "id, prompt_id, channel_id, revision, kind, version_id, actor_id, reason, at, recorded_at"
    values = [
        forged.pk, prompt.pk, forged.channel_id, 4, "promote", forged.version_id, forged.actor_id, "", forged.at,
        forged.recorded_at, forged.previous_digest, release_digest(forged),
    ]  # fmt: skip
    marks = ", ".join(["%s"] * len(values))
    return [
        (f"INSERT INTO prompts_release ({columns}, previous_digest, digest) VALUES ({marks})", values),
        point_head(prompt, forged),
    ]


def rewritten_rows(prompt: Prompt) -> list[Release]:
    """The ledger as if another reason had been given first, with every digest computed again."""
    previous, rows = b"", []
    for row in Release.objects.filter(prompt=prompt).select_related("version").order_by("revision"):
        if row.revision == 1:
            row.reason = "Another reason"
        row.previous_digest = previous
        row.digest = previous = release_digest(row)
        rows.append(row)
    return rows


def rewritten_ledger(prompt: Prompt) -> list[tuple[str, list[Any]]]:
    return [
        (
            "UPDATE prompts_release SET reason = %s, previous_digest = %s, digest = %s WHERE id = %s",
            [row.reason, row.previous_digest, row.digest, row.pk],
        )
        for row in rewritten_rows(prompt)
    ]


def rewritten_events(team: Team, prompt: Prompt) -> Iterator[tuple[str, list[Any]]]:
    """The events that speak of the rewritten releases, and every seal of the chain."""
    digests = {row.pk: bytes(row.digest).hex() for row in rewritten_rows(prompt)}
    previous = b""
    for sealed in EventSeal.objects.filter(project_id=team.project.pk).select_related("event").order_by("seq"):
        event = sealed.event
        if event.kind == "release.made" and event.subject_id in digests:
            event.data = canonical_json(json.loads(event.data) | {"digest": digests[event.subject_id]})
            yield "UPDATE events_event SET data = %s WHERE id = %s", [event.data, event.pk]
        previous = seal_digest(previous, sealed)
        yield "UPDATE events_eventseal SET digest = %s WHERE id = %s", [previous, sealed.pk]
