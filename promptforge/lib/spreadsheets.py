"""Cells that a spreadsheet shows and never computes."""

import re
from typing import Any

# What spreadsheets take for a formula, also behind blanks; a number with its sign stays one.
_FORMULA = re.compile(r"\s*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def harmless(cell: Any) -> Any:
    """The cell with an apostrophe in front where a spreadsheet would compute it."""
    text = str(cell) if cell is not None else ""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
