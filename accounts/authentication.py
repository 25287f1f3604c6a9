"""Who is asking: an API key or a signed-in person, and in which project."""

import base64
from typing import Any
from urllib.parse import unquote_plus

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.actions.api_keys import recognise_key
from accounts.models import ApiKey, Project, User
from accounts.policies import Principal
from promptforge.lib import logs
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.tokens import public_id_of

PROJECT_HEADER = "PromptForge-Project"


def refuse_key_in_url(path: str, query: str) -> None:
    """Refuse an address, decoded path and raw query, in which an API key stands: logs and histories keep it."""
    address = f"{path} {unquote_plus(query)}" if query else path
    if "pf_live_" in address or "pf_dev_" in address:
        raise DomainError(
            "key_in_url",
            "An API key in the address ends up in logs. Send it as `Authorization: Bearer …`, and revoke this one.",
        )


def bearer_token(header: str) -> str:
    """The text of the key in an Authorization header."""
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "bearer":
        raise DomainError("not_authenticated", "Send the API key as `Authorization: Bearer …`.")
    return text.strip()


def basic_key(header: str | None) -> str:
    """The text of the key in a Basic header: its public id is the user, the whole key the password."""
    scheme, _, coded = (header or "").partition(" ")
    try:
        user, colon, text = base64.b64decode(coded.strip(), validate=True).decode().partition(":")
    except ValueError:
        user, colon, text = "", "", ""
    if scheme.lower() != "basic" or not colon:
        raise DomainError(
            "not_authenticated",
            "Send HTTP Basic with an API key: its id (`pf_<env>_<id>_…`) as the user, the whole key as the password.",
        )
    if public_id_of(text) not in (None, user):
        raise DomainError("key_unknown", f"The user is not the id of this key. Send {public_id_of(text)} as the user.")
    return text


def not_signed_in() -> DomainError:
    return DomainError("not_authenticated", "Send an API key as `Authorization: Bearer …`, or sign in.")


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer pf_…`."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        refuse_key_in_url(request._request.path, request._request.META.get("QUERY_STRING", ""))  # noqa: SLF001
        header = request.headers.get("Authorization")
        if header is None:
            return None
        key = recognise_key(bearer_token(header))
        return key.service_account, key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class BasicKeyAuthentication(KeyAuthentication):
    """HTTP Basic with a key, as Langfuse's clients send it; nobody gets in by a session."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey]:
        refuse_key_in_url(request._request.path, request._request.META.get("QUERY_STRING", ""))  # noqa: SLF001
        key = recognise_key(basic_key(request.headers.get("Authorization")))
        return key.service_account, key

    def authenticate_header(self, request: Request) -> str:
        return "Basic"


class SessionAuthentication(BaseAuthentication):
    """A person who signed in in the browser; what changes something needs the CSRF token."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        user = getattr(request._request, "user", None)  # noqa: SLF001  Django's middleware put the person there
        if not isinstance(user, User) or not user.is_active:
            return None
        self._check_csrf(request._request)  # noqa: SLF001
        return user, None

    @staticmethod
    def _check_csrf(request: HttpRequest) -> None:
        check = CsrfViewMiddleware(lambda _: HttpResponse())
        check.process_request(request)
        if check.process_view(request, HttpResponse, (), {}) is not None:
            raise DomainError("csrf_failed", "Send the CSRF token as X-CSRFToken with what changes something.")


class SignedIn(BasePermission):
    """Lets nobody in who is not signed in."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(request.user, User):
            raise not_signed_in()
        if isinstance(request.auth, ApiKey):
            logs.bind(principal="key", principal_id=request.auth.public_id)
        else:
            logs.bind(principal="person", principal_id=request.user.pk)
        return True


class Authenticated(SignedIn):
    """Besides, settles in which project the request acts (`view.principal`)."""

    def has_permission(self, request: Request, view: Any) -> bool:
        super().has_permission(request, view)
        view.principal = principal_of(request)
        logs.bind(project=view.principal.project.name)
        return True


def caller_of(request: Request) -> tuple[User, ApiKey | None]:
    """Who asks, and with which key."""
    assert isinstance(request.user, User)
    return request.user, request.auth if isinstance(request.auth, ApiKey) else None


def principal_of(request: Request) -> Principal:
    """A key acts in its own project; a person names one by header, unless in exactly one."""
    (user, key), named = caller_of(request), request.headers.get(PROJECT_HEADER)
    if key is not None:
        if named is not None and named != key.project.name:
            raise _no_project(named)
        return Principal(user, key.project, key)
    projects = Project.objects.of_member(user)
    if named is not None:
        project = projects.filter(name=named).first()
        if project is None:
            raise _no_project(named)
        return Principal(user, project)
    mine = list(projects[:2])
    if len(mine) != 1:
        raise DomainError("project_required", f"Name the project in the header {PROJECT_HEADER}.")
    return Principal(user, mine[0])


def _no_project(name: str) -> DomainError:
    return DomainError("project_not_found", f"There is no project {shorten(name)} within reach.")


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "accounts.authentication.KeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "pf_<env>_<id>_<secret>"}


class BasicKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "accounts.authentication.BasicKeyAuthentication"
    name = "basic"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "basic"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "accounts.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
