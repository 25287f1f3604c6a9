"""Where a change stands that could as well stand some words earlier or later: at the begin of a line, if it can."""

from collections.abc import Collection, Sequence

FURTHEST = 200


def on_lines(changes: Sequence[tuple[int, str]], ends: Collection[str]) -> list[tuple[int, str]]:
    """`changes` are runs of characters that stand for words, each with -1 gone | 0 kept | 1 new; `ends` end lines.

    A list item that was added is shown as a line of its own, not as its words, a line end and the dash of the next.
    """
    settled = list(changes)
    for index in range(1, len(settled) - 1):
        (before, left), (op, text), (after, right) = settled[index - 1 : index + 2]
        if op == 0 or before or after:
            continue
        whole, size = left + text + right, len(text)
        begins = [
            at for at in _places(whole, len(left), size) if whole[at - 1 : at] in ends or (at == 0 and index == 1)
        ]
        start = begins[0] if begins else len(left)
        settled[index - 1 : index + 2] = [
            (0, whole[:start]),
            (op, whole[start : start + size]),
            (0, whole[start + size :]),
        ]
    return [(op, text) for op, text in settled if text]


def _places(whole: str, start: int, size: int) -> list[int]:
    """Where a run could begin and both texts stay as they are: earlier ones first, the nearest first."""
    lowest = highest = start
    while lowest > max(0, start - FURTHEST) and whole[lowest - 1] == whole[lowest - 1 + size]:
        lowest -= 1
    end = min(len(whole) - size, start + FURTHEST)
    while highest < end and whole[highest] == whole[highest + size]:
        highest += 1
    return [*range(start, lowest - 1, -1), *range(start + 1, highest + 1)]
