"""Tables as CSV, written row by row; no cell can become a formula in a spreadsheet."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.http import StreamingHttpResponse

# What spreadsheets take for a formula, also behind blanks; a number with its sign stays one.
_FORMULA = re.compile(r"\s*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


class _Line:
    """What the writer writes into: each line is handed on as it comes."""

    @staticmethod
    def write(line: str) -> str:
        return line


def harmless(cell: Any) -> Any:
    """The cell with an apostrophe in front where a spreadsheet would compute it."""
    text = str(cell) if cell is not None else ""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def csv_answer(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    writer = csv.writer(_Line())

    def lines() -> Iterator[str]:
        yield "\ufeff"  # or Excel reads it as another encoding
        yield writer.writerow(head)
        for row in rows:
            yield writer.writerow([harmless(cell) for cell in row])

    answer = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    answer["Cache-Control"] = "private, no-store"
    return answer
