"""Make a project."""

from argparse import ArgumentParser
from typing import Any

from accounts.management.project_command import ProjectCommand
from prompts.actions.projects import PRESETS, create_project


class Command(ProjectCommand):
    help = "Make a project with its roles, its channel stable and a preset's rules; print its name."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--preset", default="team", choices=list(PRESETS))
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        project = create_project(name=options["name"], preset=options["preset"], creator=None)
        self.write(options, {"name": project.name, "preset": options["preset"]}, project.name)
