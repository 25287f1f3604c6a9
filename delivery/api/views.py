"""The serving half of the REST API: fetch, render and list prompts."""

from datetime import datetime
from typing import Any

from django.db.models import Prefetch
from django.http import HttpResponse
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
    inline_serializer,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.door import DoorView
from accounts.roles import Permission
from delivery.fetching import LONGEST_USER, Payload, document_answer, read_query, served_body
from delivery.limits import FETCHES
from promptforge.lib.answers import Header
from promptforge.lib.errors import DomainError
from promptforge.lib.instants import parse_instant
from promptforge.lib.json import canonical_json
from promptforge.lib.pagination import PARAMETERS as PAGE_PARAMETERS
from promptforge.lib.pagination import page
from promptforge.lib.rest import Flag, StrictSerializer, Text, http_response, refuse_unknown_parameters, set_headers
from promptforge.lib.verdicts import require
from prompts.api.schemas import PROBLEM, PromptShape, ServedShape
from prompts.api.views import CreatePromptView, PromptView
from prompts.models import Head, Prompt, PromptVersion
from prompts.reading import find_channel, find_prompt, resolve
from prompts.resolving import Resolved
from prompts.selectors import Selector, parse_selector
from prompts.shapes import prompt_shape

LARGEST_DOCUMENT = 64 * 1024 * 1024


class RenderRequest(StrictSerializer):
    version = Text(default="stable", help_text="`stable`, `latest`, any channel, or a version number.")
    user = Text(default=None, allow_null=True, max_length=LONGEST_USER, help_text="The stickiness key for rollouts.")
    at = Text(default=None, allow_null=True, help_text="RFC 3339: answer as the channel stood then.")
    variables = serializers.DictField(default=dict, help_text="A value for each variable, with its JSON type.")
    messages = serializers.DictField(default=dict, help_text="A list of messages for each placeholder of a chat.")
    strict = Flag(default=False, help_text="An unknown variable is an error.")


_PARAMETERS = [
    OpenApiParameter("_version", str, description="`stable` (default), `latest`, any channel, or a version number."),
    OpenApiParameter("_user", str, description="The stickiness key for rollouts, at most 256 characters."),
    OpenApiParameter("_at", str, description="RFC 3339 instant: answer as this channel stood then."),
    OpenApiParameter("_render", str, enum=["0", "1"], description="Default: render when any variable is given."),
    OpenApiParameter("_strict", str, enum=["0", "1"], description="`1`: an unknown variable is an error."),
]


_LISTED = PolymorphicProxySerializer("Listed", [PromptShape, ServedShape], resource_type_field_name=None, many=True)
_PROMPTS = inline_serializer("PromptPage", {"data": _LISTED, "next": serializers.CharField(allow_null=True)})


class BucketView(DoorView):
    """What is called with a key is counted in a class of its own, and the answer says what is left."""

    buckets = FETCHES
    left: tuple[Header, ...] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.principal.key is not None and self.counts(request.method):
            bucket = self.buckets.of(self.principal.key)
            taken, self.left = bucket.take()
            if not taken:
                raise self.buckets.refusal(bucket)

    def counts(self, method: str | None) -> bool:
        return method in self.reading

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        set_headers(final, self.left)
        return final


class FetchView(BucketView, PromptView):
    """One prompt, as its callers get it."""

    reading = ("GET", "HEAD", "OPTIONS", "POST")  # POST renders

    @extend_schema(
        operation_id="fetch_prompt",
        parameters=[*_PARAMETERS, OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER)],
        responses={200: ServedShape, 304: OpenApiResponse(description="Not modified."), **PROBLEM},
        description="Every query parameter that does not start with `_` is a variable.",
    )
    def get(self, request: Request, name: str) -> HttpResponse:
        require(self.principal.may_somewhere(Permission.READ))
        asked = read_query((key, text) for key, texts in request.query_params.lists() for text in texts)
        at = None if asked.at is None else parse_instant(asked.at, "_at")
        return http_response(self._payload(name, asked.selector, at).answer(asked, if_none_match(request)))

    @extend_schema(operation_id="render_prompt", request=RenderRequest, responses={200: ServedShape, **PROBLEM})
    def post(self, request: Request, name: str) -> HttpResponse:
        require(self.principal.may_somewhere(Permission.READ))
        asked = RenderRequest.read(request)
        selector = parse_selector(asked["version"])
        at = None if asked["at"] is None else parse_instant(asked["at"], "at")
        payload = self._payload(name, selector, at)
        return http_response(payload.rendered(asked["variables"], asked["messages"], strict=asked["strict"]))

    def _payload(self, name: str, selector: Selector, at: datetime | None) -> Payload:
        require(self.principal.may_select(selector.word))
        resolved = resolve(self.principal, find_prompt(self.principal, name), selector, at)
        return Payload(resolved, pinned=selector.number is not None)


