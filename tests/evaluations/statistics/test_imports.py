"""scipy costs a web process a hundred megabytes, so none may load it; and the statistics know no framework."""

import subprocess
import sys

from tests.plugin import ROOT

HEAVY = ("scipy", "numpy", "statsmodels", "pandas")
WEB = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "promptforge.settings"
import promptforge.asgi, promptforge.urls
"""
PURE = "import sys, evaluations.statistics, evaluations.statistics.calibration, evaluations.statistics.drift\n"


def loaded(code: str, *names: str) -> str:
    code += f"print(sorted(name for name in {names} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def test_no_web_process_loads_scipy() -> None:
    assert loaded(WEB, *HEAVY, "django") == "['django']"


def test_the_statistics_load_neither_scipy_nor_django() -> None:
    assert loaded(PURE, *HEAVY, "django", "celery", "evaluations") == "['evaluations']"
