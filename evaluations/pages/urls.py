"""The addresses of this app's pages, below `p/<project>/`."""

from django.urls import path

from evaluations.pages.drift import DriftPage
from evaluations.pages.sets import SetsPage

urlpatterns = [
    path("evaluations/", SetsPage.as_view(), name="evaluations"),
    path("evaluations/drift/", DriftPage.as_view(), name="drift"),
]
