"""YAML and JSON configs as plain values whose mappings know their line. Nothing in them is executed or followed."""

import re
from typing import Any

import yaml

from evaluations.formats.tables import decoded
from promptforge.lib.errors import DomainError, shorten

MAX_YAML = 2 * 1024 * 1024
MAX_NODES = 300_000  # with every alias written out: a few lines of aliases can stand for billions
MAX_DEPTH = 64
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Lined(dict[str, Any]):
    """A mapping and the line it begins on."""

    line: int = 0


class _Loader(_Base):  # type: ignore[misc]  # C's loader where there is one
    """YAML 1.2's plain values, as JavaScript reads them: `yes`, `12:30` and dates are texts."""

    yaml_implicit_resolvers: dict[str, Any] = {}

    def construct_yaml_map(self, node: Any) -> Any:
        data = Lined()
        data.line = node.start_mark.line + 1
        yield data
        self.flatten_mapping(node)
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise yaml.MarkedYAMLError(problem="a key is no plain text", problem_mark=key_node.start_mark)
            data[key if isinstance(key, str) else _written(key)] = self.construct_object(value_node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.construct_yaml_map)
for _tag, _form, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]{1,18}", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?", "-+0123456789."),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_form})$"), list(_first))


def read_yaml(body: bytes) -> Any:
    """The value of a document in YAML (or JSON, which is YAML). Raises DomainError with the line of what is wrong."""
    if len(body) > MAX_YAML:
        raise DomainError("body_too_large", f"The file has {len(body):,} bytes; at most {MAX_YAML:,} of YAML are read.")
    text = decoded(body)
    try:
        loader = _Loader(text.replace("\t", "  ") if text.lstrip()[:1] in "{[" else text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise DomainError("body_required", "The file is empty.")
            _measure(node, {}, 0)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = "" if mark is None else f" at {mark.line + 1}:{mark.column + 1} (line:column)"
        raise DomainError(
            "bad_value", f"The file is no YAML that can be taken{place}: {shorten(error.problem)}."
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError, UnicodeError) as error:
        raise DomainError("bad_value", f"The file is no YAML that can be taken: {shorten(error, 200)}.") from None


def _measure(node: Any, known: dict[int, int], depth: int) -> int:
    """How many nodes there are with every alias written out; refuses bombs and mappings that hold themselves."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in known:
        size = known[id(node)]
        if size == 0:
            raise yaml.MarkedYAMLError(problem="an alias holds itself", problem_mark=node.start_mark)
        return size
    if depth > MAX_DEPTH:
        raise yaml.MarkedYAMLError(problem=f"more than {MAX_DEPTH} levels are nested", problem_mark=node.start_mark)
    known[id(node)] = 0
    inside = [item for pair in node.value for item in pair] if isinstance(node, yaml.MappingNode) else node.value
    size = 1 + sum(_measure(item, known, depth + 1) for item in inside)
    if size > MAX_NODES:
        problem = f"its aliases stand for more than {MAX_NODES:,} values"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    known[id(node)] = size
    return size


def _written(key: Any) -> str:
    if key is None:
        return "null"
    return str(key).lower() if isinstance(key, bool) else str(key)
