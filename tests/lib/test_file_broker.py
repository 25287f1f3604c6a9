"""Messages as files: whoever looks while one is written does not meet half of it."""

import queue
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection
from kombu.transport import filesystem

from promptforge.celery import app
from promptforge.lib import file_broker


class Looked:
    """A message during whose writing somebody looks."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel

    def __json__(self) -> dict[str, int]:
        with pytest.raises(queue.Empty):
            self.channel._get("celery")
        return {"number": 1}


class Unread(Looked):
    def __json__(self) -> Any:
        return self.channel._get("celery")


def channel_of(transport: Any, folder: Path) -> Any:
    where = {"data_folder_in": str(folder), "data_folder_out": str(folder), "control_folder": str(folder / "control")}
    return Connection(transport=transport, transport_options=where).default_channel


def test_a_message_is_there_once_it_is_whole(tmp_path: Path) -> None:
    channel = channel_of(file_broker.Transport, tmp_path)
    channel._put("celery", Looked(channel))
    channel._put("celery", {"number": 2})
    assert {channel._get("celery")["number"] for _ in range(2)} == {1, 2}
    assert list(tmp_path.glob("*_*")) == []


def test_the_package_s_own_transport_still_needs_it(tmp_path: Path) -> None:
    """When this fails, ours can go."""
    channel = channel_of(filesystem.Transport, tmp_path)
    with pytest.raises(ValueError, match="Expecting value"):
        channel._put("celery", Unread(channel))


def test_celery_sends_by_it() -> None:
    with app.connection_for_write("filesystem://localhost") as connection:
        assert isinstance(connection.transport, file_broker.Transport)
