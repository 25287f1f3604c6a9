"""Addresses of the pages about signing in. Those of allauth that are not here do not exist: signing up, for one."""

from typing import Any

from allauth.account.views import LogoutView
from django.urls import path, re_path
from django.views.decorators.cache import never_cache
from django.views.generic import TemplateView

from accounts import views


def _page(route: str, view: Any, name: str) -> Any:
    return path(route, never_cache(view), name=name)


urlpatterns = [
    _page("", views.account, "account"),
    _page("sign-in/", views.SignIn.as_view(), "account_login"),
    _page("sign-in/code/", views.Code.as_view(), "mfa_authenticate"),
    _page("sign-out/", LogoutView.as_view(), "account_logout"),
    _page("confirm/", views.Confirm.as_view(), "account_reauthenticate"),
    _page("password/", views.ChangePassword.as_view(), "account_change_password"),
    _page("password/forgotten/", views.ForgottenPassword.as_view(), "account_reset_password"),
    _page(
        "password/forgotten/sent/",
        TemplateView.as_view(template_name="account/password_reset_done.html"),
        "account_reset_password_done",
    ),
    re_path(
        r"^password/new/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[-\w]+)/$",
        never_cache(views.NewPassword.as_view()),
        name="account_reset_password_from_key",
    ),
    _page("second-factor/add/", views.AddFactor.as_view(), "mfa_activate_totp"),
    _page("second-factor/remove/", views.RemoveFactor.as_view(), "mfa_deactivate_totp"),
    _page("second-factor/codes/", views.RenewCodes.as_view(), "mfa_generate_recovery_codes"),
    _page("sessions/end/", views.end, "account_end_sessions"),
]
