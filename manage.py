#!/usr/bin/env python
"""Run a command on the same database that the server uses, whether the server runs or not."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "promptforge.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from promptforge.lib.database import available

    try:
        with available():
            execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"PromptForge cannot run. {error}")


if __name__ == "__main__":
    main()
