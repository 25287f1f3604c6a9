"""Rollouts: where they will be."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts.pages.door import ProjectPage


class RolloutsPage(ProjectPage):
    place = "rollouts"

    def get(self, request: HttpRequest, **_: Any) -> HttpResponse:
        return self.show("delivery/rollouts.html", {})
