"""PromptForge's own forms: a set as one JSON document that loses nothing, and its cases as JSON lines."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evaluations.formats.records import MAX_BYTES, MAX_CASES, MAX_LABEL, Case, Imported
from evaluations.scoring import as_json, read_criteria
from promptforge.lib.errors import DomainError, Fault, shorten
from promptforge.lib.json import kind_of, parse_json, parse_object

FORM, REVISION = "promptforge-evaluation-set", 1
_FIELDS = ("format", "revision", "name", "description", "criteria", "cases")


def write_document(name: str, description: str, criteria: Sequence[Mapping[str, Any]], cases: Sequence[Case]) -> bytes:
    document = {
        "format": FORM,
        "revision": REVISION,
        "name": name,
        "description": description,
        "criteria": list(criteria),
        "cases": list(cases),
    }
    return (json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2) + "\n").encode()


def is_document(value: Any) -> bool:
    return isinstance(value, dict) and value.get("format") == FORM


def read_document(body: bytes) -> Imported:
    """A document of `write_document`. Faults of the document itself raise DomainError; a case's cost that case."""
    given = parse_object(body, max_bytes=MAX_BYTES)
    if not is_document(given) or given.get("revision") != REVISION:
        detail = f"format is {shorten(given.get('format'), 40)}; {FORM} of revision {REVISION} is read."
        raise DomainError("bad_value", detail, [Fault("/format", "bad_value", detail)])
    read = Imported(name=_text(given, "name"), description=_text(given, "description"))
    for field in given:
        if field not in _FIELDS:
            read.note(None, f"The field {shorten(field, 40)} is not known and was not taken.")
    read.criteria = [as_json(criterion) for criterion in read_criteria(given.get("criteria", []), "/criteria")]
    cases = given.get("cases", [])
    if not isinstance(cases, list) or len(cases) > MAX_CASES:
        detail = f"cases is {kind_of(cases)}; a list of at most {MAX_CASES:,} is expected."
        raise DomainError("list_expected", detail, [Fault("/cases", "list_expected", detail)])
    for number, case in enumerate(cases, start=1):
        read.add(case, None, f"Case {number}, ")
    return read


def write_lines(cases: Sequence[Case]) -> Iterator[bytes]:
    for case in cases:
        yield (json.dumps(case, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_lines(body: bytes) -> Imported:
    """One case a line, as objects with the fields of a case; a line that cannot be taken costs itself alone."""
    if len(body) > MAX_BYTES:
        raise DomainError("body_too_large", f"The file has {len(body):,} bytes; at most {MAX_BYTES:,} are read.")
    read = Imported()
    for number, line in enumerate(body.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            value = parse_json(line.strip())
        except DomainError as refusal:
            read.problem(number, refusal.detail)
            continue
        if not isinstance(value, dict):
            read.problem(number, f"A line holds a case, an object; this is {kind_of(value)}.")
            continue
        if read.is_full:
            read.add(value, number)
            break
        read.add(value, number)
    return read


def _text(given: Mapping[str, Any], field: str) -> str:
    value = given.get(field, "")
    if not isinstance(value, str) or (field == "name" and len(value) > MAX_LABEL):
        detail = f"{field} is a text" + (f" of at most {MAX_LABEL} characters." if field == "name" else ".")
        raise DomainError("bad_value", detail, [Fault(f"/{field}", "bad_value", detail)])
    return value
