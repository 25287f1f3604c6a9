"""The few pages that belong to no app: the first page, the list of refusals, and health."""

import secrets

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from accounts.models import Project, User
from promptforge import __version__
from promptforge.lib import metrics as counted
from promptforge.lib import readiness
from promptforge.lib.codes import CODES
from promptforge.lib.page_tags import THEMES


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """For members the inbox of their first project; for others what PromptForge is, and how one begins."""
    if isinstance(request.user, User) and (mine := Project.objects.of_member(request.user).order_by("name").first()):
        return redirect("inbox", mine.name)
    if not User.objects.exists():
        return redirect("welcome")
    return render(request, "home.html", {"address": f"{request.scheme}://{request.get_host()}"})


@require_safe
def errors(request: HttpRequest) -> HttpResponse:
    """Every code that an answer can carry; a problem's `type` points here."""
    codes = sorted((code.status, name, code.title, code.mend.split("`")) for name, code in CODES.items())
    return render(request, "errors.html", {"codes": codes})


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep in this browser which theme is shown; nothing chosen means the system's."""
    following = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(following, {request.get_host()}, require_https=request.is_secure()):
        following = "/"
    response = HttpResponseRedirect(following)
    if (chosen := request.POST.get("theme")) in THEMES:
        a_year = 365 * 24 * 3600
        secure = settings.SESSION_COOKIE_SECURE
        response.set_cookie("theme", chosen, max_age=a_year, secure=secure, httponly=True, samesite="Lax")
    else:
        response.delete_cookie("theme")
    return response


_TOKENS = (
    *("canvas", "surface", "sunken", "line", "line-strong", "ink", "ink-2", "ink-3"),
    *("accent", "success", "warning", "danger", "info", "variable-ink"),
)
_CHECKS = [
    {"conclusion": conclusion, "title": title, "word": word, "summary": summary}
    for conclusion, title, word, summary in (
        ("waiting", "Review", "1 of 2", "Waits for one more person who did not write it."),
        ("stale", "Review by Ben", "Out of date", "He approved version 13."),
        ("running", "Evaluation", "Running", "214 of 400 answers, about 2 minutes left."),
        ("passed", "Up to date", "Passed", "Compared with version 12, which is still live."),
        ("failed", "Variables", "Failed", "checkout-web does not send order_number."),
        ("advice", "Hidden text", "Advice", "One zero-width space on line 3."),
        ("not_required", "Canary", "Not required", "Stable does not ask for one."),
        ("waived", "Freeze", "Waived", "Cleo, 20 Nov: “Refund law changes at midnight.”"),
    )
]


@require_safe
def styleguide(request: HttpRequest) -> HttpResponse:
    """Every component in every state, on made-up content."""
    return render(request, "styleguide.html", {"tokens": _TOKENS, "checks": _CHECKS})


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
