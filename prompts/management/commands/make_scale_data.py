"""Fill a database with large projects."""

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.models import Project
from prompts.actions.scale_data import Size, make_scale_project


class Command(BaseCommand):
    help = "Make projects scale-0001, scale-0002 … of imported history, to measure with; those that exist are skipped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--projects", type=int, default=2, help="How many projects (2).")
        parser.add_argument("--prompts", type=int, default=200, help="Prompts of all projects together (200).")
        parser.add_argument("--versions", type=int, default=4_000, help="Versions of all together (4000).")
        parser.add_argument("--releases", type=int, default=20_000, help="Releases of all together (20000).")
        parser.add_argument("--yes", action="store_true", help="Do it although this is a production system.")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION and not options["yes"]:
            raise CommandError(
                "This is a production system, and nothing that is made here can be deleted: --yes insists."
            )
        size = _size(options)
        names = [f"scale-{number:04}" for number in range(1, options["projects"] + 1)]
        missing = sorted(set(names) - set(Project.objects.filter(name__in=names).values_list("name", flat=True)))
        if len(missing) < len(names):
            self.stdout.write(f"{len(names) - len(missing)} of {len(names)} projects exist already.")
        progress = _Progress(self, size.rows * len(missing))
        for name in missing:
            progress.project = name
            make_scale_project(name=name, size=size, tell=progress.tell)
            progress.finish(size.rows)
        self.stdout.write(
            f"{len(names)} projects, each with {size.prompts} prompts, {size.prompts * size.versions:,} versions "
            f"and {size.prompts * size.releases * 2:,} releases."
        )


def _size(options: dict[str, Any]) -> Size:
    """What each project holds: the totals, divided evenly; what does not divide is left out."""
    projects, prompts = options["projects"], options["prompts"]
    if projects < 1 or prompts < projects or options["versions"] < prompts or options["releases"] < 2 * prompts:
        raise CommandError(
            "At least one project, one prompt in each, one version of each prompt, and two releases: "
            "prompts >= projects, versions >= prompts, releases >= 2 x prompts."
        )
    return Size(prompts // projects, options["versions"] // prompts, options["releases"] // prompts // 2)


class _Progress:
    """Says every few seconds how far it is, how fast, and how long it will take."""

    EVERY = 5.0

    def __init__(self, command: BaseCommand, total: int) -> None:
        self.command, self.total, self.done, self.project = command, total, 0, ""
        self.began = self.said = time.monotonic()

    def tell(self, stage: str, rows: int) -> None:
        now = time.monotonic()
        if now - self.said < self.EVERY and stage != "committing":
            return
        self.said = now
        done = self.done + rows
        rate = done / max(now - self.began, 0.001)
        left = (self.total - done) / rate / 60 if rate else 0
        self.command.stdout.write(
            f"{self.project} {stage:<10} {done:>11,} of {self.total:,} rows  {rate:>7,.0f}/s  {left:,.0f} min to go"
        )

    def finish(self, rows: int) -> None:
        self.done += rows
