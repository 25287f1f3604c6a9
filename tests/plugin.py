"""Loaded before the settings: tests work under var/test, on a cluster that gives up durability for speed."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
os.environ["PROMPTFORGE_VAR"] = str(ROOT / "var" / "test")
os.environ.pop("PROMPTFORGE_ENV", None)
# Wake-ups end in memory: the tests look for work in rows, as workers do, and those about a broker bring their own.
os.environ["CELERY_BROKER_URL"] = "memory://"
