"""The Celery application; workers and beat start with `celery -A promptforge`."""

import logging.config
import os
from typing import Any

from celery import Celery, signals

from promptforge.lib import file_broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "promptforge.settings")

file_broker.install()
app = Celery("promptforge")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def log_like_the_rest(**_: Any) -> None:
    """Keep Celery from a form of lines of its own."""
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)
