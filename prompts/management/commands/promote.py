"""Make a version live: directly, or on a protected channel by its promotion."""

from argparse import ArgumentParser
from typing import Any

from accounts.management.project_command import ProjectCommand
from prompts.actions.promotions import go_live
from prompts.reading import find_channel, find_prompt, resolve
from prompts.selectors import parse_reference
from prompts.shapes import release_shape


class Command(ProjectCommand):
    help = "Make a version live; on a protected channel its open promotion is applied."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("reference", help="Such as support/greeting@8.")
        parser.add_argument("--channel", default="stable")
        parser.add_argument("--reason", default="")
        parser.add_argument("--as", dest="email", required=True, metavar="EMAIL", help="Who decides.")

    def handle(self, *args: Any, **options: Any) -> None:
        project = self.project(options)
        person = self.person(options["email"], project)
        name, selector = parse_reference(options["reference"])
        prompt = find_prompt(person, name)
        version = resolve(person, prompt, selector).version
        channel = find_channel(person, options["channel"])
        release = go_live(by=person, prompt=prompt, channel=channel, version=version, reason=options["reason"])
        sentence = f"{version} is live on {channel} (revision {release.revision}). The next request gets it."
        self.write(options, release_shape(release), sentence)
