"""The site map."""

from allauth.account.views import LogoutView
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from accounts.views import admin_door
from promptforge import views

admin.site.site_header = admin.site.site_title = "PromptForge"
admin.site.index_title = "Everything, as operators see it"

urlpatterns = [
    path("", views.home, name="home"),
    path("docs/errors", views.errors, name="errors"),
    path("p/<slug:project>/", include("promptforge.pages")),
    path("theme/", views.theme, name="theme"),
    path("styleguide/", views.styleguide, name="styleguide"),
    path("livez", views.livez),
    path("readyz", views.readyz),
    path("metrics", views.metrics),
    path("accounts/", include("accounts.urls")),
    # Before the admin's own, which know of no second factor and count no guesses.
    path("admin/login/", admin_door),
    path("admin/logout/", LogoutView.as_view()),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    path("admin/", admin.site.urls),
    path("api/", include("promptforge.api")),
]

handler400 = "promptforge.lib.rest.bad_request"
handler403 = "promptforge.lib.error_pages.forbidden"
handler404 = "promptforge.lib.error_pages.not_found"
handler500 = "promptforge.lib.rest.server_error"
