"""What every request to Django passes through, whatever its door."""

from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse

from promptforge.lib import logs
from promptforge.lib.errors import DomainError
from promptforge.lib.request_ids import request_id
from promptforge.lib.rest import problem


class RequestId:
    """An id that brings an answer and a log line together.

    Takes the caller's `X-Request-ID` when it has a harmless form, or makes one, and sends it back.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.META["promptforge.request_id"] = request_id(request.headers.get("X-Request-ID", ""))
        with logs.bound(request_id=request.META["promptforge.request_id"]):
            response = self.get_response(request)
        response["X-Request-ID"] = request.META["promptforge.request_id"]
        if response.status_code == 304:
            del response["Content-Length"]  # it would have to be that of the whole answer
        return response


class ReadableAddress:
    """Refuses an address that holds NUL or is no UTF-8, which no door could look up, and a host that is not ours."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        query = unquote_to_bytes(request.META.get("QUERY_STRING", ""))
        if "\0" in request.path or b"\0" in query:
            return problem(
                request, DomainError("nul_not_allowed", "The address holds the NUL character (%00). Leave it out.")
            )
        if "\ufffd" in request.path or not _is_utf8(query):
            return problem(request, DomainError("invalid_utf8", "The address is not valid UTF-8, percent-encoded."))
        try:
            request.get_host()
        except DisallowedHost:
            sentence = (
                "PromptForge does not answer for this host. PROMPTFORGE_ALLOWED_HOSTS names those it answers for."
            )
            return problem(request, DomainError("bad_request", sentence))
        return self.get_response(request)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
