"""Make a person, and give them a role in a project."""

import sys
from argparse import ArgumentParser
from typing import Any

from accounts.actions.members import create_user, set_roles
from accounts.management.project_command import ProjectCommand
from accounts.models import Membership
from accounts.roles import Role


class Command(ProjectCommand):
    help = "Make a person with a role in a project. Naming a person again with another role adds that role."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("email")
        parser.add_argument("--name", default="", help="The person's name as others read it.")
        parser.add_argument("--role", required=True, choices=Role.values)
        parser.add_argument("--staff", action="store_true", help="May also work in the Django admin.")
        parser.add_argument("--password-stdin", action="store_true", help="Read the password from standard input.")

    def handle(self, *args: Any, **options: Any) -> None:
        project = self.project(options)
        password = sys.stdin.readline().rstrip("\n") if options["password_stdin"] else None
        # Each in a transaction of its own: a new password is told in another chain than a role.
        user = create_user(email=options["email"], name=options["name"], password=password, is_staff=options["staff"])
        present = Membership.objects.filter(project=project, user=user).values_list("roles", flat=True).first() or []
        membership = set_roles(project=project, user=user, roles=[*present, options["role"]], by=None)
        roles = ", ".join(membership.roles)
        self.write(
            options,
            {"email": user.email, "name": user.name, "project": project.name, "roles": membership.roles},
            f"{user.email} is in {project} as {roles}"
            + ("." if user.has_usable_password() else ", without a password: give one with --password-stdin."),
        )
