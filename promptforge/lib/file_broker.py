"""Celery's messages as files, each of which is there only once it is whole.

Kombu's own transport makes the file first and writes it then: a worker that comes between reads an empty message, takes
it for one that cannot be read, and ends (`kombu/transport/filesystem.py`, `_put` and `_get`, 5.7).
"""

import time
import uuid
from pathlib import Path
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]  # as the class above has it
        # Kombu's names, by which it reads them in the order in which they came.
        whole = Path(self.data_folder_out, f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg")
        begun = whole.with_suffix(".begun")
        try:
            begun.write_text(dumps(payload))  # type: ignore[no-untyped-call]
            begun.replace(whole)
        except OSError as error:
            raise ChannelError(f"The message {whole} cannot be written: {error}") from error


class Transport(filesystem.Transport):
    Channel = Channel


def install() -> None:
    """Let `filesystem://` mean this one."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
