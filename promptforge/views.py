"""The few pages that belong to no app: the first page, the list of refusals, and health."""

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from promptforge.lib import guards
from promptforge.lib.codes import CODES


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "home.html", {"address": f"{request.scheme}://{request.get_host()}"})


@require_safe
def errors(request: HttpRequest) -> HttpResponse:
    """Every code that an answer can carry; a problem's `type` points here."""
    codes = sorted((code.status, name, code.title, code.mend.split("`")) for name, code in CODES.items())
    return render(request, "errors.html", {"codes": codes})


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """The process can serve: the database answers, and its guards are the shipped ones."""
    try:
        with connection.cursor() as cursor:
            missing = list(guards.differences(cursor))
    except DatabaseError:
        missing = ["The database does not answer."]
    return JsonResponse({"ready": not missing, "missing": missing}, status=503 if missing else 200)
