"""Fill a database with large projects."""

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from prompts.actions.scale_data import Size, fill_project


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
                "This is a production system, and what is made here can never be deleted. --yes insists."
            )
        size = _size(options)
        progress = _Progress(self, size.rows * options["projects"])
        for number in range(options["projects"]):
            progress.turn_to(f"scale-{number + 1:04}", size.rows * number)
            fill_project(name=progress.name, size=size, tell=progress.tell)
        self.stdout.write(
            f"{options['projects']} projects, each with {size.prompts:,} prompts, {size.prompts * size.versions:,} "
            f"versions and {size.prompts * size.releases * 2:,} releases."
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
        self.command, self.total = command, total
        self.added = 0
        self.began = self.said = time.monotonic()

    def turn_to(self, name: str, before: int) -> None:
        """The next project, and the rows of all projects before it."""
        self.name, self.before = name, before
        self.seen: int | None = None

    def tell(self, rows: int) -> None:
        """Rows of the project; those that it had already do not count as speed."""
        self.added += 0 if self.seen is None else rows - self.seen
        self.seen = rows
        now = time.monotonic()
        if not self.added or now - self.said < self.EVERY:
            return
        self.said = now
        done, rate = self.before + rows, self.added / (now - self.began)
        left = (self.total - done) / rate / 60
        self.command.stdout.write(
            f"{self.name}  {done:>11,} of {self.total:,} rows  {rate:>7,.0f}/s  {left:,.0f} min to go"
        )
