"""promptfoo's tables: columns are variables, and names with two underscores say the rest."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from evaluations.formats.assertions import NotTaken, checked, criterion_of, expected_of
from evaluations.formats.records import MAX_LABEL, Imported
from evaluations.formats.tables import read_table
from promptforge.lib.errors import shorten
from prompts.templating.grammar import VARIABLE_NAME

_EXPECTED = re.compile(r"__expected(\d*)")
_SETTING = re.compile(r"__config:(?P<of>__expected\d*):(?P<field>\w+)")
_METADATA = re.compile(r"__metadata:(?P<field>[^\[\]]+)(?P<many>\[\])?")
_KNOWN = ("__description", "__metric", "__threshold")
_UNTAKEN = ("__prefix", "__suffix", "__provider", "__providers", "__providerOutput")


def is_promptfoo_table(columns: list[str]) -> bool:
    return any(column.startswith("__") for column in columns)


def read_promptfoo_csv(body: bytes) -> Imported:
    table = read_table(body)
    read = Imported(problems=list(table.problems))
    columns = [column for column in table.columns if _is_taken(column, read)]
    for line, cells in table.rows:
        if len(cells) != len(table.columns) and any(cells[len(table.columns) :]):
            read.problem(line, f"The row has {len(cells)} cells, the header {len(table.columns)}; is a quote missing?")
            continue
        row = dict(zip(table.columns, [*cells, *[""] * len(table.columns)], strict=False))
        if not read.add(_case(read, line, row, columns), line) and read.is_full:
            break
    return read


def _is_taken(column: str, read: Imported) -> bool:
    if _SETTING.fullmatch(column) or _EXPECTED.fullmatch(column) or _METADATA.fullmatch(column) or column in _KNOWN:
        return True
    if column in _UNTAKEN:
        read.note(1, f"The column {column} was not taken; write prefixes and suffixes into the prompt.")
    elif VARIABLE_NAME.fullmatch(column):
        return True
    else:
        read.problem(1, f"The column {shorten(column, 40)} was left out: its name is none of a variable.")
    return False


def _case(read: Imported, line: int, row: Mapping[str, str], columns: list[str]) -> dict[str, Any]:
    case: dict[str, Any] = {
        "key": " ".join(row.get("__description", "").split())[:MAX_LABEL],
        "variables": {column: row[column] for column in columns if not column.startswith("__")},
        "criteria": list(_criteria(read, line, row, columns)),
    }
    for column in columns:
        if (found := _METADATA.fullmatch(column)) and row[column].strip():
            _add_metadata(read, line, case, found["field"], row[column])
    if (threshold := row.get("__threshold", "").strip()) and case["criteria"]:
        try:
            raw = {"type": "assert-set", "value": case["criteria"], "threshold": float(threshold)}
            case["criteria"] = [checked(raw, "__threshold")]
        except (NotTaken, ValueError):
            read.problem(line, f"__threshold is {shorten(threshold, 40)}; a number from 0 to 1 is expected.")
    return case


def _add_metadata(read: Imported, line: int, case: dict[str, Any], field: str, cell: str) -> None:
    if field in ("tags", "tag"):
        case["tags"] = [tag.strip() for tag in cell.split(",") if tag.strip()]
    elif field == "group":
        case["group"] = cell.strip()
    else:
        read.note(1 if line else None, f"The column __metadata:{shorten(field, 40)} was not taken.")


def _criteria(read: Imported, line: int, row: Mapping[str, str], columns: list[str]) -> Iterator[dict[str, Any]]:
    metric = row.get("__metric", "").strip()
    for column in columns:
        if not _EXPECTED.fullmatch(column) or not row[column].strip():
            continue
        given = expected_of(row[column])
        for other in columns:
            setting = _SETTING.fullmatch(other)
            if setting and setting["of"] in (column, f"{column}1") and row[other].strip():
                given |= _setting(read, line, setting["field"], row[other])
        if metric:
            given["metric"] = metric
        read.met += 1
        try:
            yield criterion_of(given, lambda sentence: read.note(line, sentence))
            read.taken += 1
        except NotTaken as why:
            read.problem(line, f"{column}: {why}")


def _setting(read: Imported, line: int, field: str, cell: str) -> dict[str, Any]:
    try:
        return {field: float(cell)} if field in ("threshold", "weight") else {}
    except ValueError:
        read.problem(line, f"The {field} is {shorten(cell, 40)}; a number is expected.")
        return {}
