"""The pages about signing in and about one's own account: allauth's, with our limits, our clock and our templates."""

import time
from typing import Any

from allauth.account.internal.stagekit import clear_login
from allauth.account.stages import LoginStage
from allauth.account.utils import get_next_redirect_url
from allauth.account.views import (
    LoginView,
    PasswordChangeView,
    PasswordResetFromKeyView,
    PasswordResetView,
    ReauthenticateView,
)
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView
from allauth.mfa.totp.internal.auth import generate_totp_secret
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from accounts.actions.sign_in import add_second_factor, end_sessions, remove_second_factor, renew_recovery_codes
from accounts.second_factor import has_second_factor, recovery_codes_left
from accounts.sessions import public_id, sessions_of
from accounts.sign_in import SIGNED_IN_AT
from accounts.sign_in_forms import AddFactorForm, ChangeForm, CodeForm, ConfirmForm, LetterForm

_NEW_SECRET = "new_factor"  # noqa: S105  the name of a place


class Limited:
    """Answers 429 when the form says that the next try has to wait."""

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)  # type: ignore[misc]
        for errors in form.errors.as_data().values():
            for error in errors:
                if error.code == "rate_limited":
                    response.status_code = 429
                    response["Retry-After"] = str(error.params["seconds"])
        return response


# --- Signing in and out ----------------------------------------------------------------------------------------------
class SignIn(Limited, LoginView):  # type: ignore[misc]
    """E-mail and password."""

    def _redirect_to_pending_stage(self, request: HttpRequest, stage: LoginStage) -> HttpResponse | None:
        if not stage.login.user or not has_second_factor(stage.login.user):
            clear_login(request)  # removed while its code was waited for: begin anew
            return None
        response: HttpResponse = super()._redirect_to_pending_stage(request, stage)
        return response


class Code(Limited, AuthenticateView):  # type: ignore[misc]
    """The second factor's code, or a recovery code."""

    def _build_forms(self) -> CodeForm:
        self.webauthn_form = None
        data = self.request.POST if self.request.method == "POST" else None
        self.auth_form = CodeForm(user=self.stage.login.user, data=data)
        return self.auth_form


class Confirm(Limited, ReauthenticateView):  # type: ignore[misc]
    """Proving anew who one is, which makes the sign-in recent again."""

    form_class = ConfirmForm

    def form_valid(self, form: ConfirmForm) -> HttpResponse:
        # Not a new sign-in, which would void the CSRF token of the form that sent the person here.
        self.request.session.cycle_key()
        self.request.session[SIGNED_IN_AT] = time.time()
        response: HttpResponse = super().form_valid(form)
        return response

    def get_default_success_url(self) -> str:
        messages.success(self.request, "It is you. Go back to the page that asked, and send it again.")
        return reverse("account")


def admin_door(request: HttpRequest) -> HttpResponse:
    """The admin's sign-in: there is one sign-in only. Whoever is signed in and still comes here may not go in."""
    onward = get_next_redirect_url(request) or reverse("admin:index")
    user: Any = request.user
    if not user.is_authenticated:
        return redirect(f"{reverse('account_login')}?{urlencode({'next': onward})}")
    return redirect(onward) if user.is_staff else render(request, "account/no_admin.html", status=403)


# --- Password --------------------------------------------------------------------------------------------------------
class ChangePassword(Limited, PasswordChangeView):  # type: ignore[misc]
    form_class = ChangeForm
    success_url = reverse_lazy("account")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated and not request.user.has_usable_password():
            return redirect("account_reset_password")  # there is no present one to type
        response: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return response

    def form_valid(self, form: ChangeForm) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)
        messages.success(self.request, "The password is changed. Your other sessions have ended.")
        return response


class ForgottenPassword(Limited, PasswordResetView):  # type: ignore[misc]
    """Asks for a letter with a link, where there is a mail server; else says who helps."""

    form_class = LetterForm

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.SENDS_MAIL:
            return render(request, "account/no_mail.html")
        response: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return response


