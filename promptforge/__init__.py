from promptforge.celery import app as celery_app

__version__ = "0.1.0"  # as in pyproject.toml
__all__ = ["celery_app"]
