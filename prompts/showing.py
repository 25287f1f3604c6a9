"""What changed between two versions as a page shows it: words marked, unseen characters named where they stand.

Every text goes through `named` or `marked`, which escape it: hidden characters become chips that say what they are, so
that none of them can turn or hide the page around it.
"""

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from prompts.diffing import Segment, diff_versions
from prompts.hidden_text import decode_tags, find_hidden, name_of
from prompts.models import PromptVersion
from prompts.shapes import version_shapes

# Of an equal part this many lines stay in sight beside a change; a shorter part is not folded.
CONTEXT, FOLDED_FROM = 3, 6
THE_SAME = "the same"
_WORDS = {"insert": "added", "delete": "removed", "add": "added", "remove": "removed", "change": "changed"}


class Part(NamedTuple):
    """One text of a version: the whole, or one message of a chat. `told` says what became of it as a whole."""

    heading: str
    told: str
    html: SafeString


class Row(NamedTuple):
    """One variable, setting or include that differs."""

    word: str
    name: SafeString
    detail: SafeString


class Compared(NamedTuple):
    """Two versions as they are shown elsewhere, and what differs; without an old one, everything is new."""

    old: dict[str, Any] | None
    new: dict[str, Any]
    diff: dict[str, Any]


class Changes(NamedTuple):
    """What a page shows: a sentence, the texts, and tables of what else differs, each with its name."""

    summary: str
    parts: list[Part]
    tables: list[tuple[str, list[Row]]]


def compared(old_id: int | None, new_id: int) -> Compared:
    """What a version changes of another, by their ids."""
    found = PromptVersion.objects.filter(pk__in=[pk for pk in (old_id, new_id) if pk is not None])
    versions = list(found.select_related("prompt", "author"))
    shapes = {version.pk: shape for version, shape in zip(versions, version_shapes(versions), strict=True)}
    old, new = None if old_id is None else shapes[old_id], shapes[new_id]
    return Compared(old, new, diff_versions(old, new))


def changes(old_id: int | None, new_id: int) -> Changes:
    """What a version changes of another, by their ids, ready to be shown."""
    found = compared(old_id, new_id)
    old = None if found.old is None else found.old["content"]
    return Changes(
        summary=summary(found),
        parts=list(_parts(found.diff["content"], old, found.new["content"])),
        tables=[(name, rows) for name, rows in tables(found.diff).items() if rows],
    )


def summary(found: Compared) -> str:
    return in_one_line(found.diff) if found.old is not None else _first(found.diff)


def tables(diff: Mapping[str, Any]) -> dict[str, list[Row]]:
    """What differs besides the texts, by what it is called."""
    return {
        "Variables": list(_variables(diff["variables"])),
        "Config": [_setting(change) for change in diff["config"]],
        "Includes": [_include(change) for change in diff["includes"]],
    }


def named(text: str) -> SafeString:
    """A text as it was written, each hidden character in it by its name."""
    return _pieces(text, 0, _Unseen(text))


def marked(segments: Sequence[Segment], old: str, new: str) -> SafeString:
    """A word diff: what was removed and added marked, long parts that stay folded to what stands beside a change."""
    before, after = _Unseen(old), _Unseen(new)
    shown: list[SafeString] = []
    a = b = 0
    for index, segment in enumerate(segments):
        op, text = segment["op"], segment["text"]
        if op == "equal":
            shown += _folded(text, b, after, head=index > 0, tail=index < len(segments) - 1)
        elif op == "delete":
            shown.append(
                format_html('<del><i class="visually-hidden"> removed: </i>{}</del>', _changed(text, a, before))
            )
        else:
            shown.append(format_html('<ins><i class="visually-hidden"> added: </i>{}</ins>', _changed(text, b, after)))
        a += 0 if op == "insert" else len(text)
        b += 0 if op == "delete" else len(text)
    return _all(shown)


class _Unseen:
    """What of one text a reader does not see as it is stored, by place; what writing needs is left alone."""

    def __init__(self, text: str) -> None:
        self.found = {found["offset"]: found for found in find_hidden(text) if not found["usual"]}
        self.places = list(self.found)

    def between(self, start: int, end: int) -> list[int]:
        return self.places[bisect_left(self.places, start) : bisect_left(self.places, end)]


