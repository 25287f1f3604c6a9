"""Does history add up? Every version, ledger, head and seal, computed again from the rows and compared."""

import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from accounts.models import Project
from events.actions import NO_PROJECT
from events.kinds import EventKind
from events.models import Event, EventSeal
from promptforge.lib import checkpoint_file, guards, keyring
from promptforge.lib.json import canonical_json
from prompts.digests import release_digest, seal_digest, version_digest, version_row_digest
from prompts.models import Head, Prompt, PromptVersion, Release


@dataclass(frozen=True)
class Finding:
    """One thing that was verified: what, what is wrong with it (None when it adds up), and what weakens the proof."""

    subject: str
    broken: str | None = None
    warning: str | None = None

    @property
    def line(self) -> str:
        if self.broken is not None:
            return f"BROKEN  {self.subject}: {self.broken}"
        return f"ok      {self.subject}" if self.warning is None else f"warning {self.subject}: {self.warning}"


def verify(project: Project) -> Iterator[Finding]:
    """Every finding about a project, in one consistent reading."""
    remembered = checkpoint_file.whole_lines(settings.CHECKPOINT_FILE)  # before the snapshot: see there
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield from verify_guards()
        yield from _versions(project)
        yield from _ledgers(project)
        yield from _heads(project)
        yield _seals(project.pk)
        yield from _checkpoints(project.pk, remembered)


def verify_accounts() -> Iterator[Finding]:
    """The same for the chain of what belongs to no project."""
    remembered = checkpoint_file.whole_lines(settings.CHECKPOINT_FILE)
    with transaction.atomic():
        yield _seals(NO_PROJECT)
        yield from _checkpoints(NO_PROJECT, remembered)


def verify_guards() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        found = list(guards.differences(cursor))
    if not found:
        yield Finding("guards of the database")
    for sentence in found:
        yield Finding("guards of the database", sentence)


# --- Versions --------------------------------------------------------------------------------------------------------
def _versions(project: Project) -> Iterator[Finding]:
    told = _told(project, EventKind.VERSION_SAVED)
    rows = (
        PromptVersion.objects.filter(prompt__project=project).select_related("prompt").order_by("prompt_id", "number")
    )
    seen = {}
    for prompt, versions in groupby(rows.iterator(chunk_size=2000), key=lambda version: version.prompt):
        broken, expected = None, 1
        for version in versions:
            event = told.pop(version.pk, None)
            broken = broken or _version_fault(version, expected, event)
            expected += 1
        if broken is None and prompt.next_number != expected:
            broken = f"the next number is {prompt.next_number}, and {expected} was expected: a version is missing"
        seen[prompt.pk] = True
        yield Finding(f"versions of {prompt.name}", broken)
    for prompt in Prompt.objects.filter(project=project, next_number__gt=1).exclude(pk__in=seen):
        yield Finding(f"versions of {prompt.name}", f"{prompt.next_number - 1} versions are missing")
    for event in told.values():
        yield Finding(
            f"versions of {event.get('prompt')}",
            f"version {event.get('number')} was recorded by its event and is missing",
        )


def _version_fault(version: PromptVersion, expected: int, event: dict[str, Any] | None) -> str | None:
    if version.number != expected:
        return f"version {expected} is missing"
    digest = version_digest(version)
    if digest != bytes(version.digest):
        return f"version {version.number} does not have the text that its digest names"
    if event is None or event.get("digest") != digest.hex() or event.get("row") != version_row_digest(version).hex():
        return f"version {version.number} is not the one that its event recorded"
    return None


# --- Ledgers and heads -----------------------------------------------------------------------------------------------
def _ledgers(project: Project) -> Iterator[Finding]:
    told = _told(project, EventKind.RELEASE_MADE)
    rows = (
        Release.objects.filter(prompt__project=project)
        .select_related("prompt", "channel", "version")
        .order_by("prompt_id", "channel_id", "revision")
    )
    for (_, _), releases in groupby(rows.iterator(chunk_size=2000), key=lambda row: (row.prompt_id, row.channel_id)):
        broken: str | None = None
        previous: Release | None = None
        subject = ""
        for release in releases:
            subject = f"ledger of {release.prompt.name} on {release.channel.name}"
            event = told.pop(release.pk, None)
            broken = broken or _release_fault(release, previous, event)
            previous = release
        yield Finding(subject, broken)
    for event in told.values():
        yield Finding(
            f"ledger of {event.get('prompt')} on {event.get('channel')}",
            f"revision {event.get('revision')} was recorded by its event and is missing",
        )


