"""What this process has counted, and what it has logged."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.multiprocess import MultiProcessCollector

from promptforge.lib import metrics
from promptforge.lib.logs import Line

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def counted() -> Series:
    """Every series of this process alone; other tests' processes count beside it."""
    metrics.flush()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for metric in MultiProcessCollector.merge(metrics.FOLDER.glob(f"*_{metrics._SLOT.name()}.db"))
        for sample in metric.samples
    }


def moved(before: Series) -> dict[str, float]:
    """What has grown since, as `name{a=b}`, without the buckets and the seconds."""
    after = counted()
    return {
        f"{name}{{{','.join(f'{label}={value}' for label, value in labels)}}}": after[name, labels] - grown
        for name, labels in after
        if not name.endswith(("_bucket", "_sum")) and after[name, labels] != (grown := before.get((name, labels), 0.0))
    }


class Lines:
    """What the root logger has written as JSON since the test began."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def one(self, event: str) -> dict[str, Any]:
        (line,) = [line for line in self.all() if line["event"] == event]
        return line


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    monkeypatch.setenv("PROMPTFORGE_LOG_FORMAT", "json")
    written = Lines()
    handler = logging.StreamHandler(written.stream)
    handler.setFormatter(Line())
    logging.getLogger().addHandler(handler)
    yield written
    logging.getLogger().removeHandler(handler)
