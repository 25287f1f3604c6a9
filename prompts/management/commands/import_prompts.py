"""Import prompts from files, from another system's export, or from our own."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from accounts.management.project_command import ProjectCommand
from accounts.models import Membership, Project
from accounts.policies import Principal
from accounts.roles import Role
from promptforge.lib.errors import DomainError
from prompts.actions.imports import Report, Taken, import_batch
from prompts.formats.gathering import gather
from prompts.formats.records import Said


class Command(ProjectCommand):
    help = "Import prompts from a folder or a file; a second run changes nothing. Exits with 1 when something was left."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("path", type=Path, help="A folder or a file; the form is found out.")
        parser.add_argument("--as", dest="email", metavar="EMAIL", help="Who imports; by default an admin.")
        parser.add_argument("--dry-run", action="store_true", help="Do all the same, and take it back at the end.")
        parser.add_argument("--escape", action="store_true", help="Keep tags that are no variables of ours as text.")

    def handle(self, *args: Any, **options: Any) -> None:
        project = self.project(options)
        by = self.person(options["email"], project) if options["email"] else _admin(project)
        batch = gather(options["path"])
        report = import_batch(by=by, batch=batch, escape=options["escape"], dry_run=options["dry_run"])
        self.write(options, _shape(report, options), "\n".join(_lines(report, by, dry_run=options["dry_run"])))
        if report.left:
            sys.exit(1)


def _admin(project: Project) -> Principal:
    members = Membership.objects.filter(project=project, user__is_active=True, roles__contains=[Role.ADMIN])
    first = members.select_related("user").order_by("pk").first()
    if first is None:
        raise DomainError("not_found", f"{project} has no admin who could import. Name somebody with --as.")
    return Principal(first.user, project)


def _shape(report: Report, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "dry_run": options["dry_run"],
        "history": report.is_history,
        "taken": [
            {"name": taken.name, "new": taken.is_new, "versions": taken.versions, "releases": taken.releases}
            for taken in report.taken
        ],
        "unchanged": report.unchanged,
        "channels": report.channels,
        "left": [_said(said) for said in report.left],
        "notes": [_said(said) for said in report.notes],
    }


def _said(said: Said) -> dict[str, str]:
    return {"where": said.where, "why": said.why}


def _lines(report: Report, by: Principal, *, dry_run: bool) -> list[str]:
    lines = [f"{'new' if taken.is_new else 'more':<10} {taken.name}: {_counted(taken)}" for taken in report.taken]
    lines += [f"{'unchanged':<10} {name}" for name in report.unchanged]
    lines += [f"{'channel':<10} {name} was made, unprotected" for name in report.channels]
    lines += [f"{'note':<10} {said.where}: {said.why}" for said in report.notes]
    lines += [f"{'not taken':<10} {said.where}: {said.why}" for said in report.left]
    if not report.is_history and report.taken:
        lines.append(
            f"{by.project} has releases of its own, so it takes no imported history any more: "
            "versions were saved as new ones, dated now, and no channel moved."
        )
    versions, releases = sum(t.versions for t in report.taken), sum(t.releases for t in report.taken)
    lines.append(
        f"{len(report.taken)} prompts with {_counted(Taken('', False, versions, releases))}; "
        f"{len(report.unchanged)} unchanged, {len(report.left)} not taken. By {by.user}."
    )
    if dry_run:
        lines.append("This was a dry run: nothing was written.")
    return lines


def _counted(taken: Taken) -> str:
    return ", ".join(
        f"{count} {word}" if count == 1 else f"{count} {word}s"
        for count, word in ((taken.versions, "version"), (taken.releases, "release"))
    )
