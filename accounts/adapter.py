"""What allauth leaves to us: how a sign-in is counted, when it is complete, and how secrets are stored."""

import base64
import time
from typing import Any, cast
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.contrib.auth import authenticate
from django.db import transaction
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from qrcode import QRCode

from accounts.actions.sign_in import end_sessions, set_password, tell_sign_in
from accounts.models import User
from accounts.second_factor import password_was_right
from accounts.sessions import note_beginning
from accounts.sign_in import FIVE_MINUTES, SIGNED_IN_AT, counted_guess, failed, signed_in_within
from promptforge.lib import sealing

_PROVED = "password_proved"
_PLACE = "mfa_authenticator:secret"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Its words for what goes wrong are in our forms and templates."""

    def is_ajax(self, request: HttpRequest) -> bool:
        """No: allauth would answer forms as JSON, a second door for the same things."""
        return False

    def is_safe_url(self, url: str) -> bool:
        """Whether somebody may be led there after a sign-in: to a path of this server, and nowhere else."""
        return url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: our pages say themselves what was done."""

    # --- Password, then second factor, then signed in ----------------------------------------------------------------
    def get_login_stages(self) -> list[str]:
        return ["allauth.mfa.stages.AuthenticateStage"]

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User:
        counted = counted_guess(request, credentials["email"])
        user: Any = authenticate(request, **credentials)
        if user is None:
            raise failed("E-mail and password do not match.", counted)
        password_was_right(user, counted)
        return cast("User", user)

    def pre_login(self, request: HttpRequest, user: User, **_: Any) -> None:
        """The password was right. A key of a session that somebody else knew beforehand is worth nothing from here."""
        request.session.cycle_key()
        request.session[_PROVED] = user.get_session_auth_hash()

    def login(self, request: HttpRequest, user: User) -> None:
        """Everything that is asked for was right, unless the password was replaced while the code was waited for."""
        proved = request.session.pop(_PROVED, "")
        if not user.is_active or not constant_time_compare(proved, user.get_session_auth_hash()):
            raise ImmediateHttpResponse(HttpResponseRedirect(reverse("account_login")))
        steps = get_authentication_records(request, user)
        with transaction.atomic():
            super().login(request, user)
            note_beginning(request)
            request.session[SIGNED_IN_AT] = time.time()
            tell_sign_in(user=user, factor=steps[-1].get("type", "password"))

    def logout(self, request: HttpRequest) -> None:
        user: Any = request.user
        end_sessions(user=user, by=user, only=request.session.session_key or "")
        super().logout(request)

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        return reverse("home")

    # --- A sign-in that is recent enough -----------------------------------------------------------------------------
    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        return [{"id": "reauthenticate", "description": "", "url": reverse("account_reauthenticate")}]

    def is_reauthentication_required(self, *, app: str, **_: Any) -> bool:
        return not signed_in_within(self.request, FIVE_MINUTES)

    def set_password(self, user: User, password: str) -> None:
        by: Any = self.request.user if self.request.user.is_authenticated else user
        set_password(user=user, password=password, by=by, but=self.request.session.session_key)


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    def encrypt(self, text: str) -> str:
        return base64.b64encode(sealing.seal(text, _PLACE)).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return sealing.unseal(base64.b64decode(encrypted_text), _PLACE)

    def get_totp_issuer(self) -> str:
        return f"PromptForge {urlsplit(settings.ORIGIN).netloc}"

    def build_totp_svg(self, url: str) -> SafeString:
        """The code that the app reads, dark on light in every theme; drawn into the page, which loads no `data:`."""
        code = QRCode(border=4)
        code.add_data(url)
        rows = code.get_matrix()
        dark = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, module in enumerate(row) if module)
        return format_html(
            '<svg class="qr" viewBox="0 0 {size} {size}" role="img" aria-label="QR code for the app">'
            '<path fill="#fff" d="M0 0h{size}v{size}H0z"/><path fill="#000" d="{dark}"/></svg>',
            size=len(rows),
            dark=dark,
        )