def _release_fault(release: Release, previous: Release | None, event: dict[str, Any] | None) -> str | None:
    expected = previous.revision + 1 if previous else 1
    if release.revision != expected:
        return f"revision {expected} is missing"
    if previous is not None and release.at <= previous.at:
        return f"revision {release.revision} is not later than the one before"
    if bytes(release.previous_digest) != (bytes(previous.digest) if previous else b""):
        return f"revision {release.revision} does not follow the row before it"
    if release_digest(release) != bytes(release.digest):
        return f"revision {release.revision} was changed after it was written"
    if event is None or event.get("digest") != bytes(release.digest).hex():
        return f"revision {release.revision} is not the one that its event recorded"
    return None


def _heads(project: Project) -> Iterator[Finding]:
    newest: dict[tuple[int, int], Release] = {
        (row.prompt_id, row.channel_id): row
        for row in Release.objects.filter(prompt__project=project)
        .order_by("prompt_id", "channel_id", "-revision")
        .distinct("prompt_id", "channel_id")
    }
    for head in (
        Head.objects.filter(prompt__project=project)
        .select_related("prompt", "channel")
        .order_by("prompt__name", "channel__position")
    ):
        row = newest.pop((head.prompt_id, head.channel_id), None)
        expected = (row.pk, row.revision, row.version_id) if row else (None, 0, None)
        stands = (head.release_id, head.revision, head.version_id)
        broken = (
            None if stands == expected else f"it stands at revision {head.revision}, and its ledger at {expected[1]}"
        )
        if head.channel.project_id != project.pk:
            broken = "its channel belongs to another project"
        yield Finding(f"head of {head.prompt.name} on {head.channel.name}", broken)
    for row in newest.values():
        yield Finding(f"head of {row.prompt.name} on {row.channel.name}", "it is missing")


# --- What a page shows -----------------------------------------------------------------------------------------------
def releases_hold(releases: Sequence[Release]) -> str | None:
    """What is wrong with one of these rows, each compared with the row before it and with its event; None: nothing."""
    events = Event.objects.filter(kind=EventKind.RELEASE_MADE, subject_id__in=[row.pk for row in releases])
    told = {subject: json.loads(data) for subject, data in events.values_list("subject_id", "data")}
    ledgers = {(row.prompt_id, row.channel_id) for row in releases}
    before = Release.objects.filter(
        prompt__in={prompt for prompt, _ in ledgers},
        channel__in={channel for _, channel in ledgers},
        revision__in={row.revision - 1 for row in releases},
    ).only("prompt_id", "channel_id", "revision", "at", "digest")
    previous = {(row.prompt_id, row.channel_id, row.revision): row for row in before}
    for row in releases:
        fault = _release_fault(row, previous.get((row.prompt_id, row.channel_id, row.revision - 1)), told.get(row.pk))
        if fault is not None:
            return f"{row.prompt.name} on {row.channel.name}: {fault}"
    return None


def seals_hold(seals: Sequence[EventSeal]) -> str | None:
    """What is wrong with one of these events, each compared with the seal before it; None: nothing."""
    if not seals:
        return None
    before = EventSeal.objects.filter(project_id=seals[0].project_id, seq__in=[seal.seq - 1 for seal in seals])
    digests = {0: b""} | {seal.seq: bytes(seal.digest) for seal in before}
    for seal in seals:
        previous = digests.get(seal.seq - 1)
        if previous is None:
            return f"seal {seal.seq - 1} is missing"
        if seal_digest(previous, seal) != bytes(seal.digest):
            return f"event {seal.seq} was changed, or the order of the events was"
    return None


