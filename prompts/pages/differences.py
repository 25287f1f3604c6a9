"""What changed between two versions as the page of a promotion tells it: texts line by line, the rest in tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from django.utils.safestring import mark_safe

from prompts.diffing import Segment
from prompts.hidden_text import find_hidden
from prompts.pages import lines
from prompts.showing import Compared, Row, compared, summary, tables


class Text(NamedTuple):
    """One text of a version: the whole, or one message of a chat, or where the caller's messages go (`placeholder`).

    `told` says what became of it as a whole.
    """

    heading: str
    told: str
    is_changed: bool
    stretches: list[lines.Stretch[lines.Line]]
    placeholder: str = ""


class Differences(NamedTuple):
    summary: str
    texts: list[Text]
    variables: list[Row]
    config: list[Row]
    includes: list[Row]
    hidden: int

    @property
    def changed_texts(self) -> int:
        return sum(text.is_changed for text in self.texts)


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


def _texts(found: Compared) -> Iterator[Text]:
    content, new = found.diff["content"], found.new["content"]
    old: Any = None if found.old is None else found.old["content"]
    if content["type"] == "text":
        yield _text("Text", [], content["segments"])
        return
    was, now = _messages(old), _messages(new)
    for entry in content["messages"]:
        before = {} if entry["old"] is None else was[entry["old"]]
        after = {} if entry["new"] is None else now[entry["new"]]
        said = after or before
        heading = f"{said['role'].capitalize()} message" if "role" in said else "Messages that the caller sends"
        told = list(_told(entry))
        if "placeholder" in said:
            said_of_it = ", ".join(told or ["the same"])
            yield Text(heading, said_of_it, entry["op"] != "equal", [], placeholder=said["placeholder"])
        else:
            yield _text(heading, told, entry["segments"])


def _text(heading: str, told: list[str], segments: Sequence[Segment]) -> Text:
    laid_out = lines.inline(segments)
    changed = sum(line.changed for line in laid_out)
    if not told:
        told = ["the same" if not changed else f"{changed} of {len(laid_out)} lines changed"]
    return Text(heading, ", ".join(told), changed > 0, lines.folded(laid_out))


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