def _pieces(text: str, start: int, unseen: _Unseen) -> SafeString:
    """A part of a text that begins at `start`, with a chip for each hidden character and for each run of tags."""
    shown: list[Any] = []
    last = 0
    # Neighbours of one kind have the same distance between their place and their rank.
    ranked = enumerate(unseen.between(start, start + len(text)))
    for (_, kind), run in groupby(ranked, lambda each: (each[1] - each[0], unseen.found[each[1]]["kind"])):
        places = [place for _, place in run]
        begin, end = places[0] - start, places[-1] - start + 1
        shown += [text[last:begin], _chips(kind, text[begin:end])]
        last = end
    return _all([*shown, text[last:]])


def _chips(kind: str, run: str) -> SafeString:
    if kind == "tag":
        spelled = decode_tags(run)
        says = f" that spell “{spelled}”" if spelled else ""
        return _chip("", f"{len(run)} hidden tag character{'' if len(run) == 1 else 's'}{says}")
    # A letter that looks like another is there to be seen; of the others one chip says how often they stand there.
    same = ((character, len(list(group))) for character, group in groupby(run))
    return _all([_chip(c * count if kind == "confusable" else "", _called(c, count)) for c, count in same])


def _called(character: str, count: int) -> str:
    times = "" if count == 1 else f" × {count}"
    return f"{name_of(character).lower()} U+{ord(character):04X}{times}"


def _chip(letter: str, text: str) -> SafeString:
    return format_html('<mark class="unseen">{}<span>{}</span></mark>', letter, text)


def _changed(text: str, start: int, unseen: _Unseen) -> SafeString:
    """Changed text: a line end or a tab that came or went alone, and every carriage return, are given a sign."""
    if text.isspace() and not unseen.between(start, start + len(text)):
        signs = {"\r": _chip("", "carriage return U+000D"), "\n": "↵\n", "\t": "⇥\t"}
        return _all([signs.get(character, character) for character in text])
    pieces: list[SafeString] = []
    for index, piece in enumerate(text.split("\r")):
        if index:
            pieces.append(_chip("", "carriage return U+000D"))
            start += 1
        pieces.append(_pieces(piece, start, unseen))
        start += len(piece)
    return _all(pieces)


def _folded(text: str, start: int, unseen: _Unseen, *, head: bool, tail: bool) -> Iterator[SafeString]:
    """An equal part; of a long one the lines beside a change (`head`: one stands before it, `tail`: behind it)."""
    lines = text.splitlines(keepends=True)
    first, last = CONTEXT if head else 0, len(lines) - (CONTEXT if tail else 0)
    if last - first < FOLDED_FROM:
        yield _pieces(text, start, unseen)
        return
    above, within = "".join(lines[:first]), "".join(lines[first:last])
    yield _pieces(above, start, unseen)
    yield format_html(
        '<details class="same"><summary>{} lines stay as they are</summary>{}</details>',
        last - first,
        _pieces(within, start + len(above), unseen),
    )
    yield _pieces("".join(lines[last:]), start + len(above) + len(within), unseen)


def _parts(content: Mapping[str, Any], old: Any, new: Any) -> Iterator[Part]:
    if content["type"] == "text":
        segments = content["segments"]
        is_same = all(segment["op"] == "equal" for segment in segments)
        yield Part("", THE_SAME if is_same else "", marked(segments, old or "", new))
        return
    was, now = (_messages(side) for side in (old, new))
    for entry in content["messages"]:
        before = {} if entry["old"] is None else was[entry["old"]]
        after = {} if entry["new"] is None else now[entry["new"]]
        place = (entry["new"] if entry["new"] is not None else entry["old"]) + 1
        said = after or before
        heading = f"Message {place}: {said.get('role') or 'placeholder ' + said.get('placeholder', '')}"
        yield Part(
            heading,
            told(entry) or (THE_SAME if entry["op"] == "equal" else ""),
            marked(entry["segments"], before.get("content", ""), after.get("content", "")),
        )


