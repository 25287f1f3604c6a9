"""A web process loads every view before it serves: its first request for Django would do so on the loop of the lane."""

import subprocess
import sys

from tests.plugin import ROOT

LOADED_LATE = """
import sys
import promptforge.asgi
before = set(sys.modules)
from django.urls import get_resolver, resolve
get_resolver().url_patterns, resolve("/api/v1/prompts"), resolve("/accounts/sign-in/"), resolve("/admin/")
print("promptforge.urls" in before, sorted(set(sys.modules) - before))
"""


def test_the_first_request_for_django_has_no_view_to_load() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED_LATE], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "True []"
