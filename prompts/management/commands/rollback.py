"""Roll a channel back."""

from argparse import ArgumentParser
from typing import Any

from accounts.management.project_command import ProjectCommand
from prompts.actions.releases import rollback
from prompts.reading import find_channel, find_prompt, find_version
from prompts.shapes import release_shape


class Command(ProjectCommand):
    help = "Return a channel to the version that was live before, or to another that was live there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("prompt")
        parser.add_argument("--channel", default="stable")
        parser.add_argument("--to", type=int, metavar="NUMBER", help="The version to return to.")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--as", dest="email", required=True, metavar="EMAIL", help="Who decides.")

    def handle(self, *args: Any, **options: Any) -> None:
        project = self.project(options)
        person = self.person(options["email"], project)
        prompt = find_prompt(person, options["prompt"])
        channel = find_channel(person, options["channel"])
        target = None if options["to"] is None else find_version(prompt, options["to"])
        release = rollback(by=person, prompt=prompt, channel=channel, version=target, reason=options["reason"])
        sentence = (
            f"{release.version} is live on {channel} again (revision {release.revision}). The next request gets it."
        )
        self.write(options, release_shape(release), sentence)
