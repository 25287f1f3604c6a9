"""What every REST door shares: the strict parser, the canonical writer, strict serializers and problem+json."""

import logging
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.db import DatabaseError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions, serializers
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from promptforge.lib.answers import Answer, Header, refusal_answer
from promptforge.lib.error_pages import error_page
from promptforge.lib.errors import CODES, DomainError, Fault, shorten
from promptforge.lib.json import MAX_BYTES, canonical_json, parse_object, pointer
from promptforge.lib.refusals import explain

log = logging.getLogger("promptforge.api")


# --- Bodies ----------------------------------------------------------------------------------------------------------
class StrictJSONParser(BaseParser):
    """Reads a JSON object by the one strict parser of all doors."""

    media_type = "application/json"
    max_bytes = MAX_BYTES

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        assert parser_context is not None
        request: HttpRequest = parser_context["request"]._request  # noqa: SLF001  it keeps a body that was read already
        encoding = request.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            raise DomainError(
                "encoding_not_supported", f"Send the body without Content-Encoding; {shorten(encoding)} is not read."
            )
        try:
            body = request.body
        except RequestDataTooBig:
            raise DomainError("body_too_large", f"The body is larger than {self.max_bytes:,} bytes.") from None
        return self.read(body)

    def read(self, body: bytes) -> Any:
        return parse_object(body, max_bytes=self.max_bytes)


class CanonicalJSONRenderer(BaseRenderer):
    """Writes JSON compactly, keys in the order given: the same answer is always the same bytes."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return b"" if data is None else canonical_json(data).encode()


class Text(serializers.CharField):
    """A string kept byte for byte: nothing is trimmed, and a number is not turned into one."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("allow_blank", True)
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("A string is expected here.", code="string_expected")
        return data


class Whole(serializers.IntegerField):
    """An integer as JSON writes it; neither "7" nor 7.0 nor true is one."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            raise serializers.ValidationError("A whole number is expected here.", code="bad_value")
        return int(super().to_internal_value(data))


class Flag(serializers.BooleanField):
    """true or false as JSON writes them; neither "true" nor 1 is one."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError("true or false is expected here.", code="bad_value")
        return data


class StrictSerializer(serializers.Serializer[Any]):
    """A request's shape: unknown, read-only, missing and misfitting fields are refused, each with its pointer.

    `shown_only` names fields that answers show and requests may not set.
    """

    shown_only: tuple[str, ...] = ()

    def to_internal_value(self, data: Any) -> Any:
        faults = []
        for name in data:
            where = pointer(name)
            if name in self.shown_only:
                faults.append(Fault(where, "read_only_field", f"{name} is set by PromptForge. Leave it out."))
            elif name not in self.fields:
                known = ", ".join(self.fields)
                faults.append(Fault(where, "unknown_field", f"{shorten(name)} is not a field here. Known: {known}."))
        if faults:
            raise_faults(faults)
        return super().to_internal_value(data)

    @classmethod
    def read(cls, request: Request) -> dict[str, Any]:
        """The request's body in this shape, or a refusal."""
        refuse_unknown_parameters(request, ())
        if request.stream is None:
            raise DomainError("body_required", "The request has no body; send a JSON document.")
        serializer = cls(data=request.data)
        try:
            serializer.is_valid(raise_exception=True)
        except serializers.ValidationError as error:
            raise_faults(list(_faults(error.detail, "")))
        validated: dict[str, Any] = serializer.validated_data
        return validated


_FIELD_CODES = {
    "required": "field_required",
    "null": "bad_value",
    "invalid": "bad_value",
    "not_a_dict": "object_expected",
    "not_a_list": "list_expected",
}


# Where the framework's own sentence does not say how to mend it.
_SENTENCES = {
    "required": "The field is missing. Add it.",
    "null": "null is not allowed here. Give a value, or leave the field out.",
    "empty": "The list is empty. Name at least one.",
    "not_a_dict": "A JSON object is expected here.",
    "not_a_list": "A JSON list is expected here.",
}


class Choice(serializers.ChoiceField):
    """One of a few words; the refusal lists them."""

    def fail(self, key: str, **kwargs: Any) -> NoReturn:
        if key == "invalid_choice":
            known = ", ".join(str(choice) for choice in self.choices)
            raise serializers.ValidationError(f"{shorten(kwargs['input'])} is none of: {known}.", code="bad_value")
        super().fail(key, **kwargs)


def _faults(detail: Any, where: str) -> list[Fault]:
    if isinstance(detail, Mapping):
        return [fault for name, inner in detail.items() for fault in _faults(inner, f"{where}/{name}")]
    if isinstance(detail, list):
        return [fault for inner in detail for fault in _faults(inner, where)]
    code = _FIELD_CODES.get(detail.code, detail.code if detail.code in CODES else "bad_value")
    return [Fault(where, code, _SENTENCES.get(detail.code, str(detail)))]


