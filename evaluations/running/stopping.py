"""Whether this process was told to end. A worker's children learn it from their parent, who alone gets the signal."""

import multiprocessing

_told = multiprocessing.Event()


def stop(**_: object) -> None:
    _told.set()


def is_stopping() -> bool:
    return _told.is_set()
