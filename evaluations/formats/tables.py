"""Cases as CSV: a header, then one case a row. What each column means is guessed, and can be said."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluations.formats.records import MAX_BYTES, Case, Imported, Problem
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.json import canonical_json
from promptforge.lib.spreadsheets import harmless
from prompts.templating.grammar import VARIABLE_NAME

SEPARATORS = (",", ";", "\t")
PREVIEWED = 20
MAX_COLUMNS = 250
MAX_CELL = 131_072  # what the reader of the standard library takes
SKIP = "skip"
# What a column may be, beside `variable:NAME`.
ROLES = ("expected", "key", "tags", "group", "critical", SKIP)
_GUESSES = {
    "expected": "expected",
    "expected_output": "expected",
    "expected_answer": "expected",
    "ideal": "expected",
    "id": "key",
    "key": "key",
    "tags": "tags",
    "group": "group",
    "critical": "critical",
}
_YES, _NO = frozenset({"true", "yes", "y", "1", "x"}), frozenset({"false", "no", "n", "0", ""})
_VARIABLE = "variable:"


@dataclass(frozen=True)
class Table:
    """A file taken apart: header and rows, each row with the line it begins on."""

    separator: str
    columns: list[str]
    rows: list[tuple[int, list[str]]]
    problems: list[Problem]


@dataclass(frozen=True)
class Preview:
    """What a person looks at before importing: the first rows, what each column would become, what is wrong where."""

    separator: str
    columns: list[str]
    mapping: dict[str, str]
    rows: list[tuple[int, list[str]]]
    cases: int
    problems: list[Problem]


def read_table(body: bytes) -> Table:
    """Separator and rows of a CSV file. Raises DomainError for what is no table at all."""
    text = decoded(body)
    separator = _sniffed(text)
    problems: list[Problem] = []
    lines = _lines(text, separator, problems)
    _, columns = next(lines, (1, []))
    columns = [column.strip() for column in columns]
    while columns and not columns[-1]:
        columns.pop()
    if not columns:
        raise DomainError("bad_value", "The file has no header; its first row names the columns.")
    if len(columns) > MAX_COLUMNS:
        raise DomainError("bad_value", f"The file has {len(columns):,} columns; at most {MAX_COLUMNS} are read.")
    if twice := sorted({column for column in columns if columns.count(column) > 1}):
        raise DomainError("bad_value", f"The column {shorten(twice[0], 40)} stands twice in the header; rename one.")
    return Table(separator, columns, list(lines), problems)


def read_csv(body: bytes, mapping: Mapping[str, str] | None = None) -> Imported:
    """The cases of a CSV file. `mapping`: column → `variable:NAME` or one of ROLES; what it leaves out is guessed."""
    table = read_table(body)
    read = Imported(problems=list(table.problems))
    roles = _roles(table.columns, mapping or {}, read)
    for line, cells in table.rows:
        if len(cells) > len(table.columns) and any(cells[len(table.columns) :]):
            read.problem(line, f"The row has {len(cells)} cells, the header {len(table.columns)}; is a quote missing?")
        elif len(cells) < len(table.columns):
            read.problem(line, f"The row has {len(cells)} cells, the header {len(table.columns)}.")
        elif not _add(read, line, dict(zip(table.columns, cells, strict=False)), roles) and read.is_full:
            break
    return read


def preview_csv(body: bytes, mapping: Mapping[str, str] | None = None) -> Preview:
    table = read_table(body)
    read = read_csv(body, mapping)
    roles = _roles(table.columns, mapping or {}, Imported())
    return Preview(
        table.separator, table.columns, roles, table.rows[:PREVIEWED], len(read.cases), sorted(read.problems, key=_line)
    )


def write_csv(cases: Sequence[Case]) -> Iterator[str]:
    """One row a case; values that are no text as JSON. Messages and criteria have no place in a table.

    A cell that a spreadsheet would compute gets an apostrophe in front: a table is for people, not for a round trip.
    """
    names = list(dict.fromkeys(name for case in cases for name in case["variables"]))
    taken = set(ROLES) | set(_GUESSES)
    head = [f"variable:{name}" if name.lower() in taken else name for name in names]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["key", *head, "expected", "tags", "group", "critical"])
    for case in cases:
        values = [_cell(case["variables"].get(name)) for name in names]
        row = [case["key"], *values, case["expected"] or "", "|".join(case["tags"]), case["group"]]
        writer.writerow([*map(harmless, row), "yes" if case["critical"] else ""])
        yield out.getvalue()
        out.seek(0)
        out.truncate()


def decoded(body: bytes) -> str:
    """The text of a file: UTF-8, with or without its mark, or UTF-16 with one, as spreadsheets write them."""
    if len(body) > MAX_BYTES:
        raise DomainError("body_too_large", f"The file has {len(body):,} bytes; at most {MAX_BYTES:,} are read.")
    try:
        text = body.decode("utf-16" if body[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise DomainError(
            "invalid_utf8", f"Line {line} is no UTF-8; save the file as “CSV UTF-8”.", extra={"offset": error.start}
        ) from None
    if not text.strip():
        raise DomainError("body_required", "The file is empty.")
    return text


# --- Inside ----------------------------------------------------------------------------------------------------------
def _sniffed(text: str) -> str:
    """The separator that cuts the first row into the most cells."""

    def cells(separator: str) -> int:
        try:
            return len(next(csv.reader(io.StringIO(text[:MAX_CELL], newline=""), delimiter=separator), []))
        except csv.Error:
            return 0

    return max(SEPARATORS, key=cells)


def _lines(text: str, separator: str, problems: list[Problem]) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank with the line it begins on; what cannot be read is a problem of that line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.append(Problem(line, f"The row cannot be read: {_WHY.get(str(error), str(error))}."))
            continue
        if any(cell.strip() for cell in row):
            yield line, row


_WHY = {
    "unexpected end of data": "a quote that opens here is never closed",
    f"field larger than field limit ({MAX_CELL})": f"a cell has more than {MAX_CELL:,} characters",
}


def _roles(columns: Sequence[str], mapping: Mapping[str, str], read: Imported) -> dict[str, str]:
    """What each column is, by the mapping or by its name."""
    for column in mapping:
        if column not in columns:
            read.problem(1, f"The mapping names the column {shorten(column, 40)}, which the file does not have.")
    roles: dict[str, str] = {}
    for column in columns:
        role = mapping.get(column) or _guess(column)
        if role.startswith(_VARIABLE):
            if not VARIABLE_NAME.fullmatch(role.removeprefix(_VARIABLE)):
                read.problem(
                    1, f"The column {shorten(column, 40)} was left out: its name is none of a variable. Say what it is."
                )
                role = SKIP
        elif role not in ROLES:
            read.problem(1, f"{shorten(role, 40)} is nothing a column can be; say variable:NAME or {', '.join(ROLES)}.")
            role = SKIP
        if role != SKIP and role in roles.values():
            read.problem(1, f"The column {shorten(column, 40)} was left out: another one is {role} already.")
            role = SKIP
        roles[column] = role
    return roles


def _guess(column: str) -> str:
    if column.startswith(_VARIABLE):
        return column
    return _GUESSES.get(re.sub(r"[\s-]+", "_", column.lower())) or f"{_VARIABLE}{column}"


def _add(read: Imported, line: int, row: Mapping[str, str], roles: Mapping[str, str]) -> bool:
    case: dict[str, Any] = {"variables": {}}
    for column, cell in row.items():
        role = roles[column]
        if role.startswith(_VARIABLE):
            case["variables"][role.removeprefix(_VARIABLE)] = cell
        elif role == "tags":
            case["tags"] = [tag.strip() for tag in re.split(r"[|;,]", cell) if tag.strip()]
        elif role == "critical":
            said = cell.strip().lower()
            if said not in _YES | _NO:
                read.problem(line, f"{shorten(column, 40)} is {shorten(cell, 40)}; yes or no is expected.")
                return False
            case["critical"] = said in _YES
        elif role == "expected":
            case["expected"] = cell or None
        elif role != SKIP:
            case[role] = cell.strip()
    return read.add(case, line)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else canonical_json(value)


def _line(problem: Problem) -> int:
    return problem.line or 0
