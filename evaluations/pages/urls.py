"""The addresses of this app's pages, below `p/<project>/`."""

from django.urls import path

from evaluations.pages.drift import DriftPage
from evaluations.pages.importing import ImportPage
from evaluations.pages.rules import RulesPage
from evaluations.pages.set import ExportPage, SetPage
from evaluations.pages.sets import NewSetPage, SetsPage

urlpatterns = [
    path("evaluations/", SetsPage.as_view(), name="evaluations"),
    path("evaluations/new/", NewSetPage.as_view(), name="new_set"),
    path("evaluations/sets/<slug:set_id>/", SetPage.as_view(), name="evaluation_set"),
    path("evaluations/sets/<slug:set_id>/import/", ImportPage.as_view(), name="import_cases"),
    path("evaluations/sets/<slug:set_id>/export/", ExportPage.as_view(), name="export_set"),
    path("settings/rules/", RulesPage.as_view(), name="settings_rules"),
    path("evaluations/drift/", DriftPage.as_view(), name="drift"),
]
