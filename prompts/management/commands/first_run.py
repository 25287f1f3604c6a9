"""What the first start makes: an admin, and the demo project."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils.module_loading import import_string

from accounts.actions.api_keys import create_key
from accounts.actions.members import create_user
from accounts.models import Project, User
from accounts.roles import Scope
from prompts.demo.loader import load_demo_for, resume_demo

EMAIL = "admin@example.com"


class Command(BaseCommand):
    help = (
        "Make an admin, and the project demo, where there are no accounts and projects yet; print how to sign in, "
        "this once, and how the demo stands while it is being made."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="Make the admin alone.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not User.objects.exists() and not Project.objects.exists():
            self._begin(with_demo=not options["no_demo"])
        elif not User.objects.filter(is_superuser=True).exists():
            self.stdout.write(
                "There are accounts or projects here and no superuser: `manage.py createsuperuser` makes one."
            )
        for sentence in filter(None, (resume_demo(), import_string(settings.DEMO_TOLD)())):
            self.stdout.write(sentence)

    def _begin(self, *, with_demo: bool) -> None:
        with transaction.atomic():
            password = secrets.token_urlsafe(12)
            admin = create_user(email=EMAIL, name="Admin", password=password, is_staff=True, is_superuser=True)
            key = self._demo(admin) if with_demo else None
            # Before the commit: a password that could not be told would be nobody's, for good.
            self.stdout.write(f"Sign in: {EMAIL}  password {password}")
            if key:
                self.stdout.write(f"Key: {key}")
            self.stdout.flush()

    def _demo(self, admin: User) -> str:
        project = load_demo_for(admin)
        scopes = [Scope.PROMPTS_READ, Scope.VERSIONS_WRITE, Scope.PROMOTIONS_WRITE, Scope.RELEASES_WRITE]
        return create_key(project=project, name="first steps", scopes=scopes, responsible=admin, by=None).text
