"""What changed between two versions, line by line as a page shows it: words marked, equal parts folded."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from prompts.diffing import Segment
from prompts.hidden_text import find_hidden
from prompts.pages.tags import Hidden, unseen, written
from prompts.showing import Compared, Row, compared, summary, tables

# Of an equal part so many lines stay in sight beside a change; a shorter part is not folded.
CONTEXT, FOLDED_FROM = 2, 6
_MARKS = {"insert": ("ins", "added: "), "delete": ("del", "removed: ")}


class Line(NamedTuple):
    """A line of a text: its number in the new one (None: it is gone, or goes on with the line above)."""

    number: int | None
    html: SafeString
    is_changed: bool


class Block(NamedTuple):
    lines: list[Line]
    is_folded: bool


class Text(NamedTuple):
    """One text of a version: the whole, or one message of a chat. `told` says what became of it as a whole."""

    heading: str
    told: str
    blocks: list[Block]


class Differences(NamedTuple):
    summary: str
    texts: list[Text]
    variables: list[Row]
    config: list[Row]
    includes: list[Row]
    hidden: int

    @property
    def changed_texts(self) -> int:
        return sum(any(line.is_changed for block in text.blocks for line in block.lines) for text in self.texts)


def differences(old_id: int | None, new_id: int) -> Differences:
    """Everything that a version changes of another, by their ids; without another, everything is new."""
    found = compared(old_id, new_id)
    rows = tables(found.diff)
    return Differences(
        summary=summary(found),
        texts=list(_texts(found)),
        variables=rows["Variables"],
        config=[row._replace(name=mark_safe(row.name.removeprefix("/") or "/")) for row in rows["Config"]],  # noqa: S308  escaped
        includes=rows["Includes"],
        hidden=sum(not each["usual"] for text in _served(found.new["content"]) for each in find_hidden(text)),
    )


def lines_of(segments: Sequence[Segment], old: str, new: str) -> list[Line]:
    """A word diff by lines: those of the new text in order, with what was removed where it stood."""
    sheet, before, after = _Sheet(), unseen(old), unseen(new)
    a = b = 0
    for segment in segments:
        op, size = segment["op"], len(segment["text"])
        if op == "delete":
            sheet.write(op, old, before, a, a + size)
        else:
            sheet.write(op, new, after, b, b + size)
        a += 0 if op == "insert" else size
        b += 0 if op == "delete" else size
    return sheet.finish()


def blocks_of(lines: Sequence[Line]) -> list[Block]:
    """The lines, with long equal parts folded to what stands beside a change."""
    blocks: list[Block] = []
    groups = [(changed, list(group)) for changed, group in groupby(lines, lambda line: line.is_changed)]
    for index, (changed, group) in enumerate(groups):
        head, tail = CONTEXT if index else 0, CONTEXT if index < len(groups) - 1 else 0
        if changed or len(group) - head - tail < FOLDED_FROM:
            blocks.append(Block(group, is_folded=False))
            continue
        middle = len(group) - tail
        parts = (group[:head], False), (group[head:middle], True), (group[middle:], False)
        blocks += [Block(part, is_folded=folded) for part, folded in parts if part]
    return blocks


class _Sheet:
    """Lines as they are written, from left to right."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.pieces: list[SafeString] = []
        self.number = 1
        self.is_numbered = self.is_new = self.is_changed = False

    def write(self, op: str, text: str, hidden: Hidden, start: int, end: int) -> None:
        at = start
        for index, piece in enumerate(text[start:end].split("\n")):
            if index:
                self._end(op)
                at += 1
            is_last = at + len(piece) == end
            # A line end that came or went alone is given a sign; so is the carriage return before it.
            alone = op != "equal" and not is_last and not piece.strip()
            self._put(op, text, hidden, at, at + len(piece), "↵" if alone else "")
            at += len(piece)

    def _put(self, op: str, text: str, hidden: Hidden, start: int, end: int, sign: str) -> None:
        if start == end and not sign:
            return
        self.is_changed |= op != "equal"
        self.is_new |= op != "delete"
        if op == "equal":
            self.pieces.append(written(text, hidden, start, end))
            return
        tag, word = _MARKS[op]
        if text[start:end].endswith("\r"):
            end, sign = end - 1, f"␍{sign}"
        shown = written(text, hidden, start, end)
        self.pieces.append(
            format_html('<{}><span class="visually-hidden">{}</span>{}{}</{}>', tag, word, shown, sign, tag)
        )

    def _end(self, op: str) -> None:
        shown_number = self.number if (self.is_new or op != "delete") and not self.is_numbered else None
        html = format_html_join("", "{}", ((piece,) for piece in self.pieces))
        self.lines.append(Line(shown_number, html, self.is_changed))
        if op == "delete":  # what follows still belongs to the same line of the new text
            self.is_numbered |= shown_number is not None
        else:
            self.number, self.is_numbered = self.number + 1, False
        self.pieces, self.is_new, self.is_changed = [], False, False

    def finish(self) -> list[Line]:
        if self.pieces or not self.lines:
            self._end("equal" if self.is_new or not self.pieces else "delete")
        return self.lines


def _texts(found: Compared) -> Iterator[Text]:
    content, new = found.diff["content"], found.new["content"]
    old: Any = None if found.old is None else found.old["content"]
    if content["type"] == "text":
        yield _text("Text", [], content["segments"], old or "", new)
        return
    was, now = _messages(old), _messages(new)
    for entry in content["messages"]:
        before = {} if entry["old"] is None else was[entry["old"]]
        after = {} if entry["new"] is None else now[entry["new"]]
        said = after or before
        heading = f"{said['role'].capitalize()} message" if "role" in said else "Messages that the caller sends"
        told = list(_told(entry))
        if "placeholder" in said:
            name = format_html('<span class="include">{}</span>', said["placeholder"])
            changed = entry["op"] != "equal"
            yield Text(heading, ", ".join(told or ["the same"]), [Block([Line(None, name, changed)], is_folded=False)])
        else:
            yield _text(heading, told, entry["segments"], before.get("content", ""), after.get("content", ""))


def _text(heading: str, told: list[str], segments: Sequence[Segment], old: str, new: str) -> Text:
    lines = lines_of(segments, old, new)
    changed = sum(line.is_changed for line in lines)
    if not told:
        told = ["the same" if not changed else f"{changed} of {len(lines)} lines changed"]
    return Text(heading, ", ".join(told), blocks_of(lines))


def _told(entry: Mapping[str, Any]) -> Iterator[str]:
    role, old, new = entry["role"], entry["old"], entry["new"]
    if entry["op"] in ("insert", "delete"):
        yield "new" if entry["op"] == "insert" else "removed"
    if entry["moved"]:
        yield f"moved from place {old + 1} to {new + 1}"
    if entry["op"] == "change" and role["before"] != role["after"]:
        yield f"was a {role['before']} message"
    place = entry["placeholder"]
    if entry["op"] == "change" and place["before"] != place["after"]:
        yield f"was {place['before'] or 'a message'}, is {place['after'] or 'a message'}"


def _messages(content: Any) -> list[dict[str, str]]:
    return [{"content": content}] if isinstance(content, str) else content or []


def _served(content: Any) -> list[str]:
    return [message.get("content", "") for message in _messages(content)]
