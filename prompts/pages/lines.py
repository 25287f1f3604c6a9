"""A word diff laid out in lines: one under the other, or old and new side by side. No Django in it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, zip_longest
from typing import Any, NamedTuple

from prompts.hidden_text import find_hidden

CONTEXT = 2  # equal lines that stay in sight beside a change
FOLDED_FROM = 3  # fewer are not worth a click
_CARRIAGE_RETURN = {"name": "CARRIAGE RETURN", "codepoint": "U+000D", "kind": "control"}

type Hidden = dict[int, dict[str, Any]]


class Piece(NamedTuple):
    """A run of words with one fate; `hidden` has what does not show in it, by its place in `text`."""

    op: str
    text: str
    hidden: Hidden
    ends: bool = False  # a line ends behind it
    is_break: bool = False  # the change is this line end alone


@dataclass
class Line:
    number: int | None
    pieces: list[Piece] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return any(piece.op != "equal" for piece in self.pieces)

    @property
    def is_kept(self) -> bool:
        """Whether some of it stood there before and stands there now: what the two sides are aligned by."""
        return not self.pieces or any(piece.op == "equal" for piece in self.pieces)


class Pair(NamedTuple):
    """Two lines that stand beside each other; None is a gap, which may go on from the pair above."""

    old: Line | None
    new: Line | None
    goes_on: bool = False

    @property
    def changed(self) -> bool:
        return self.old is None or self.new is None or self.old.changed or self.new.changed


class Stretch[T](NamedTuple):
    """Lines that are shown, or equal ones that are folded."""

    is_folded: bool
    lines: list[T]


def inline(segments: Sequence[Mapping[str, str]]) -> list[Line]:
    """One text with both: numbered as the new one is; a line that is only removed has no number."""
    lines, line, number, is_new = [], Line(None), 1, False
    for piece in _pieces(segments):
        line.pieces.append(piece)
        is_new = is_new or piece.op != "delete"
        if piece.ends:
            line.number = number if is_new else None
            lines.append(line)
            number += is_new
            line, is_new = Line(None), False
    if line.pieces or not lines:
        line.number = number if is_new or not line.pieces else None
        lines.append(line)
    return lines


def beside(segments: Sequence[Mapping[str, str]]) -> list[Pair]:
    """Both texts, line by line: what was added has a gap at the left, what was removed one at the right."""
    pairs: list[Pair] = []
    old, new = [Line(1)], [Line(1)]
    for piece in _pieces(segments):
        for op, side in (("insert", old), ("delete", new)):
            if piece.op == op:
                continue
            side[-1].pieces.append(piece)
            if piece.ends and piece.op != "equal":
                side.append(Line((side[-1].number or 0) + 1))
        if piece.ends and piece.op == "equal":
            pairs += _paired(old, new)
            old, new = [Line((old[-1].number or 0) + 1)], [Line((new[-1].number or 0) + 1)]
    pairs += [pair for pair in _paired(old, new) if _has_words(pair) or not pairs]
    gaps = [(pair.old is None, pair.new is None) for pair in pairs]
    return [pair._replace(goes_on=gap == above) for pair, gap, above in zip(pairs, gaps, [None, *gaps], strict=False)]


def folded[T: (Line, Pair)](lines: Sequence[T]) -> list[Stretch[T]]:
    """The lines in stretches, in which equal ones far from every change are folded."""
    result: list[Stretch[T]] = []
    runs = [(changed, list(run)) for changed, run in groupby(lines, key=lambda line: line.changed)]
    for index, (changed, run) in enumerate(runs):
        before = CONTEXT if index else 0
        after = CONTEXT if index < len(runs) - 1 else 0
        if changed or len(run) < before + after + FOLDED_FROM:
            result.append(Stretch(is_folded=False, lines=run))
            continue
        end = len(run) - after
        parts = ((False, run[:before]), (True, run[before:end]), (False, run[end:]))
        result += [Stretch(fold, part) for fold, part in parts if part]
    return result


def _has_words(pair: Pair) -> bool:
    return any(line is not None and line.pieces for line in (pair.old, pair.new))


def _paired(old: Sequence[Line], new: Sequence[Line]) -> Iterator[Pair]:
    """Lines between two line ends that both texts have: kept ones beside each other, the rest beside gaps."""
    for (gone, stayed), (came, stays) in zip_longest(_groups(old), _groups(new), fillvalue=([], None)):
        for left, right in zip_longest(gone, came):
            yield Pair(left, right)
        if stayed is not None or stays is not None:
            yield Pair(stayed, stays)


def _groups(lines: Sequence[Line]) -> Iterator[tuple[list[Line], Line | None]]:
    """Each kept line with those before it; the last line counts as kept, since both texts end it."""
    gathered: list[Line] = []
    for index, line in enumerate(lines):
        if line.is_kept or index == len(lines) - 1:
            yield gathered, line
            gathered = []
        else:
            gathered.append(line)


def _pieces(segments: Sequence[Mapping[str, str]]) -> Iterator[Piece]:
    """The segments cut at their line ends. What does not show is looked for in the whole texts, for its context."""
    hidden = {
        side: _hidden("".join(segment["text"] for segment in segments if segment["op"] != other))
        for side, other in (("delete", "insert"), ("insert", "delete"))
    }
    places = {"delete": 0, "insert": 0}
    for segment in segments:
        op, text = segment["op"], segment["text"]
        side = "delete" if op == "delete" else "insert"
        start, is_break = places[side], op != "equal" and not text.strip("\r\n")
        for part in _lines(text):
            ends = part.endswith("\n")
            shown = part.removesuffix("\n")
            if ends and op == "equal":
                shown = shown.removesuffix("\r")
            yield Piece(op, shown, _within(hidden[side], start, len(shown)), ends, is_break)
            start += len(part)
        for each in places:
            if op in ("equal", each):
                places[each] += len(text)


def _lines(text: str) -> list[str]:
    """Cut behind each line feed, and at nothing else that Python calls a line end."""
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _hidden(text: str) -> Hidden:
    found = {each["offset"]: each for each in find_hidden(text) if not each["usual"]}
    place = text.find("\r")
    while place >= 0:
        found[place] = _CARRIAGE_RETURN
        place = text.find("\r", place + 1)
    return found


def _within(hidden: Hidden, start: int, length: int) -> Hidden:
    if not hidden:
        return hidden
    return {place - start: hidden[place] for place in range(start, start + length) if place in hidden}
