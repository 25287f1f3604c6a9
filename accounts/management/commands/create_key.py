"""Make an API key."""

from argparse import ArgumentParser
from typing import Any

from accounts.actions.api_keys import create_key
from accounts.management.project_command import ProjectCommand
from accounts.models import Membership, User
from accounts.roles import Role, Scope
from promptforge.lib.errors import DomainError
from promptforge.lib.ids import encode


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


class Command(ProjectCommand):
    help = "Make an API key and print it, alone, on standard output. It is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--name", required=True, help="Who uses it.")
        parser.add_argument("--scopes", required=True, type=_words, help=f"Comma-separated: {', '.join(Scope.values)}.")
        parser.add_argument("--channels", default=[], type=_words, help="What it may select; none means all.")
        parser.add_argument(
            "--prompts", default=[], type=_words, help="Name patterns such as 'support/*'; none means all."
        )
        parser.add_argument(
            "--responsible", help="E-mail of the person who answers for it; by default an admin of the project."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project = self.project(options)
        made = create_key(
            project=project,
            name=options["name"],
            scopes=options["scopes"],
            channels=options["channels"],
            prompts=options["prompts"],
            responsible=self._responsible(options, project),
            by=None,
        )
        self.stderr.write(f"{made.key.service_account.responsible} answers for this key. It is shown this once.")
        self.write(options, {"id": encode("key", made.key.pk), "name": made.key.name, "key": made.text}, made.text)

    def _responsible(self, options: dict[str, Any], project: Any) -> User:
        if options["responsible"]:
            return self.person(options["responsible"], project).user
        members = Membership.objects.filter(project=project, user__is_active=True).select_related("user").order_by("pk")
        first = members.filter(roles__contains=[Role.ADMIN]).first() or members.first()
        if first is None:
            raise DomainError(
                "not_found", f"{project} has no member who could answer for a key. Make one with create_user."
            )
        return first.user
