"""What a browser is shown when there is no page to show."""

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

_SAYS = {
    400: ("This request cannot be read", "Go back and try again."),
    403: ("Your role does not allow this", "Somebody who administers the project can give you the role for it."),
    404: (
        "There is nothing at this address",
        "It was never here, or it lies outside of what you may see. Nothing was changed.",
    ),
    500: (
        "Something went wrong here",
        "It is a fault of PromptForge, and stands in its log. Nothing was changed. Drafts that were saved are kept.",
    ),
    503: (
        "PromptForge cannot answer just now",
        "Nothing was changed, and what your services fetch is not touched by this page. Try again in a moment.",
    ),
}


def error_page(request: HttpRequest, status: int, sentence: str = "") -> HttpResponse:
    """One of the error pages. It asks the database nothing, so that it can be shown without one."""
    title, usual = _SAYS.get(status, ("This was not done", ""))
    says = {
        "title": title,
        "sentence": sentence or usual,
        "status": status,
        "request": request,
        "request_id": request.META.get("promptforge.request_id", ""),
    }
    response = HttpResponse(render_to_string("error.html", says), status=status)
    response["Cache-Control"] = "no-store"
    if status == 503:
        response["Retry-After"] = "1"
    return response


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  the framework gives it
    return error_page(request, 404)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    return error_page(request, 403)
