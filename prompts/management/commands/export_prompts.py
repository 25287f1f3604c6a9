"""Export prompts into a folder that people can read and compare."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from accounts.management.project_command import ProjectCommand
from accounts.models import Project
from events.kinds import EventKind
from events.models import Event
from promptforge.lib.errors import DomainError
from prompts import templating
from prompts.formats import folder
from prompts.formats.gathering import read_bytes
from prompts.formats.records import PromptRecord, ReleaseRecord, Unreadable, VersionRecord
from prompts.models import Channel, Prompt, PromptVersion, Release
from prompts.models.releases import ReleaseKind


class Command(ProjectCommand):
    help = "Export a project's prompts, versions and ledgers into a folder: the same project, the same bytes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("path", type=Path, help="A folder that is empty, not there yet, or an earlier export.")

    def handle(self, *args: Any, **options: Any) -> None:
        project = self.project(options)
        target = _Target(options["path"])
        # Read first and written afterwards: a transaction that waits for a slow disk would be ended.
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            channels = Channel.objects.filter(project=project).order_by("position", "pk")
            names, prompts = [channel.name for channel in channels], list(_records(project))
        for path, content in folder.files(prompts, names):
            target.put(path, content)
        removed = target.remove_the_rest()
        shape = {
            "prompts": len(prompts),
            "versions": sum(len(prompt.versions) for prompt in prompts),
            "releases": sum(len(prompt.releases) for prompt in prompts),
        }
        sentence = (
            f"{shape['prompts']} prompts with {shape['versions']} versions and {shape['releases']} releases are in "
            f"{options['path']}: {target.written} files written, {target.same} stood so already, {removed} removed."
        )
        self.write(options, shape | {"written": target.written, "same": target.same, "removed": removed}, sentence)


class _Target:
    """The folder: only files that differ are written, and only files of ours are removed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.written = self.same = 0
        self.put_paths: set[str] = set()
        if root.exists() and not root.is_dir():
            raise DomainError("bad_value", f"{root} is a file; name a folder.")
        present = {path.name for path in root.iterdir()} - {".git"} if root.exists() else set()
        if present and not self._is_ours():
            raise DomainError("bad_value", f"{root} holds other files; name an empty folder or an earlier export.")
        self.before = [path.relative_to(root).as_posix() for path in root.glob("prompts/**/*") if path.is_file()]

    def _is_ours(self) -> bool:
        try:
            return folder.is_manifest(json.loads(read_bytes(self.root / folder.MANIFEST, folder.MAX_DOCUMENT)))
        except (Unreadable, ValueError, RecursionError):
            return False

    def put(self, inside: str, content: bytes) -> None:
        self.put_paths.add(inside)
        path = self.root / inside
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or not path.parent.resolve().is_relative_to(self.root.resolve()):
            raise DomainError("bad_value", f"{inside} is behind a link; an export writes into its own folder only.")
        if path.is_file() and path.read_bytes() == content:
            self.same += 1
            return
        path.write_bytes(content)
        self.written += 1

    def remove_the_rest(self) -> int:
        """Take away what an earlier export wrote and this one did not."""
        stale = [inside for inside in self.before if inside not in self.put_paths and folder.OURS.fullmatch(inside)]
        for inside in stale:
            (self.root / inside).unlink()
        return len(stale)


def _records(project: Project) -> Iterator[PromptRecord]:
    """Every prompt that has a version, by name."""
    names = {
        pk: (name, number)
        for pk, name, number in PromptVersion.objects.filter(prompt__project=project).values_list(
            "pk", "prompt__name", "number"
        )
    }
    ledgers: dict[str, list[ReleaseRecord]] = {}
    for name, release in _releases(project):
        ledgers.setdefault(name, []).append(release)
    # By code point, whatever the database sorts by: the same order, and the same bytes, everywhere.
    prompts = {prompt.name: prompt for prompt in Prompt.objects.filter(project=project)}
    rows = PromptVersion.objects.filter(prompt__project=project).order_by("prompt_id", "number")
    versions = {
        key: [_version(row, names) for row in group]
        for key, group in groupby(rows.iterator(chunk_size=2000), key=lambda row: row.prompt_id)
    }
    for name in sorted(prompts):
        prompt = prompts[name]
        if prompt.pk in versions:
            yield PromptRecord(
                name=name,
                type=prompt.type,
                versions=versions.pop(prompt.pk),
                releases=ledgers.get(name, []),
                description=prompt.description,
                tags=prompt.tags,
                created_at=prompt.created_at,
                archived_at=prompt.archived_at,
            )


def _version(row: PromptVersion, names: dict[int, tuple[str, int]]) -> VersionRecord:
    return VersionRecord(
        content=row.typed_source,
        config=row.config_object,
        variables=row.variable_list,
        message=row.message,
        created_at=row.created_at,
        pins=_pins(row, names) if row.includes else {},
    )


def _pins(row: PromptVersion, names: dict[int, tuple[str, int]]) -> dict[str, int]:
    """What `{{> name }}` stood for: the newest version then, so the highest number of those that are included."""
    source = row.typed_source
    texts = [source] if isinstance(source, str) else [message.get("content", "") for message in source]
    parts = [part for text in texts for part in templating.parse(text)]
    floating = {part.name for part in parts if isinstance(part, templating.Include) and part.number is None}
    included = sorted(names[pk] for pk in row.includes)
    return {name: number for name, number in included if name in floating}


def _releases(project: Project) -> Iterator[tuple[str, ReleaseRecord]]:
    told = Event.objects.filter(project_id=project.pk, kind=EventKind.RELEASE_MADE, data__contains='"original"')
    originals = {event.subject_id: json.loads(event.data).get("original") for event in told}
    rows = Release.objects.filter(prompt__project=project).select_related("prompt", "channel", "version")
    for row in rows.order_by("prompt_id", "channel__name", "revision").iterator(chunk_size=2000):
        kind = originals.get(row.pk) if row.kind == ReleaseKind.IMPORT else row.kind
        release = ReleaseRecord(
            row.channel.name, row.version.number, row.at, row.reason, kind or ReleaseKind.IMPORT.value
        )
        yield row.prompt.name, release