class PromptsView(BucketView, CreatePromptView):
    """All prompts that the caller may read; with `_version`, each with its payload in one document."""

    @extend_schema(
        operation_id="list_prompts",
        parameters=[
            OpenApiParameter("folder", str, description="Prompts below this folder."),
            OpenApiParameter("tag", str),
            OpenApiParameter("q", str, description="Part of the name or the description."),
            OpenApiParameter(
                "_version",
                str,
                description="Carry the payload of this selector; the answer is one document with an ETag.",
            ),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor", str),
        ],
        responses={200: _PROMPTS, 304: None, **PROBLEM},
    )
    def get(self, request: Request) -> HttpResponse | Response:
        require(self.principal.may_somewhere(Permission.READ))
        refuse_unknown_parameters(request, ("folder", "tag", "q", "_version", *PAGE_PARAMETERS))
        prompts = _filtered(Prompt.objects.visible_to(self.principal), request)
        if (selector := request.query_params.get("_version")) is not None:
            return self._document(request, prompts, parse_selector(selector))
        heads = (
            Head.objects.filter(release__isnull=False)
            .select_related("channel", "version", "release")
            .order_by("channel__position")
        )
        return Response(
            page(request, prompts.prefetch_related(Prefetch("heads", heads)), key="name", shape=prompt_shape)
        )

    def _document(self, request: Request, prompts: Any, selector: Selector) -> HttpResponse:
        require(self.principal.may_select(selector.word))
        if selector.channel is not None:
            find_channel(self.principal, selector.channel)
        data = [served_body(resolved) for resolved in _resolve_all(prompts, selector)]
        document = canonical_json({"data": data, "next": None}).encode()
        if len(document) > LARGEST_DOCUMENT:
            raise DomainError("too_large", "The document would exceed 64 MiB. Narrow it by folder.")
        return http_response(document_answer(document, if_none_match(request)))


def _resolve_all(prompts: Any, selector: Selector) -> list[Resolved]:
    """Each prompt's version under one selector, in a fixed number of queries; prompts without one are left out."""
    if selector.channel is not None:
        heads = Head.objects.filter(prompt__in=prompts, channel__name=selector.channel, version__isnull=False)
        found = heads.select_related("prompt", "channel", "version").order_by("prompt__name")
        return [Resolved(head.prompt, head.version, head.channel, head.revision) for head in found if head.version]
    if selector.number is not None:
        raise DomainError(
            "bad_version",
            "A list carries the payloads of a channel or of latest; numbers differ from prompt to prompt.",
        )
    newest = PromptVersion.objects.filter(prompt__in=prompts).order_by("prompt_id", "-number").distinct("prompt_id")
    return sorted(
        (Resolved(v.prompt, v) for v in newest.select_related("prompt")), key=lambda resolved: resolved.prompt.name
    )


def _filtered(prompts: Any, request: Request) -> Any:
    given = request.query_params
    if folder := given.get("folder"):
        prompts = prompts.filter(name__startswith=folder.rstrip("/") + "/")
    if tag := given.get("tag"):
        prompts = prompts.filter(tags__contains=[tag])
    if text := given.get("q"):
        prompts = prompts.filter(name__icontains=text) | prompts.filter(description__icontains=text)
    return prompts


def if_none_match(request: Request) -> bytes | None:
    tags: str | None = request.headers.get("If-None-Match")
    return None if tags is None else tags.encode("latin-1")
