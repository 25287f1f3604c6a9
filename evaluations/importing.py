"""Which reader takes which file: the literal table of forms, by media type and by what stands in it."""

from collections.abc import Mapping
from typing import Any

from evaluations.formats.own import is_document, read_document, read_lines
from evaluations.formats.promptfoo import is_config, read_promptfoo
from evaluations.formats.promptfoo_table import is_promptfoo_table, read_promptfoo_csv
from evaluations.formats.records import MAX_BYTES, Imported
from evaluations.formats.tables import read_csv, read_table
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.json import Json, parse_json

CSV, LINES, YAML, JSON = "text/csv", "application/x-ndjson", "application/yaml", "application/json"
FORMS = (CSV, LINES, YAML)
_ENDINGS = {"csv": CSV, "tsv": CSV, "jsonl": LINES, "ndjson": LINES, "yaml": YAML, "yml": YAML, "json": JSON}


def read_file(media_type: str, body: bytes, mapping: Mapping[str, str] | None = None) -> Imported:
    """What a file of this type brings."""
    if media_type == LINES:
        return read_lines(body)
    if media_type == YAML:
        return read_promptfoo(body)
    columns = read_table(body).columns
    return read_promptfoo_csv(body) if is_promptfoo_table(columns) and not mapping else read_csv(body, mapping)


def read_named(name: str, body: bytes, mapping: Mapping[str, str] | None = None) -> Imported:
    """What a file of this name brings, whose type nobody said."""
    kind = form_of(name)
    if kind != JSON:
        return read_file(kind, body, mapping)
    found = read_json_file(body)
    if not isinstance(found, Imported):
        raise DomainError("bad_value", "The JSON is neither a set exported here nor a promptfoo config.")
    return found


def form_of(name: str) -> str:
    """The media type that a file's name says."""
    ending = name.rpartition(".")[2].lower()
    if ending not in _ENDINGS:
        known = ", ".join(f".{each}" for each in _ENDINGS)
        raise DomainError("bad_value", f"{shorten(name, 60)} is none of the files that are read: {known}.")
    return _ENDINGS[ending]


def read_json_file(body: bytes) -> Imported | Json:
    """What a JSON document brings: a set of ours, a promptfoo config, or the plain value that is none of them."""
    value = parse_json(body, max_bytes=MAX_BYTES)
    if is_document(value):
        return read_document(body)
    return read_promptfoo(body) if is_config(value) else value


def read_mapping(text: str | None) -> dict[str, str] | None:
    """The mapping of columns, as a JSON object in a query parameter."""
    if text is None:
        return None
    given: Any = parse_json(text.encode(errors="replace"))
    if not isinstance(given, dict) or not all(isinstance(role, str) for role in given.values()):
        raise DomainError("bad_value", 'mapping is a JSON object of texts: {"column": "variable:name"}.')
    return given
