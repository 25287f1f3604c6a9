"""History brought along: versions and releases with dates of their own, while a project has none of its own yet."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models import Membership, Project, User
from accounts.policies import Principal
from accounts.roles import Permission
from events.kinds import EventKind
from events.models import Event
from promptforge.lib.errors import DomainError
from promptforge.lib.json import canonical_json
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import require
from prompts import templating
from prompts.actions.projects import PRESETS, create_channel
from prompts.actions.releases import cut_release, locked_head
from prompts.digests import version_row_digest
from prompts.formats.composing import Composed, Composer, Plan, Stored
from prompts.formats.records import Batch, ReleaseRecord, Said
from prompts.models import Channel, Head, Prompt, PromptVersion, Release
from prompts.models.releases import ReleaseKind

ROWS_AT_ONCE = 200


def import_release(
    *, prompt: Prompt, channel: Channel, version: PromptVersion, decided_by: User, reason: str, at: datetime
) -> Release:
    """Append what was decided elsewhere, at the time at which it was decided."""
    with refusals(), transaction.atomic():
        head = locked_head(prompt, channel)
        by = Principal(decided_by, prompt.project)
        return cut_release(by=by, head=head, kind=ReleaseKind.IMPORT, version=version, reason=reason, at=at)


@dataclass
class Taken:
    """What was written of one prompt."""

    name: str
    is_new: bool
    versions: int = 0
    releases: int = 0


@dataclass
class Report:
    """What an import did, or would do: prompts written, prompts that stood so already, and all that was not taken."""

    is_history: bool
    taken: list[Taken] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    left: list[Said] = field(default_factory=list)
    notes: list[Said] = field(default_factory=list)


def import_batch(*, by: Principal, batch: Batch, escape: bool = False, dry_run: bool = False) -> Report:
    """Save what was read: all of it in one transaction, or nothing.

    While the project takes imported history, versions and releases keep their dates and channels are brought along,
    which takes the right to configure. Afterwards versions are saved as new ones, and no channel moves. A dry run does
    all the same, has the database judge it, and takes it back.
    """
    require(by.may(Permission.EDIT))
    library = _Library(by.project)
    plans = Composer(batch, library.stored(batch), library.look_up, now=timezone.now(), escape=escape).compose()
    with refusals(), transaction.atomic():
        is_history = Project.objects.get(pk=by.project.pk).importing
        report = Report(is_history, left=batch.left, notes=batch.notes)
        _Writer(by, library, report).write(plans, batch.channels if is_history else [])
        if dry_run:
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what a commit would refuse, this run reports too
            transaction.set_rollback(True)
    return report


class _Library:
    """What the project holds already, as far as a batch speaks of it."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.prompts: dict[str, Prompt] = {}
        self.ids: dict[tuple[str, int], int] = {}

    def stored(self, batch: Batch) -> dict[str, Stored]:
        wanted = {record.name.lower() for record in batch.prompts}
        found = Prompt.objects.filter(project=self.project).annotate(lower=Lower("name")).filter(lower__in=wanted)
        self.prompts = {prompt.name: prompt for prompt in found}
        digests: dict[str, list[bytes]] = defaultdict(list)
        rows = PromptVersion.objects.filter(prompt__in=self.prompts.values()).order_by("prompt_id", "number")
        for name, number, pk, digest in rows.values_list("prompt__name", "number", "pk", "digest"):
            digests[name].append(bytes(digest))
            self.ids[name, number] = pk
        return {
            name.lower(): Stored(name, prompt.type, digests[name], prompt.archived_at is not None)
            for name, prompt in self.prompts.items()
        }

    def look_up(self, name: str, number: int | None) -> templating.Included | None:
        versions = PromptVersion.objects.filter(prompt__project=self.project, prompt__name=name).order_by("-number")
        version = versions.first() if number is None else versions.filter(number=number).first()
        if version is None:
            return None
        self.ids[name, version.number] = version.pk
        return templating.Included(version.number, version.served_content, version.variable_list, version.type)


