"""Single files: a prompt's text as it is, with optional YAML front matter (.md, .prompt), or a version object (.json).

dotprompt's fields are taken where they mean the same here: `model` and what `config` holds become the version's
config, with `tools` and `output` beside them; `input.default` and the plain entries of `input.schema` become
declarations of variables.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from promptforge.lib.errors import shorten
from promptforge.lib.json import MAX_INTEGER, MIN_INTEGER, Json
from prompts.formats.records import Batch, PromptRecord, Unreadable, VersionRecord, tags_of, text_of
from prompts.templating.grammar import VARIABLE_NAME

MAX_FRONT_MATTER = 64 * 1024
_FENCE = re.compile(r"---[ \t]*(?:\r\n|\n|\Z)")
_CLOSING = re.compile(r"^---[ \t]*(?:\r\n|\n|\Z)", re.MULTILINE)
_FIELDS = ("message", "description", "tags", "config", "variables")
_DOTPROMPT = ("model", "tools", "output", "input")
_OBJECT = ("content", "type", *_FIELDS)
# Picoschema's scalar types, and what they are here. `any` is JSON of any shape.
_TYPES = {"string": "string", "number": "number", "integer": "integer", "boolean": "boolean", "any": "json"}


class _Loader(yaml.SafeLoader):
    """YAML's safe subset, without aliases (which can grow without bound) and without keys given twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="an alias (*) is not taken", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002  the library's signature
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                problem = f"the key {shorten(key.value, 40)} stands twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def prompt_of_text(batch: Batch, where: str, name: str, text: str, ending: str) -> None:
    """Take a file of text, with its front matter if it may have one and does."""
    front, body = split_front_matter(text) if ending in {"md", "prompt"} else (None, text)
    if ending == "prompt" and front is None and _FENCE.match(text):
        raise Unreadable("Line 1: the front matter is not closed; end it with a line of three hyphens.")
    if front is None:
        batch.prompts.append(PromptRecord(name, [VersionRecord(text, where=where)], where=where))
        return
    fields = front_matter(front)
    prompt = _prompt(batch, where, name, body, fields, extra=_DOTPROMPT if ending == "prompt" else ())
    line = text[: len(text) - len(body)].count("\n") + 1
    prompt.versions[0] = _at_line(prompt.versions[0], where, line)
    batch.prompts.append(prompt)


def prompt_of_object(batch: Batch, where: str, name: str, value: dict[str, Json] | list[Json]) -> None:
    """Take a JSON document that is one version: an object with `content`, or the messages of a chat."""
    fields = value if isinstance(value, dict) else {"content": value}
    kind = fields.get("type")
    if kind not in (None, "text", "chat"):
        raise Unreadable(f"type is {shorten(kind, 40)}; types are text and chat.")
    prompt = _prompt(batch, where, name, fields["content"], {k: v for k, v in fields.items() if k not in _OBJECT[:2]})
    prompt.type = kind
    batch.prompts.append(prompt)


def split_front_matter(text: str) -> tuple[str | None, str]:
    """The front matter between two lines of three hyphens, and the text below, as it is; None when there is none."""
    opening = _FENCE.match(text)
    closing = _CLOSING.search(text, opening.end()) if opening else None
    if opening is None or closing is None:
        return None, text
    return text[opening.end() : closing.start()], text[closing.end() :]


def front_matter(text: str) -> dict[str, Any]:
    """The fields of a front matter: YAML whose values JSON has too."""
    if len(text) > MAX_FRONT_MATTER:
        raise Unreadable(f"The front matter has {len(text):,} characters; at most {MAX_FRONT_MATTER:,} are read.")
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506  a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = "" if mark is None else f" at line {mark.line + 2}:{mark.column + 1}"
        raise Unreadable(f"The front matter is no YAML that can be taken{place}: {error.problem}.") from None
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise Unreadable(f"The front matter is no YAML that can be taken: {shorten(error)}.") from None
    except (TypeError, AttributeError):
        raise Unreadable("The front matter is no YAML that can be taken: a key is no plain text.") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unreadable("The front matter is no mapping; write lines such as 'description: …'.")
    for path, wrong in _not_json(value, "front matter"):
        raise Unreadable(f"{path} is {wrong}; put it in quotes.")
    return value


def _not_json(value: object, path: str) -> Iterator[tuple[str, str]]:
    """What JSON has no word for: dates, bytes, sets, keys that are no text, and numbers that are not finite."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                yield f"A key of {path}", f"a {type(key).__name__}"
            yield from _not_json(item, shorten(key, 40))
    elif isinstance(value, list):
        for item in value:
            yield from _not_json(item, path)
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, "not a finite number"
    elif isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER:
        yield path, "a number out of range"
    elif not isinstance(value, str | int | float | bool | None):
        yield path, f"a {type(value).__name__}"
    elif isinstance(value, str):
        text_of(value, path)


def _prompt(
    batch: Batch, where: str, name: str, content: object, fields: Mapping[str, Any], extra: tuple[str, ...] = ()
) -> PromptRecord:
    for field in fields:
        if field not in (*_FIELDS, *extra):
            batch.note(where, f"The field {shorten(field, 40)} was not taken; fields are {', '.join(_FIELDS)}.")
    config, variables = fields.get("config"), fields.get("variables")
    if config is not None and not isinstance(config, dict):
        raise Unreadable("config is no mapping; write its fields below it.")
    config = {k: fields[k] for k in ("model",) if k in fields and k in extra} | (config or {})
    config |= {k: fields[k] for k in ("tools", "output") if k in fields and k in extra}
    if variables is None and "input" in extra:
        variables = _declared(batch, where, fields.get("input"))
    version = VersionRecord(content, config, variables, text_of(fields.get("message"), "message"), where=where)
    described = text_of(fields.get("description"), "description")
    return PromptRecord(name, [version], [], described, tags_of(fields.get("tags")), where=where)


def _declared(batch: Batch, where: str, given: object) -> list[dict[str, Any]] | None:
    """dotprompt's `input` as declarations: the plain entries of a Picoschema, and the defaults."""
    if given is None:
        return None
    schema = given.get("schema") if isinstance(given, dict) else None
    defaults = given.get("default") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(schema or {}, dict) or not isinstance(defaults or {}, dict):
        raise Unreadable("input holds a mapping schema and a mapping default; it is something else.")
    declared: dict[str, dict[str, Any]] = {}
    for key, value in (schema or {}).items():
        kind, _, description = value.partition(",") if isinstance(value, str) else ("", "", "")
        name = key.removesuffix("?")
        if kind.strip() not in _TYPES or not VARIABLE_NAME.fullmatch(name):
            batch.note(where, f"input.schema.{shorten(key, 40)} is no plain type and was not taken.")
            continue
        required = not key.endswith("?")
        declared[name] = {"name": name, "type": _TYPES[kind.strip()], "required": required}
        declared[name] |= {"description": description.strip()} if description.strip() else {}
    for name, value in (defaults or {}).items():
        if value is not None:
            declared[name] = declared.get(name, {"name": name, "type": _type_of(value)}) | {"default": value}
    return list(declared.values()) or None


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "json"


def _at_line(version: VersionRecord, where: str, line: int) -> VersionRecord:
    """The version, telling in its place where its text begins: refusals count lines from there."""
    return VersionRecord(
        version.content,
        version.config,
        version.variables,
        version.message,
        where=f"{where} (its text begins on line {line})",
    )
