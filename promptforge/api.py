"""/api/v1: every door of the REST API, and its schema."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from promptforge.lib.errors import DomainError
from promptforge.lib.rest import problem


def nothing_here(request: HttpRequest) -> HttpResponse:
    return problem(
        request, DomainError("not_found", "There is nothing at this address. /api/docs/ lists what there is.")
    )


# Swagger's page styles itself inline and draws its icons from data: addresses; nothing else is relaxed.
_DOCS_CSP: dict[str, list[str]] = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
    "img-src": [CSP.SELF, "data:"],
    "connect-src": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}

urlpatterns = [
    path("v1/schema", SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[]), name="schema"),
    path(
        "docs/",
        csp_override(_DOCS_CSP)(
            SpectacularSwaggerSplitView.as_view(
                url_name="schema",
                authentication_classes=[],
                permission_classes=[],
                http_method_names=["get", "head"],  # it has a page to show, and no words about itself
            )
        ),
        name="api-docs",
    ),
    path("v1/", include("accounts.api.urls")),
    path("v1/", include("prompts.api.urls")),
    path("v1/", include("delivery.api.urls")),
    re_path(r"", nothing_here),
]
