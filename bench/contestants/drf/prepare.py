"""Fill the contestant's database: the same prompts as PromptForge serves, a person, and a token, which is printed.

Reads a JSON list of PromptForge's own answers on standard input.
"""

import json
import sys

import django


def main() -> None:
    """Make the tables, the rows and the token."""
    django.setup(set_prefix=False)
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from rest_framework.authtoken.models import Token

    from bench.contestants.drf.models import Label, Prompt, Version

    call_command("migrate", run_syncdb=True, verbosity=0)
    for answer in json.load(sys.stdin):
        prompt = Prompt.objects.create(name=answer.pop("name"))
        number = answer.pop("version")
        channel = answer.pop("channel")
        version = Version.objects.create(prompt=prompt, number=number, shown=answer)
        Label.objects.create(prompt=prompt, version=version, name=channel)
    print(Token.objects.create(user=User.objects.create(username="bench")).key)


if __name__ == "__main__":
    main()
