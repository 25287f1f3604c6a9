"""The site map."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from accounts.sign_in import SignIn
from promptforge import views
from prompts.pages.welcome import NewProjectPage, WelcomePage

admin.site.site_header = admin.site.site_title = "PromptForge"
admin.site.index_title = "Everything, as operators see it"

urlpatterns = [
    path("", views.home, name="home"),
    path("docs/errors", views.errors, name="errors"),
    path("p/<slug:project>/", include("promptforge.pages")),
    path("projects/new/", NewProjectPage.as_view(), name="new_project"),
    path("welcome/", WelcomePage.as_view(), name="welcome"),
    path("theme/", views.theme, name="theme"),
    path("styleguide/", views.styleguide, name="styleguide"),
    path("livez", views.livez),
    path("readyz", views.readyz),
    path("metrics", views.metrics),
    path(settings.SIGN_IN_PATH, SignIn.as_view()),  # before the admin's own, which does not note when it was
    path("admin/", admin.site.urls),
    path("api/", include("promptforge.api")),
]

handler400 = "promptforge.lib.rest.bad_request"
handler403 = "promptforge.lib.error_pages.forbidden"
handler404 = "promptforge.lib.error_pages.not_found"
handler500 = "promptforge.lib.rest.server_error"