class NewPassword(PasswordResetFromKeyView):  # type: ignore[misc]
    """Where the letter's link leads."""

    success_url = reverse_lazy("account_login")

    def form_valid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)
        messages.success(self.request, "The new password holds. Sign in with it.")
        return response


# --- Account ---------------------------------------------------------------------------------------------------------
@require_safe
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """One's own sign-in at a glance: second factor, password, sessions."""
    user: Any = request.user
    current = request.session.session_key
    sessions = [(public_id(row), row, row.session_key == current) for row in sessions_of(user)]
    codes_left, says = recovery_codes_left(user)
    context = {
        "has_second_factor": has_second_factor(user),
        "codes_left": codes_left,
        "codes_say": says,
        "sessions": sorted(sessions, key=lambda entry: not entry[2]),
    }
    return render(request, "account/account.html", context)


@require_POST
@login_required
def end(request: HttpRequest) -> HttpResponse:
    """End one other session, or all of them."""
    user: Any = request.user
    chosen, current = request.POST.get("session"), request.session.session_key
    if chosen is None:
        ended = end_sessions(user=user, by=user, but=current)
    else:
        found = [row.session_key for row in sessions_of(user) if public_id(row) == chosen]
        if not found or found[0] == current:
            raise Http404
        ended = end_sessions(user=user, by=user, only=found[0])
    messages.success(request, "The session has ended." if ended == 1 else f"{ended} sessions have ended.")
    return redirect("account")


# --- Second factor ---------------------------------------------------------------------------------------------------
class AddFactor(ActivateTOTPView):  # type: ignore[misc]
    form_class = AddFactorForm

    def get_form_kwargs(self) -> dict[str, Any]:
        kwargs: dict[str, Any] = super(ActivateTOTPView, self).get_form_kwargs()
        session, sealing = self.request.session, get_adapter()
        if self.request.method != "POST" or _NEW_SECRET not in session:
            session[_NEW_SECRET] = sealing.encrypt(generate_totp_secret())
        return kwargs | {"secret": sealing.decrypt(session[_NEW_SECRET])}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super(ActivateTOTPView, self).get_context_data(**kwargs)
        sealing, secret = get_adapter(), context["form"].secret
        context["qr"] = sealing.build_totp_svg(sealing.build_totp_url(self.request.user, secret))
        context["secret"] = [secret[at : at + 4] for at in range(0, len(secret), 4)]
        return context

    def form_valid(self, form: AddFactorForm) -> HttpResponse:
        session = self.request.session
        codes = add_second_factor(
            user=self.request.user, secret=form.secret, counter=form.counter, session=session.session_key
        )
        session.pop(_NEW_SECRET, None)
        return _codes(self.request, codes)


class RemoveFactor(DeactivateTOTPView):  # type: ignore[misc]
    def form_valid(self, form: Any) -> HttpResponse:
        user: Any = self.request.user
        remove_second_factor(user=user, by=user)
        messages.success(self.request, "The second factor is removed. A sign-in takes the password alone.")
        return HttpResponseRedirect(reverse("account"))


class RenewCodes(GenerateRecoveryCodesView):  # type: ignore[misc]
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super(GenerateRecoveryCodesView, self).get_context_data(**kwargs)
        context["unused_code_count"], context["codes_say"] = recovery_codes_left(context["form"].user)
        return context

    def form_valid(self, form: Any) -> HttpResponse:
        return _codes(self.request, renew_recovery_codes(user=self.request.user))


def _codes(request: HttpRequest, codes: list[str] | None) -> HttpResponse:
    """The page that shows recovery codes, this once: nothing stores it, and no address leads to it."""
    if codes is None:
        return redirect("account")
    shown = [f"{code[:5]} {code[5:]}" for code in codes]
    return render(request, "mfa/recovery_codes/shown.html", {"codes": shown})
