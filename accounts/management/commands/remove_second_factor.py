"""Let somebody who lost their second factor sign in again."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from accounts.actions.sign_in import remove_second_factor
from accounts.models import User


class Command(BaseCommand):
    help = "Remove a person's second factor and recovery codes, and end all their sessions. It is recorded."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.addressed(options["email"]).filter(kind=User.Kind.PERSON).first()
        if user is None:
            self.stderr.write(f"There is no person with the address {options['email']}. (not_found)")
            sys.exit(1)
        if remove_second_factor(user=user, by=None):
            self.stdout.write(f"{user.email} signs in by password alone from now on; all their sessions have ended.")
        else:
            self.stdout.write(f"{user.email} has no second factor.")