def told(entry: Mapping[str, Any]) -> str:
    """What became of a message as a whole, apart from its words; empty when nothing did."""
    role, old, new, place = entry["role"], entry["old"], entry["new"], entry["placeholder"]
    said = {"insert": ["new"], "delete": ["removed"]}.get(entry["op"], [])
    if entry["moved"]:
        said.append(f"moved from place {old + 1} to {new + 1}")
    if entry["op"] == "change" and role["before"] != role["after"]:
        said.append(f"was a {role['before']} message")
    if entry["op"] == "change" and place["before"] != place["after"]:
        said.append(f"was {place['before'] or 'a message'}, is {place['after'] or 'a message'}")
    return ", ".join(said)


def _variables(diff: Mapping[str, Any]) -> Iterator[Row]:
    for word in ("added", "removed"):
        for variable in diff[word]:
            yield Row(word, named(variable["name"]), named(", ".join(_declared(variable))))
    for variable in diff["changed"]:
        fields = [
            format_html("{}: {}", name.replace("_", " "), _from_to(_as_json(f["before"]), _as_json(f["after"])))
            for name, f in variable["fields"].items()
        ]
        yield Row("changed", named(variable["name"]), format_html_join("; ", "{}", ((field,) for field in fields)))


def _declared(variable: Mapping[str, Any]) -> Iterator[str]:
    """What a declaration says: type and default, and whatever else it was given."""
    yield variable["type"]
    yield "required" if variable["required"] else f"default {_as_json(variable['default'])}"
    for field in ("max_length", "enum", "description"):
        if variable[field] not in (None, ""):
            yield f"{field.replace('_', ' ')} {_as_json(variable[field])}"


def _setting(change: Mapping[str, Any]) -> Row:
    name, before, after = named(change["path"] or "/"), change["before"], change["after"]
    if change["op"] == "reorder":
        return Row("reordered", name, _from_to(", ".join(map(str, before)), ", ".join(map(str, after))))
    old = "" if change["op"] == "add" else _as_json(before)
    new = "" if change["op"] == "remove" else _as_json(after)
    return Row(_WORDS[change["op"]], name, _from_to(old, new))


def _include(change: Mapping[str, Any]) -> Row:
    before, after = change["before"], change["after"]
    word = "changed" if before and after else "added" if after else "removed"
    return Row(word, named(change["prompt"]), _from_to(_numbers(before), _numbers(after)))


def _from_to(old: str, new: str) -> SafeString:
    if not old or not new:
        return named(old or new)
    return format_html('<del><i class="visually-hidden">was </i>{}</del> → <ins>{}</ins>', named(old), named(new))


def _first(diff: Mapping[str, Any]) -> str:
    return f"Nothing was live before, so everything is new: {_many(diff['words']['added'], 'word')}."


def in_one_line(diff: Mapping[str, Any]) -> str:
    """`43 words added, 2 removed, 1 variable added, 1 setting and 1 include changed.`"""
    if diff["same"]:
        return "Nothing differs: both serve the same."
    words, variables = diff["words"], diff["variables"]
    messages = diff["content"].get("messages", [])
    counts = {
        "added": sum(message["op"] == "insert" for message in messages),
        "removed": sum(message["op"] == "delete" for message in messages),
        "moved": sum(message["moved"] for message in messages),
    }
    roles = sum(message["op"] == "change" and len(set(message["role"].values())) > 1 for message in messages)
    said = _counted("word", added=words["added"], removed=words["removed"])
    said += _counted("message", **counts)
    said += _counted("role", changed=roles)
    said += _counted("variable", added=variables["added"], removed=variables["removed"], changed=variables["changed"])
    said += _counted("setting", changed=diff["config"])
    said += _counted("include", changed=diff["includes"])
    if not said:
        return "Only line ends, blanks or signs differ."
    return f"{', '.join(said)}."


def _counted(noun: str, **counts: int | Sequence[Any]) -> list[str]:
    """What happened to how many; the noun stands with the first alone."""
    numbers = {did: count if isinstance(count, int) else len(count) for did, count in counts.items()}
    told: list[str] = []
    for did, count in numbers.items():
        if count:
            told.append(f"{count:,} {did}" if told else f"{count:,} {noun}{'' if count == 1 else 's'} {did}")
    return told


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _messages(content: Any) -> list[dict[str, str]]:
    return [{"content": content}] if isinstance(content, str) else content or []


def _numbers(versions: Sequence[int]) -> str:
    return ", ".join(f"version {number}" for number in versions)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _all(pieces: Sequence[Any]) -> SafeString:
    return format_html_join("", "{}", ((piece,) for piece in pieces))
