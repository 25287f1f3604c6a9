"""What commands share: finding the project and the person, and telling a refusal."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from accounts.models import Project, User
from accounts.policies import Principal
from promptforge.lib.errors import DomainError


class ProjectCommand(BaseCommand):
    """A command about one project. Refusals are the same sentences as on the page and by REST; exit status 1."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", help="The project's name; may be left out when there is only one.")
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except DomainError as refusal:
            self.stderr.write(f"{refusal.detail} ({refusal.code})")
            sys.exit(1)

    def project(self, options: dict[str, Any]) -> Project:
        if options["project"]:
            project = Project.objects.filter(name=options["project"]).first()
            if project is None:
                raise DomainError(
                    "project_not_found", f"There is no project {options['project']}. Projects: {_names() or 'none'}."
                )
            return project
        projects = list(Project.objects.all()[:2])
        if len(projects) != 1:
            raise DomainError("project_required", f"Name the project with --project. Projects: {_names() or 'none'}.")
        return projects[0]

    def person(self, email: str, project: Project) -> Principal:
        user = User.objects.addressed(email).filter(kind=User.Kind.PERSON).first()
        if user is None:
            raise DomainError("not_found", f"There is no person with the address {email}.")
        return Principal(user, project)

    def write(self, options: dict[str, Any], shape: Any, sentence: str) -> None:
        """Print the object as JSON when asked to, else the sentence."""
        self.stdout.write(json.dumps(shape, ensure_ascii=False) if options["json"] else sentence)


def _names() -> str:
    return ", ".join(Project.objects.order_by("name").values_list("name", flat=True)[:20])
