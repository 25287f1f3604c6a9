"""A file into a set: chosen, looked at with what is wrong line by line, and only then saved. Nothing is executed."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse

from evaluations.actions.sets import may_edit
from evaluations.actions.staging import own_file, stage_file, take_file, throw_away_file
from evaluations.formats.promptfoo_table import is_promptfoo_table
from evaluations.formats.records import MAX_BYTES, Imported, duplicates
from evaluations.formats.tables import PREVIEWED, ROLES, preview_csv
from evaluations.importing import CSV, form_of, read_named
from evaluations.models import StagedFile
from evaluations.pages.set import OfSet
from evaluations.scoring import read_criteria, sentence
from promptforge.lib.errors import DomainError, wrong
from promptforge.lib.verdicts import require

MOST_TOLD = 200
SHOWN_COLUMNS = 12
_WORDS = {
    "expected": "The expected answer",
    "key": "The name of the case",
    "tags": "Tags",
    "group": "The group",
    "critical": "Must pass (yes or no)",
    "skip": "Leave it out",
}
VARIABLE, ITSELF = "variable:", "variable"


class ImportPage(OfSet):
    def get(self, request: HttpRequest, set_id: str) -> HttpResponse:
        owner = self.found()
        require(may_edit(self.principal, owner.prompt))
        staged = own_file(self.principal, owner)
        context: dict[str, Any] = {"owner": owner, "set_id": set_id, "staged": staged}
        if staged is not None:
            given = self.typed if self.typed.get("act") == "take" else request.GET
            context |= _looked_at(staged, given)
        return self.show("evaluations/set_import.html", context)

    def post(self, request: HttpRequest, set_id: str) -> HttpResponse:
        owner = self.found()
        require(may_edit(self.principal, owner.prompt))
        act = request.POST.get("act", "")
        if act == "choose":
            file = request.FILES.get("file")
            if file is None or file.name is None:
                raise wrong("file", "Choose a file.")
            stage_file(by=self.principal, owner=owner, name=file.name, body=file.read(MAX_BYTES + 1))
            return HttpResponseRedirect(self._address)
        if act == "drop":
            throw_away_file(by=self.principal, owner=owner)
            return self.done(self.here, "The file is thrown away.", "The set is as it was.")
        staged = own_file(self.principal, owner)
        if staged is None:
            raise DomainError("not_found", "No file waits here any more. Choose it again.")
        if act == "map":
            return HttpResponseRedirect(f"{self._address}?{_columns_of(request.POST).urlencode()}#preview")
        if act != "take":
            raise DomainError("bad_value", "The form does not say what to do. Load the page again and repeat.")
        message = request.POST.get("message", "").strip()[:2_000] or f"From {staged.name}"
        read = take_file(
            by=self.principal, owner=owner, staged=staged, mapping=_mapping(staged, request.POST), message=message
        )
        count = len(read.cases)
        left = len(read.problems)
        said = f"{left:,} line{' was' if left == 1 else 's were'} left out." if left else "Nothing was left out."
        return self.done(self.here, f"{count:,} case{'' if count == 1 else 's'} came from {staged.name}.", said)

    @property
    def _address(self) -> str:
        return reverse("import_cases", args=(self.principal.project.name, self.set_id))


def _looked_at(staged: StagedFile, given: QueryDict) -> dict[str, Any]:
    """What the file would bring, read as it will be read when it is saved."""
    body, mapping = bytes(staged.body), _mapping(staged, given)
    read = read_named(staged.name, body, mapping)
    shown = _table(body, mapping, read) if form_of(staged.name) == CSV else {}
    return {
        "read": read,
        "problems": read.problems[:MOST_TOLD],
        "more_problems": max(0, len(read.problems) - MOST_TOLD),
        "notes": read.notes[:MOST_TOLD],
        "criteria": [sentence(each) for each in read_criteria(read.criteria, "/criteria")],
        "same": len(duplicates(read.cases)),
        "cases": read.cases[:PREVIEWED],
        "values": [(case, list(case["variables"].items())) for case in read.cases[:PREVIEWED]],
        **shown,
    }


def _table(body: bytes, mapping: Mapping[str, str], read: Imported) -> dict[str, Any]:
    """The rows of a table as they stand in the file, each with what is wrong with it, and what each column becomes."""
    preview = preview_csv(body, mapping)
    wrongs: dict[int, list[str]] = defaultdict(list)
    for line, said in read.problems:
        if line is not None:
            wrongs[line].append(said)
    width = min(len(preview.columns), SHOWN_COLUMNS)
    rows = [(line, cells[:width] + [""] * (width - len(cells)), wrongs.get(line, [])) for line, cells in preview.rows]
    columns = [
        {
            "name": column,
            "role": preview.mapping[column] if preview.mapping[column] in ROLES else ITSELF,
            "variable": preview.mapping[column].removeprefix(VARIABLE)
            if preview.mapping[column].startswith(VARIABLE)
            else column,
            "first": next((cells[place] for _, cells in preview.rows if place < len(cells) and cells[place]), ""),
        }
        for place, column in enumerate(preview.columns)
    ]
    return {
        "is_table": True,
        "is_promptfoo": is_promptfoo_table(preview.columns) and not mapping,
        "columns": columns,
        "shown_columns": preview.columns[:width],
        "hidden_columns": len(preview.columns) - width,
        "table_rows": rows,
        "role_choices": list(_WORDS.items()),
    }


def _columns_of(form: QueryDict) -> QueryDict:
    kept = QueryDict(mutable=True)
    for field in ("column", "role", "as"):
        kept.setlist(field, form.getlist(field))
    return kept


def _mapping(staged: StagedFile, given: QueryDict) -> dict[str, str]:
    """What each column is, from the fields of the form, which stand in the order of the columns."""
    if form_of(staged.name) != CSV:
        return {}
    parts = zip(given.getlist("column"), given.getlist("role"), given.getlist("as"), strict=False)
    return {
        column: f"{VARIABLE}{name.strip() or column}" if role == ITSELF else role
        for column, role, name in parts
        if role == ITSELF or role in ROLES
    }
