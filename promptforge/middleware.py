"""What every request passes through: an id, so that an answer and a log line can be brought together."""

import re
import secrets
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

_FORM = re.compile(r"^[A-Za-z0-9._-]{1,64}$")


class RequestId:
    """Takes the caller's `X-Request-ID` when it has a harmless form, or makes one, and sends it back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _FORM.match(given) else secrets.token_hex(8)
        request.META["promptforge.request_id"] = request_id
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        return response
