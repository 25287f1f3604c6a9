"""What the first start makes: an admin, and the demo project."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from accounts.actions.api_keys import create_key
from accounts.actions.members import create_user
from accounts.models import Project, User
from accounts.roles import Scope
from prompts.demo.loader import live_today, load_demo_for

EMAIL = "admin@example.com"


class Command(BaseCommand):
    help = "Make an admin, and the project demo, when there is no admin yet; print how to sign in, this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="Make the admin alone.")

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            if User.objects.filter(is_superuser=True).exists():
                return
            password = secrets.token_urlsafe(12)
            admin = create_user(email=EMAIL, name="Admin", password=password, is_staff=True, is_superuser=True)
            key = None if options["no_demo"] else self._demo(admin)
        self.stdout.write(f"Sign in: {EMAIL}  password {password}")
        if key:
            self.stdout.write(f"Key: {key}")
            live_today(Project.objects.get(name="demo"))

    def _demo(self, admin: User) -> str:
        project = load_demo_for(admin)
        scopes = [Scope.PROMPTS_READ, Scope.VERSIONS_WRITE, Scope.PROMOTIONS_WRITE, Scope.RELEASES_WRITE]
        return create_key(project=project, name="first steps", scopes=scopes, responsible=admin, by=None).text
