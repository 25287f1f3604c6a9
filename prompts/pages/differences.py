"""What changed between two versions as the page of a promotion tells it: texts line by line, the rest in tables."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.utils.safestring import SafeString, mark_safe

from promptforge.lib.json import canonical_json
from prompts.diffing import Segment
from prompts.hidden_text import find_hidden
from prompts.pages import lines
from prompts.showing import THE_SAME, Compared, Row, compared, summary, tables, told


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
        config=[row._replace(name=_path(row.name)) for row in rows["Config"]],
        includes=rows["Includes"],
        hidden=sum(not each["usual"] for text in _shown(found) for each in find_hidden(text)),
    )


def _path(name: SafeString) -> SafeString:
    """The way to a setting, which may break behind each step; a slash of markup is no step."""
    return mark_safe(re.sub(r"(?<!<)/", "/<wbr>", name.removeprefix("/") or "/"))  # noqa: S308  escaped already


def _texts(found: Compared) -> Iterator[Text]:
    content, new = found.diff["content"], found.new["content"]
    old: Any = None if found.old is None else found.old["content"]
    if content["type"] == "text":
        yield _text("Text", "", content["segments"])
        return
    was, now = _messages(old), _messages(new)
    for entry in content["messages"]:
        before = {} if entry["old"] is None else was[entry["old"]]
        after = {} if entry["new"] is None else now[entry["new"]]
        said = after or before
        heading = f"{said['role'].capitalize()} message" if "role" in said else "Messages that the caller sends"
        became = told(entry)
        if "placeholder" in said:
            is_changed = entry["op"] != "equal"
            yield Text(heading, became or THE_SAME, is_changed, [], placeholder=said["placeholder"])
        else:
            yield _text(heading, became, entry["segments"])


def _text(heading: str, became: str, segments: Sequence[Segment]) -> Text:
    laid_out = lines.inline(segments)
    changed = sum(line.changed for line in laid_out)
    counted = f"{changed} of {len(laid_out)} lines changed" if changed else THE_SAME
    return Text(heading, became or counted, changed > 0, lines.folded(laid_out))


def _messages(content: Any) -> list[dict[str, str]]:
    return [{"content": content}] if isinstance(content, str) else content or []


def _shown(found: Compared) -> list[str]:
    """Every text of the new version, and what differs of its variables and settings."""
    texts = [message.get("content", "") for message in _messages(found.new["content"])]
    return [*texts, *(canonical_json(found.diff[part]) for part in ("variables", "config"))]
