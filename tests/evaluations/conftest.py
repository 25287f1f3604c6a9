"""A stub provider on this machine that the operator allows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings

from tests.evaluations.stub_provider import Provider, providing


@pytest.fixture
def provider(tmp_path: Path, settings: LazySettings) -> Iterator[Provider]:
    with providing(tmp_path / "provider") as one:
        settings.ALLOWED_PRIVATE_HOSTS = [one.host]
        yield one
