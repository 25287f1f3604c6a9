"""Evaluation sets: where they will be."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts.pages.door import ProjectPage
from evaluations.pages.runs import newest_runs


class SetsPage(ProjectPage):
    place = "evaluations"

    def get(self, request: HttpRequest, **_: Any) -> HttpResponse:
        return self.show("evaluations/sets.html", {"runs": newest_runs(self.principal)})