def raise_faults(faults: list[Fault]) -> NoReturn:
    first = faults[0]
    raise DomainError(first.code, f"{first.pointer}: {first.detail}" if first.pointer else first.detail, faults)


def refuse_unknown_parameters(request: Request, known: tuple[str, ...]) -> None:
    """Refuse every query parameter that is not known, and any that stands twice."""
    for name, values in request.query_params.lists():
        if name not in known:
            raise DomainError(
                "unknown_parameter", f"{shorten(name)} is not a parameter here. Known: {', '.join(known) or 'none'}."
            )
        if len(values) > 1:
            raise DomainError("unknown_parameter", f"{name} stands twice in the address. Give it once.")


_FAULT_OF_OURS = DomainError(
    "server_error", "The request failed through a fault of ours. Nothing was written. Quote the request id."
)


# --- Refusals --------------------------------------------------------------------------------------------------------
def problem(request: HttpRequest, error: DomainError) -> HttpResponse:
    """The answer for a refusal, in the form of the door that was asked."""
    return http_response(refusal_answer(error, request.META.get("promptforge.request_id", ""), request.path))


def http_response(answer: Answer) -> HttpResponse:
    """The answer as Django sends it."""
    response = HttpResponse(answer.body, status=answer.status)
    del response["Content-Type"]
    set_headers(response, answer.headers)
    return response


def set_headers(response: Any, headers: Iterable[Header]) -> None:
    for name, value in headers:
        response[name.decode("latin-1")] = value.decode("latin-1")


def problem_response(exc: Exception, context: Mapping[str, Any]) -> Any:
    """DRF's exception handler: every failure of a view becomes a problem, and the transaction is undone."""
    request: Request = context["request"]
    error = translate(exc)
    if error is None:
        log.error("unhandled in %s", request.path, exc_info=exc)
        error = _FAULT_OF_OURS
    if transaction.get_connection().in_atomic_block:
        transaction.set_rollback(True)
    response = problem(request._request, error)  # noqa: SLF001  the plain request carries the id
    if isinstance(exc, exceptions.MethodNotAllowed) and (allowed := context["view"].allowed_methods):
        response["Allow"] = ", ".join(allowed)
    return response


def translate(exc: Exception) -> DomainError | None:
    """The refusal that an exception of Django, DRF or the database stands for; None when it is a fault of ours."""
    if isinstance(exc, DomainError):
        return exc
    if isinstance(exc, DatabaseError):
        return explain(exc)
    if isinstance(exc, Http404):
        return DomainError("not_found", "There is nothing at this address.")
    if isinstance(exc, PermissionDenied | exceptions.PermissionDenied):
        return DomainError("forbidden", "Your role does not allow this.")
    if isinstance(exc, exceptions.APIException | SuspiciousOperation):
        return _of_framework(exc)
    return None


def _of_framework(exc: Exception) -> DomainError:
    if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return DomainError("not_authenticated", "Send an API key as `Authorization: Bearer …`, or sign in.")
    if isinstance(exc, exceptions.MethodNotAllowed):
        return DomainError(
            "method_not_allowed", "This address does not take that method; the Allow header lists what it takes."
        )
    if isinstance(exc, exceptions.UnsupportedMediaType):
        return DomainError("unsupported_media_type", "Send the body as application/json.")
    if isinstance(exc, exceptions.NotAcceptable):
        return DomainError("not_acceptable", "Answers are application/json; ask for that or for */*.")
    if isinstance(exc, TooManyFieldsSent):
        return DomainError("bad_request", "The address has more than 1,000 parameters. No call takes that many.")
    return DomainError("bad_request", "The request could not be read.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's answer to a missing CSRF token, as a problem for the API and as a page for a browser."""
    error = DomainError("csrf_failed", "The form's protection token is missing or old. Load the page again and repeat.")
    if request.path.startswith("/api/"):
        return problem(request, error)
    return error_page(request, 403, f"{error.detail} What you typed is still in the page before this one.")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's own 400, for what is refused ahead of every view: an unknown host, for instance."""
    if request.path.startswith("/api/"):
        return problem(request, DomainError("bad_request", "The request could not be read: its host is not ours."))
    return error_page(request, 400)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's own 500, for what fails ahead of every view, and for a page while the database is gone."""
    if request.path.startswith("/api/"):
        return problem(request, _FAULT_OF_OURS)
    error = sys.exception()
    refusal = translate(error) if isinstance(error, DatabaseError) else None
    return error_page(request, 500 if refusal is None else refusal.status)


__all__ = [
    "CanonicalJSONRenderer",
    "Flag",
    "Response",
    "StrictJSONParser",
    "StrictSerializer",
    "Text",
    "Whole",
    "problem",
]
