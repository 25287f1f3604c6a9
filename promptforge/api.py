"""/api/v1: every door of the REST API, and its schema."""

from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import conditional_page
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request

from promptforge.lib.errors import DomainError
from promptforge.lib.rest import problem


@csrf_exempt  # whoever asks is told so, with a token or without
def nothing_here(request: HttpRequest) -> HttpResponse:
    return problem(
        request, DomainError("not_found", "There is nothing at this address. /api/docs/ lists what there is.")
    )


class SchemaView(SpectacularAPIView):
    """The schema, which stays the same while the process runs: each of its forms is written once."""

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        """OpenAPI 3, as YAML or JSON by the Accept header."""
        assert request.accepted_renderer is not None
        kind: str = request.accepted_renderer.media_type
        answer = HttpResponse(_schema(kind), content_type=kind)
        answer["Cache-Control"] = "no-cache"  # it may be kept, and is asked after by its ETag
        return answer


@cache
def _schema(media_type: str) -> str | bytes:
    [renderer] = [each for each in SchemaView.renderer_classes if each.media_type == media_type]
    return renderer().render(SchemaView.generator_class().get_schema(public=True), renderer_context={})  # type: ignore[no-untyped-call]


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
    path(
        "v1/schema",
        conditional_page(SchemaView.as_view(authentication_classes=[], permission_classes=[])),
        name="schema",
    ),
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
    path("v1/", include("evaluations.api.urls")),
    path("v1/", include("delivery.api.urls")),
    path("public/v2/", include("delivery.api.langfuse_urls")),
    re_path(r"", nothing_here),
]
