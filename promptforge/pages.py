"""The pages that people work in: everything below `p/<project>/`, each app's own."""

from django.urls import include, path

urlpatterns = [
    path("", include("accounts.pages.urls")),
    path("", include("prompts.pages.urls")),
    path("", include("evaluations.pages.urls")),
    path("", include("delivery.pages.urls")),
]