# --- Events and checkpoints ------------------------------------------------------------------------------------------
def _seals(project_id: int) -> Finding:
    subject, previous, expected = "chain of events", b"", 1
    for seal in (
        EventSeal.objects.filter(project_id=project_id)
        .select_related("event")
        .order_by("seq")
        .iterator(chunk_size=2000)
    ):
        if seal.seq != expected:
            return Finding(subject, f"seal {expected} is missing")
        if seal_digest(previous, seal) != bytes(seal.digest):
            return Finding(subject, f"event {seal.seq} ({seal.event}) was changed, or the order of the events was")
        previous, expected = bytes(seal.digest), expected + 1
    unsealed = Event.objects.filter(project_id=project_id, seal=None).first()
    return Finding(subject, None if unsealed is None else f"the event {unsealed} was never sealed")


def _told(project: Project, kind: EventKind) -> dict[int, dict[str, Any]]:
    """What the events of one kind recorded, by the id of their subject; of a subject told twice, nothing."""
    rows = Event.objects.filter(project_id=project.pk, kind=kind).order_by("pk").values_list("subject_id", "data")
    told: dict[int, dict[str, Any]] = {}
    for subject, data in rows.iterator(chunk_size=2000):
        # A second event about the same row would be whoever wrote the row anew, telling it anew.
        told[subject] = {} if subject in told else json.loads(data)
    return told


def write_checkpoint() -> None:
    """Append every project's place in its chain of events, signed, to a file outside the database, once one has moved.

    A chain alone cannot see that its tail was cut or that all of it was written anew; the file can.
    """
    newest = EventSeal.objects.order_by("project_id", "-seq").distinct("project_id")
    body = canonical_json({"chains": {str(seal.project_id): [seal.seq, bytes(seal.digest).hex()] for seal in newest}})
    key = keyring.current("checkpoint")
    line = canonical_json({"body": body, "key": key.id, "mac": _mac(key, body)})
    checkpoint_file.append(settings.CHECKPOINT_FILE, line)


def _mac(key: keyring.Key, body: str) -> str:
    return hmac.new(key.secret, body.encode(), hashlib.sha256).hexdigest()


def _checkpoints(project_id: int, remembered: str | None) -> Iterator[Finding]:
    """The chain held against every place of it that the file remembers; the fault of the first faulty line is told."""
    if remembered is None:
        return
    places: dict[int, tuple[int, str]] = {}
    faults: dict[int, str] = {}
    unread, vouching = [], 0
    for number, line in enumerate(remembered.split("\n")[:-1], 1):
        try:
            chains = _signed(line)
        except (ValueError, KeyError, TypeError, AttributeError):
            unread.append(number)
            continue
        if chains is None:
            faults[number] = f"line {number} of the checkpoint file was not signed here"
            continue
        vouching = number
        if str(project_id) in chains:
            seq, digest = chains[str(project_id)]
            places[number] = (seq, digest)
    faults |= _chain_faults(project_id, places)
    # A later line vouches for all that came before it, so spoiling a line hides no more than leaving out that line.
    faults |= {number: f"line {number} of the checkpoint file cannot be read" for number in unread if number > vouching}
    warning = f"line {unread[0]} of the checkpoint file cannot be read; a later one vouches" if unread else None
    yield Finding("checkpoints", faults[min(faults)] if faults else None, warning)


def _signed(line: str) -> dict[str, Any] | None:
    """The chains' places that a line of the checkpoint file names; None: it was not signed here."""
    entry = json.loads(line)
    key = keyring.find("checkpoint", entry["key"])
    if key is None or not hmac.compare_digest(_mac(key, entry["body"]), entry["mac"]):
        return None
    chains: dict[str, Any] = json.loads(entry["body"])["chains"]
    return chains


def _chain_faults(project_id: int, places: dict[int, tuple[int, str]]) -> dict[int, str]:
    """Where the chain is not what a checkpoint remembers, by the number of its line."""
    seals = EventSeal.objects.filter(project_id=project_id, seq__in={seq for seq, _ in places.values()})
    stands = {seq: bytes(digest).hex() for seq, digest in seals.values_list("seq", "digest")}
    faults = {}
    for number, (seq, digest) in places.items():
        if seq not in stands:
            faults[number] = f"the chain of events was cut: it had {seq} events at checkpoint {number}"
        elif stands[seq] != digest:
            faults[number] = (
                f"the chain of events was rewritten before event {seq}, which checkpoint {number} remembers otherwise"
            )
    return faults
