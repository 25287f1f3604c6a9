"""Two compute at once; who takes long lets others in, up to a bound; and the queue has an end."""

import asyncio
from collections.abc import Awaitable, Callable

from promptforge.lib.turns import Turns

Ended = asyncio.Event


def held(turns: Turns, count: int) -> tuple[list[Ended], list[int], list[asyncio.Task[None]]]:
    """So many that begin one after the other, as far as they may, and end when they are told."""
    ends, begun = [Ended() for _ in range(count)], list[int]()

    async def hold(number: int) -> None:
        async with turns.one():
            begun.append(number)
            await ends[number].wait()

    return ends, begun, [asyncio.ensure_future(hold(number)) for number in range(count)]


def in_a_loop(scene: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await scene()

    asyncio.run(bounded())


def test_two_compute_and_the_others_wait_in_order() -> None:
    async def scene() -> None:
        turns = Turns(quick=2, at_once=8, slow=60, most_waiting=4)
        ends, begun, tasks = held(turns, 5)
        await asyncio.sleep(0)
        assert (begun, turns.waiting, turns.is_full) == ([0, 1], 3, False)
        ends[1].set()
        await tasks[1]
        await asyncio.sleep(0)
        assert (begun, turns.waiting, turns.is_full) == ([0, 1, 2], 2, False)
        for each in ends:
            each.set()
        await asyncio.gather(*tasks)
        assert (begun, turns.are_taken) == ([0, 1, 2, 3, 4], False)

    in_a_loop(scene)


def test_once_the_queue_is_full_one_computes_until_half_of_it_is_through() -> None:
    async def scene() -> None:
        turns = Turns(quick=2, at_once=8, slow=60, most_waiting=4)
        ends, begun, tasks = held(turns, 6)
        await asyncio.sleep(0)
        assert (len(begun), turns.is_full, turns.is_overfull) == (2, True, False)
        after = []
        for number in range(6):
            ends[number].set()
            await tasks[number]
            await asyncio.sleep(0)
            after.append(len(begun) - number - 1)
        assert after == [1, 1, 1, 2, 1, 0]
        assert not turns.are_taken

    in_a_loop(scene)


def test_who_takes_long_lets_others_in_up_to_the_bound() -> None:
    async def scene() -> None:
        turns = Turns(quick=2, at_once=4, slow=0.001, most_waiting=8)
        ends, begun, tasks = held(turns, 6)
        await asyncio.sleep(0.1)
        assert begun == [0, 1, 2, 3]  # the slow ones passed their turns on, but two more is all there is room for
        ends[0].set()
        await tasks[0]
        await asyncio.sleep(0)
        assert begun == [0, 1, 2, 3, 4]
        for each in ends:
            each.set()
        await asyncio.gather(*tasks)
        ends, begun, tasks = held(turns, 6)
        await asyncio.sleep(0.1)
        assert begun == [0, 1, 2, 3]  # and what was passed on came back
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (turns.waiting, turns.are_taken) == (0, False)

    in_a_loop(scene)
