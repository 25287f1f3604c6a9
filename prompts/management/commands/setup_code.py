"""How to make the first account in the browser."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.urls import reverse

from accounts.models import User
from accounts.setup_code import setup_code
from prompts.demo.loader import resume_demo


class Command(BaseCommand):
    help = "Print where the first account is made, and the code that it takes; nothing once there is an account."

    def handle(self, *args: Any, **options: Any) -> None:
        if not User.objects.exists():
            self.stdout.write(f"Set up: {settings.ORIGIN}{reverse('welcome')}  code {setup_code()}")
        elif sentence := resume_demo():  # the set-up page was ended while it made the examples
            self.stderr.write(sentence)
