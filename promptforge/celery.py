"""The Celery application; workers and beat start with `celery -A promptforge`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "promptforge.settings")

app = Celery("promptforge")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
