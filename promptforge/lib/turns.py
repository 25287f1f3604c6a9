"""Turns of requests that compute: few at once, more while some only wait, and a bounded queue in front."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from promptforge.lib import metrics


class Turns:
    """`quick` at once. Whoever takes longer than `slow` seconds lets another in, up to `at_once` in all.

    `most_waiting` says how many may wait for theirs, in order; `is_full` that newcomers may not, `is_overfull` that
    those may not either who were let in before and had yet to send their body. From `is_full` on until
    half of them are through only one computes: those who wait will wait for seconds anyway, and whoever is refused, or
    needs no turn, is answered the sooner.
    """

    def __init__(self, *, quick: int, at_once: int, slow: float, most_waiting: int) -> None:
        self.waiting = self._long_ones = self._kept_back = 0
        self._free = asyncio.Semaphore(quick)
        self._quick, self._more, self._slow, self._most_waiting = quick, at_once - quick, slow, most_waiting

    @property
    def are_taken(self) -> bool:
        return self._free.locked()

    @property
    def is_full(self) -> bool:
        return self.are_taken and self.waiting >= self._most_waiting

    @property
    def is_overfull(self) -> bool:
        return self.are_taken and self.waiting >= 2 * self._most_waiting

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[None]:
        """Wait for a turn, and hold it meanwhile."""
        self.waiting += 1
        try:
            with metrics.WAITING.track_inprogress():
                await self._free.acquire()
        finally:
            self.waiting -= 1
            if self.waiting < self._most_waiting // 2:
                while self._kept_back:
                    self._kept_back -= 1
                    self._free.release()
        took_long = False

        def let_another_in() -> None:
            nonlocal took_long
            took_long = True
            self._long_ones += 1
            if self._long_ones <= self._more:
                self._free.release()

        timer = asyncio.get_running_loop().call_later(self._slow, let_another_in)
        try:
            yield
        finally:
            timer.cancel()
            if took_long:
                self._long_ones -= 1
            # While more are slow than may let others in, each that ends makes room, as a quick one does.
            if not took_long or self._long_ones >= self._more:
                if self.is_full and self._kept_back < self._quick - 1:
                    self._kept_back += 1
                else:
                    self._free.release()
