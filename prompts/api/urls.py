from django.urls import path

from prompts.api import views

urlpatterns = [
    path("versions", views.VersionsView.as_view()),
    path("versions/<path:reference>", views.VersionView.as_view()),
    path("diff", views.DiffView.as_view()),
    path("releases", views.ReleasesView.as_view()),
]