class _Writer:
    """Writes plans in waves: one row of each prompt, or of each ledger, in one statement; guards judge every row."""

    def __init__(self, by: Principal, library: _Library, report: Report) -> None:
        self.by, self.library, self.report = by, library, report
        self.events: list[Event] = []
        self.taken: dict[str, Taken] = {}
        members = Membership.objects.filter(project=by.project, user__kind=User.Kind.PERSON).select_related("user")
        self.members = {member.user.email.lower(): member.user for member in members}

    def write(self, plans: list[Plan], channels: Iterable[str]) -> None:
        self._lock(plans)
        for plan in plans:
            name = plan.record.name
            self.taken[name] = Taken(name, is_new=plan.stored is None)
            if plan.stored is None:
                self.library.prompts[name] = self._prompt(plan)
            else:
                self._compare(plan)
        self._versions(plans)
        self._releases(plans, channels)
        Event.objects.bulk_create(self.events, batch_size=ROWS_AT_ONCE)
        for taken in self.taken.values():
            if taken.is_new or taken.versions or taken.releases:
                self.report.taken.append(taken)
            else:
                self.report.unchanged.append(taken.name)

    def _lock(self, plans: list[Plan]) -> None:
        """Hold the prompts that exist; what was saved on them since they were read would make the plans wrong."""
        known = {plan.record.name: len(plan.digests) for plan in plans if plan.stored is not None}
        rows = Prompt.objects.filter(project=self.by.project, name__in=known).order_by("pk").locked()
        if {row.name: row.next_number - 1 for row in rows} != known:
            raise DomainError("stale_base", "Somebody saved a version meanwhile. Nothing was written; run it again.")

    def _prompt(self, plan: Plan) -> Prompt:
        record = plan.record
        prompt = Prompt(
            project=self.by.project,
            name=record.name,
            type=plan.type,
            description=record.description,
            tags=record.tags,
            archived_at=record.archived_at,
        )
        if self.report.is_history and record.created_at is not None:
            prompt.created_at = record.created_at
        prompt.save()
        self._tell(EventKind.PROMPT_CREATED, ("prompt", prompt.pk))
        if record.archived_at is not None:
            self._tell(EventKind.PROMPT_ARCHIVED, ("prompt", prompt.pk))
        return prompt

    def _compare(self, plan: Plan) -> None:
        """Say what stays as the project has it."""
        prompt, record = self.library.prompts[plan.record.name], plan.record
        if record.description not in ("", prompt.description) or (record.tags and record.tags != prompt.tags):
            self.report.notes.append(Said(prompt.name, "Its description and tags stay as the project has them."))
        if (more := len(plan.digests) - len(plan.composed)) > 0 and record.is_history:
            self.report.notes.append(Said(prompt.name, f"The project has {more} later versions of its own."))

    # --- Versions ---
    def _versions(self, plans: list[Plan]) -> None:
        """Each wave holds the next version of every prompt whose includes stand already."""
        waiting = {plan.record.name: iter(plan.new) for plan in plans}
        following = {name: next(versions, None) for name, versions in waiting.items()}
        numbers = {plan.record.name: plan.first for plan in plans}
        while any(following.values()):
            wave = [
                (name, composed)
                for name, composed in following.items()
                if composed is not None and all(pin in self.library.ids for pin in composed.pins)
            ]
            assert wave, "what includes itself was left while composing"
            self._wave([self._version(name, numbers[name], composed) for name, composed in wave])
            for name, _ in wave:
                numbers[name] += 1
                following[name] = next(waiting[name], None)

    def _version(self, name: str, number: int, composed: Composed) -> PromptVersion:
        record, prompt = composed.record, self.library.prompts[name]
        author = self.by.user
        # Only what is dated by the import is history to the database: the rest is the importer's own word.
        created_at = record.created_at if self.report.is_history else None
        if created_at is not None:
            author = self.members.get(record.author.lower(), author)
        message = record.message
        if record.author and record.author.lower() != author.email.lower():
            message = f"{message} (written by {record.author})" if message else f"Written by {record.author}"
        return PromptVersion(
            prompt=prompt,
            number=number,
            type=prompt.type,
            content=composed.content,
            source=composed.source,
            variables=composed.variables,
            config=composed.config,
            includes=[self.library.ids[pin] for pin in composed.pins],
            message=message,
            author=author,
            contributor=self.by.user.responsible or self.by.user,
            created_at=created_at,  # type: ignore[misc]  # the database dates it
            digest=b"",
        )

    def _wave(self, versions: list[PromptVersion]) -> None:
        PromptVersion.objects.bulk_create(versions, batch_size=ROWS_AT_ONCE)
        fields = ("contributor_id", "created_at", "recorded_at", "digest")
        rows = PromptVersion.objects.filter(pk__in=[version.pk for version in versions])
        dated = {pk: values for pk, *values in rows.values_list("pk", *fields)}
        for version in versions:
            for name, value in zip(fields, dated[version.pk], strict=True):
                setattr(version, name, value)
            name = version.prompt.name
            self.library.ids[name, version.number] = version.pk
            self.taken[name].versions += 1
            self._tell(
                EventKind.VERSION_SAVED,
                ("version", version.pk),
                prompt=name,
                number=version.number,
                digest=bytes(version.digest).hex(),
                row=version_row_digest(version).hex(),
            )

    # --- Releases ---
    def _releases(self, plans: list[Plan], channels: Iterable[str]) -> None:
        wanted = {plan.record.name: plan.record for plan in plans if plan.record.releases}
        ledgers = self._ledgers(wanted)
        missing: dict[tuple[str, str], list[ReleaseRecord]] = {}
        for name, record in wanted.items():
            for channel in dict.fromkeys(release.channel for release in record.releases):
                releases = [release for release in record.releases if release.channel == channel]
                there = ledgers[name, channel]
                if rest := self._missing(name, channel, releases, there, whole=record.has_ledgers):
                    missing[name, channel] = rest
        if missing and not self.report.is_history:
            for name, channel in missing:
                self.report.notes.append(Said(name, f"{channel} was not moved: the project has releases of its own."))
            return
        self._channels([*channels, *(channel for _, channel in missing)])
        heads = {
            (head.prompt.name, head.channel.name): head
            for head in Head.objects.filter(prompt__project=self.by.project, prompt__name__in={n for n, _ in missing})
            .select_related("prompt", "channel")
            .order_by("pk")
            .locked()
        }
        rows = {place: iter(rest) for place, rest in missing.items()}
        while wave := [(place, row) for place, rest in rows.items() if (row := next(rest, None))]:
            self._release_wave([self._release(heads[place], row) for place, row in wave], [row for _, row in wave])

    def _ledgers(self, names: Iterable[str]) -> dict[tuple[str, str], list[tuple[int, datetime]]]:
        """What stands in the project's ledgers, as (version, at), oldest first."""
        ledgers: dict[tuple[str, str], list[tuple[int, datetime]]] = defaultdict(list)
        rows = Release.objects.filter(prompt__project=self.by.project, prompt__name__in=list(names)).order_by(
            "revision"
        )
        for name, channel, version, at in rows.values_list("prompt__name", "channel__name", "version__number", "at"):
            ledgers[name, channel].append((version, at))
        return ledgers

    def _missing(
        self, name: str, channel: str, given: list[ReleaseRecord], there: list[tuple[int, datetime]], *, whole: bool
    ) -> list[ReleaseRecord]:
        """Those of the given releases that the ledger lacks; a ledger that went another way is left as it is."""
        if whole:
            rows = [(release.version, release.at) for release in given]
            if rows[: len(there)] == there[: len(rows)]:
                return given[len(there) :]
            self.report.left.append(Said(f"{name} on {channel}", "The project's ledger is another one; left as it is."))
            return []
        if there and given[0].version == there[-1][0]:
            return []
        if there and given[0].at is not None and given[0].at <= there[-1][1] and self.report.is_history:
            why = f"It moved to version {there[-1][0]} later than the import knows; left as it is."
            self.report.left.append(Said(f"{name} on {channel}", why))
            return []
        return given

    def _channels(self, names: list[str]) -> None:
        known = set(Channel.objects.filter(project=self.by.project).values_list("name", flat=True))
        if names:
            require(self.by.may(Permission.CONFIGURE))
        for name in dict.fromkeys(names):
            if name not in known:
                create_channel(project=self.by.project, name=name, policy=PRESETS["solo"], creator=self.by.user)
                self.report.channels.append(name)

    def _release(self, head: Head, row: ReleaseRecord) -> Release:
        head.revision += 1  # of this copy; the row itself is moved by the database
        return Release(
            prompt=head.prompt,
            channel=head.channel,
            revision=head.revision,
            kind=ReleaseKind.IMPORT,
            version_id=self.library.ids[head.prompt.name, row.version],
            actor=self.by.user,
            reason=row.reason,
            at=row.at or timezone.now(),
            previous_digest=b"",
            digest=b"",
        )

    def _release_wave(self, releases: list[Release], given: list[ReleaseRecord]) -> None:
        Release.objects.bulk_create(releases, batch_size=ROWS_AT_ONCE)
        digests = dict(Release.objects.filter(pk__in=[r.pk for r in releases]).values_list("pk", "digest"))
        for release, row in zip(releases, given, strict=True):
            name = release.prompt.name
            self.taken[name].releases += 1
            # Only imports may bring dates, so the ledger says `import`; what it was once stands in its event.
            was = {} if row.kind == ReleaseKind.IMPORT else {"original": row.kind}
            self._tell(
                EventKind.RELEASE_MADE,
                ("release", release.pk),
                move=ReleaseKind.IMPORT.value,
                prompt=name,
                channel=release.channel.name,
                revision=release.revision,
                version=row.version,
                digest=bytes(digests[release.pk]).hex(),
                **was,
            )

    def _tell(self, kind: EventKind, subject: tuple[str, int], **data: Any) -> None:
        """As `record` does, but written together at the end."""
        actor_kind, actor_id = self.by.actor
        self.events.append(
            Event(
                project_id=self.by.project.pk,
                kind=kind,
                actor_kind=actor_kind,
                actor_id=actor_id,
                subject_kind=subject[0],
                subject_id=subject[1],
                data=canonical_json(data),
            )
        )
