"""Signing in by password, and how long ago that was: grave acts need a recent sign-in."""

import time
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from accounts.sign_in_limits import begin, succeeded
from promptforge.lib.errors import DomainError

SIGNED_IN_AT = "signed_in_at"
FIVE_MINUTES, TWELVE_HOURS = 300, 12 * 3600


class LimitedForm(AdminAuthenticationForm):
    """The sign-in form, which after some failures lets the next try wait."""

    waits: int = 0

    def clean(self) -> dict[str, Any]:
        email, address = self.cleaned_data.get("username"), str(getattr(self.request, "META", {}).get("REMOTE_ADDR"))
        if not email or not self.cleaned_data.get("password"):
            return super().clean()
        counted = begin(email, address)
        if counted.waits:
            self.waits = counted.waits
            raise forms.ValidationError(
                f"Too many sign-ins failed. Wait {self.waits} seconds, then try again.", code="rate_limited"
            )
        cleaned = super().clean()
        succeeded(counted)
        return cleaned


class SignIn(LoginView):
    """The admin's sign-in page, which also notes when it was."""

    template_name = "admin/login.html"
    authentication_form = LimitedForm
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

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_invalid(form)
        if isinstance(form, LimitedForm) and form.waits:
            response.status_code = 429
            response["Retry-After"] = str(form.waits)
        return response


def require_recent_sign_in(request: HttpRequest, seconds: int = FIVE_MINUTES) -> None:
    """Refuse a person whose sign-in is older than this. Keys do not sign in; what they may do their scopes say."""
    at = request.session.get(SIGNED_IN_AT, 0)
    if time.time() - at > seconds:
        age = f"{seconds // 3600} hours" if seconds >= 3600 else f"{seconds // 60} minutes"
        raise DomainError(
            "reauthentication_required",
            f"This takes a sign-in within the last {age}. Sign in again and repeat.",
            extra={"url": f"/{settings.SIGN_IN_PATH}"},
        )
