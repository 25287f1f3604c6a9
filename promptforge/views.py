"""The few pages that belong to no app: the first page, the list of refusals, and health."""

import secrets

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from promptforge import __version__
from promptforge.lib import metrics as counted
from promptforge.lib import readiness
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
    """The process can serve: 503 when a check failed; one that is `degraded` serves on."""
    checks = readiness.checks()
    ready = all(check.state != "failed" for check in checks)
    says = [f"{check.name}: {sentence}" for check in checks for sentence in check.says]
    body = {"ready": ready, "checks": {check.name: check.state for check in checks}, "says": says}
    response = JsonResponse(body, status=200 if ready else 503, json_dumps_params={"indent": 1})
    response["Cache-Control"] = "no-store"
    return response


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The counts of all processes for Prometheus, for whoever has the token; without a token, in development only."""
    token = settings.METRICS_TOKEN
    if not token and settings.PRODUCTION:
        raise Http404
    given = request.headers.get("Authorization", "")
    if token and not secrets.compare_digest(given.encode(), f"Bearer {token}".encode()):
        response = HttpResponse("Send `Authorization: Bearer` with PROMPTFORGE_METRICS_TOKEN.\n", "text/plain", 401)
        response["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return response
    checks = [(check.name, check.state == "ok") for check in readiness.checks()]
    text = counted.exposition(version=__version__, checks=checks)
    return HttpResponse(text, counted.CONTENT_TYPE, headers={"Cache-Control": "no-store"})
