"""A stub provider on this machine that the operator allows."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from tests.evaluations.running import Bench, make_bench
from tests.evaluations.stub_provider import Provider, providing
from tests.personas import Team

type Make = Callable[..., Bench]


@pytest.fixture
def provider(tmp_path: Path, settings: LazySettings) -> Iterator[Provider]:
    with providing(tmp_path / "provider") as one:
        settings.ALLOWED_PRIVATE_HOSTS = [one.host]
        yield one


@pytest.fixture
def make(team: Team, provider: Provider) -> Make:
    def bench(**fields: Any) -> Bench:
        return make_bench(team, provider, **fields)

    provider.behave(text="Hello Ada!")
    return bench
