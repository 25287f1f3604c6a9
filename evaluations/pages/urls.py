"""The addresses of this app's pages, below `p/<project>/`."""

from django.urls import path, re_path

from evaluations.pages.run import RunFile, RunPage, RunProgress
from evaluations.pages.runs import NewRunPage, RunsPage
from evaluations.pages.sets import SetsPage

urlpatterns = [
    path("evaluations/", SetsPage.as_view(), name="evaluations"),
    path("evaluations/runs/", RunsPage.as_view(), name="runs"),
    path("evaluations/runs/new/", NewRunPage.as_view(), name="new_run"),
    path("evaluations/runs/<slug:run_id>/", RunPage.as_view(), name="run"),
    path("evaluations/runs/<slug:run_id>/progress/", RunProgress.as_view(), name="run-progress"),
    re_path(
        r"^evaluations/runs/(?P<run_id>[\w-]+)/(?P<form>junit|markdown|csv|json)$", RunFile.as_view(), name="run-file"
    ),
]
