"""The addresses of this app's pages, below `p/<project>/`."""

from django.urls import path

from delivery.pages.outputs import OutputPage, OutputsPage
from delivery.pages.rollouts import RolloutsPage

urlpatterns = [
    path("rollouts/", RolloutsPage.as_view(), name="rollouts"),
    path("outputs/", OutputsPage.as_view(), name="outputs"),
    path("outputs/<slug:uid>/", OutputPage.as_view(), name="output"),
]
