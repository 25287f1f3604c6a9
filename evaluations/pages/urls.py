"""The addresses of this app's pages, below `p/<project>/`."""

from django.urls import path, re_path

from evaluations.pages.connections import ModelsPage
from evaluations.pages.drift import DriftPage
from evaluations.pages.importing import ImportPage
from evaluations.pages.on_editor import TrialPage, TryPage
from evaluations.pages.rules import RulesPage
from evaluations.pages.run import RunFile, RunPage, RunProgress
from evaluations.pages.runs import NewRunPage, RunsPage
from evaluations.pages.set import ExportPage, SetPage
from evaluations.pages.sets import NewSetPage, SetsPage

urlpatterns = [
    path("evaluations/", SetsPage.as_view(), name="evaluations"),
    path("evaluations/new/", NewSetPage.as_view(), name="new_set"),
    path("evaluations/sets/<slug:set_id>/", SetPage.as_view(), name="evaluation_set"),
    path("evaluations/sets/<slug:set_id>/import/", ImportPage.as_view(), name="import_cases"),
    path("evaluations/sets/<slug:set_id>/export/", ExportPage.as_view(), name="evaluation_set-file"),
    path("settings/rules/", RulesPage.as_view(), name="settings_rules"),
    path("settings/models/", ModelsPage.as_view(), name="settings_models"),
    path("evaluations/drift/", DriftPage.as_view(), name="drift"),
    path("evaluations/runs/", RunsPage.as_view(), name="runs"),
    path("evaluations/runs/new/", NewRunPage.as_view(), name="new_run"),
    path("evaluations/runs/<slug:run_id>/", RunPage.as_view(), name="run"),
    path("evaluations/runs/<slug:run_id>/progress/", RunProgress.as_view(), name="run-progress"),
    path("try/<prompt:name>/", TryPage.as_view(), name="edit-try"),
    path("tried/<prompt:name>/", TrialPage.as_view(), name="edit-tried"),
    re_path(
        r"^evaluations/runs/(?P<run_id>[\w-]+)/(?P<form>junit|markdown|csv|json)$", RunFile.as_view(), name="run-file"
    ),
]
