"""Tables as CSV, written row by row; no cell can become a formula in a spreadsheet."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.http import StreamingHttpResponse

from promptforge.lib.spreadsheets import harmless


class _Line:
    """What the writer writes into: each line is handed on as it comes."""

    @staticmethod
    def write(line: str) -> str:
        return line


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
