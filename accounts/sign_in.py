"""Signing in by password, and how long ago that was: grave acts need a recent sign-in."""

import time

from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from promptforge.lib.errors import DomainError

SIGNED_IN_AT = "signed_in_at"
FIVE_MINUTES = 300


class SignIn(LoginView):
    """The admin's sign-in page, which also notes when it was."""

    template_name = "admin/login.html"
    authentication_form = AdminAuthenticationForm
    next_page = settings.LOGIN_REDIRECT_URL

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        session, person = self.request.session, form.get_user()
        if self.request.user.is_authenticated and self.request.user.pk == person.pk:
            # Signing in anew would void the CSRF token of the form that sent the person here.
            session.cycle_key()
            response: HttpResponse = HttpResponseRedirect(self.get_success_url())
        else:
            response = super().form_valid(form)
        session[SIGNED_IN_AT] = time.time()
        return response


def require_recent_sign_in(request: HttpRequest, seconds: int = FIVE_MINUTES) -> None:
    """Refuse a person whose sign-in is older than this. Keys do not sign in; what they may do their scopes say."""
    at = request.session.get(SIGNED_IN_AT, 0)
    if time.time() - at > seconds:
        raise DomainError(
            "reauthentication_required",
            f"This takes a sign-in within the last {seconds // 60} minutes. Sign in again and repeat.",
            extra={"url": f"/{settings.SIGN_IN_PATH}"},
        )
