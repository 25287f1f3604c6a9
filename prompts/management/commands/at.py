"""Tell what was live at an instant."""

from argparse import ArgumentParser
from typing import Any

from accounts.management.project_command import ProjectCommand
from promptforge.lib.errors import DomainError
from promptforge.lib.instants import format_instant, parse_instant
from promptforge.lib.json import canonical_json
from prompts.models import Channel, Head, Prompt
from prompts.models.releases import ReleaseKind
from prompts.reading import as_of
from prompts.resolving import Resolved
from prompts.shapes import release_shape, released


class Command(ProjectCommand):
    help = "Tell which version of a prompt was live on a channel at an instant: since when, by whom and why."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("prompt")
        parser.add_argument("instant", help="RFC 3339, such as 2026-11-17T10:00:00Z.")
        parser.add_argument("--channel", default="stable")
        parser.add_argument("--content", action="store_true", help="Print the content as well.")

    def handle(self, *args: Any, **options: Any) -> None:
        project = self.project(options)
        head = (
            Head.objects.select_related("prompt", "channel")
            .filter(prompt__project=project, prompt__name=options["prompt"], channel__name=options["channel"])
            .first()
        )
        if head is None:
            raise self._missing(project, options)
        found = as_of(head.prompt, head.channel, parse_instant(options["instant"], "the instant"))
        assert found.release is not None
        shape = release_shape(released(found.release.pk))
        if options["content"]:
            shape["content"] = found.version.served_content
        self.write(options, shape, self._sentence(found, with_content=options["content"]))

    def _missing(self, project: Any, options: dict[str, Any]) -> DomainError:
        if not Prompt.objects.filter(project=project, name=options["prompt"]).exists():
            return DomainError("prompt_not_found", f"There is no prompt {options['prompt']} in {project}.")
        channels = ", ".join(Channel.objects.filter(project=project).values_list("name", flat=True))
        return DomainError(
            "channel_not_found", f"There is no channel {options['channel']} in {project}. Channels: {channels}."
        )

    def _sentence(self, found: Resolved, *, with_content: bool) -> str:
        release = found.release
        assert release is not None
        kind = "imported history" if release.kind == ReleaseKind.IMPORT else release.kind
        lines = [
            f"{found.version} was live on {found.channel}.",
            f"Since    {format_instant(release.at)}  (revision {release.revision}, {kind})",
            f"By       {release.actor}",
            f"Because  {release.reason or 'no reason was given'}",
        ]
        if with_content:
            content = found.version.served_content
            lines += ["", content if isinstance(content, str) else canonical_json(content)]
        return "\n".join(lines)
