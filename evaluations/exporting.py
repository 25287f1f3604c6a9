"""Sets as files: the literal table of forms, for the API and the pages alike."""

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpResponse

from evaluations.actions.sets import case_fields
from evaluations.formats.own import write_document, write_lines
from evaluations.formats.promptfoo_writing import write_promptfoo
from evaluations.formats.tables import write_csv
from evaluations.importing import JSON, LINES, YAML
from evaluations.models import EvaluationSet, SetRevision
from promptforge.lib.errors import DomainError, shorten


def _document(name: str, description: str, criteria: list[dict[str, Any]], cases: list[dict[str, Any]]) -> bytes:
    return write_document(name, description, criteria, cases)


def _table(_: str, __: str, ___: list[dict[str, Any]], cases: list[dict[str, Any]]) -> bytes:
    return ("\ufeff" + "".join(write_csv(cases))).encode()


def _lines(_: str, __: str, ___: list[dict[str, Any]], cases: list[dict[str, Any]]) -> bytes:
    return b"".join(write_lines(cases))


# format → its writer, media type and the ending of the file's name.
FORMATS: Mapping[str, tuple[Callable[..., bytes], str, str]] = {
    "json": (_document, JSON, "json"),
    "promptfoo": (write_promptfoo, YAML, "yaml"),
    "csv": (_table, "text/csv; charset=utf-8", "csv"),
    "jsonl": (_lines, LINES, "jsonl"),
}


def as_file(owner: EvaluationSet, revision: SetRevision, asked: str) -> HttpResponse:
    """One revision of a set in the form that is asked for."""
    if asked not in FORMATS:
        raise DomainError("bad_value", f"{shorten(asked, 40)} is no format; formats are {', '.join(FORMATS)}.")
    write, media_type, ending = FORMATS[asked]
    cases = [case_fields(case) for case in revision.cases]
    answer = HttpResponse(write(owner.name, owner.description, revision.criteria_list, cases), content_type=media_type)
    answer["Content-Disposition"] = f'attachment; filename="set-{revision.number}.{ending}"'
    answer["Cache-Control"] = "private, no-store"
    return answer
