"""The serving half of the REST API: fetch, render and list prompts."""

import hashlib
from datetime import datetime
from typing import Any

from django.db.models import Prefetch
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.policies import Principal
from accounts.roles import Permission
from delivery.receipts import Receipt, write_receipt
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.instants import parse_instant
from promptforge.lib.json import canonical_json
from promptforge.lib.pagination import PARAMETERS as PAGE_PARAMETERS
from promptforge.lib.pagination import page
from promptforge.lib.rest import Flag, StrictSerializer, Text, refuse_unknown_parameters
from promptforge.lib.verdicts import require
from prompts import templating
from prompts.api.schemas import PROBLEM, PromptShape, ServedShape, page_of
from prompts.api.views import CreatePromptView, PromptView
from prompts.models import Head, Prompt, PromptVersion
from prompts.reading import Resolved, find_channel, find_prompt, resolve
from prompts.selectors import Selector, parse_selector
from prompts.shapes import digest_text, prompt_shape

FETCH_PARAMETERS = ("_version", "_user", "_at", "_render", "_strict")
LONGEST_USER = 256
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


class FetchView(PromptView):
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
        given = _single_values(request)
        selector, at = parse_selector(given.get("_version", "stable")), given.get("_at")
        _check_user(given.get("_user"))
        render, strict = _flag(given, "_render"), _flag(given, "_strict")
        values: dict[str, Any] = {key: text for key, text in given.items() if not key.startswith("_")}
        resolved = _resolve(self.principal, name, selector, None if at is None else parse_instant(at, "_at"))
        body = served_body(resolved)
        if render or (render is None and values):
            declared = {declaration["name"]: declaration for declaration in body["variables"]}
            values = {key: templating.parse_query_value(text, declared.get(key)) for key, text in values.items()}
            body = rendered_body(body, values, {}, strict=bool(strict))
        return _answer(request, body, selector)

    @extend_schema(operation_id="render_prompt", request=RenderRequest, responses={200: ServedShape, **PROBLEM})
    def post(self, request: Request, name: str) -> HttpResponse:
        require(self.principal.may_somewhere(Permission.READ))
        asked = RenderRequest.read(request)
        selector = parse_selector(asked["version"])
        at = None if asked["at"] is None else parse_instant(asked["at"], "at")
        resolved = _resolve(self.principal, name, selector, at)
        body = rendered_body(served_body(resolved), asked["variables"], asked["messages"], strict=asked["strict"])
        return _answer(request, body, selector)


class PromptsView(CreatePromptView):
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
        responses={200: page_of(PromptShape), **PROBLEM},
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
        return _conditional(request, document, "private, no-cache")


def _resolve(principal: Principal, name: str, selector: Selector, at: datetime | None) -> Resolved:
    require(principal.may_select(selector.word))
    return resolve(principal, find_prompt(principal, name), selector, at)


def served_body(resolved: Resolved) -> dict[str, Any]:
    """What a fetch answers, unrendered: the same for the same state."""
    version, channel = resolved.version, resolved.channel
    receipt = Receipt(
        resolved.prompt.project_id,
        resolved.prompt.pk,
        version.pk,
        None if channel is None else channel.pk,
        resolved.revision,
        None,
    )
    return {
        "name": resolved.prompt.name,
        "version": version.number,
        "channel": None if channel is None else channel.name,
        "revision": resolved.revision,
        "type": version.type,
        "content": version.served_content,
        "rendered": False,
        "variables": version.variable_list,
        "config": version.config_object,
        "digest": digest_text(version.digest),
        "arm": None,
        "receipt": write_receipt(receipt),
    }


def rendered_body(
    body: dict[str, Any], values: dict[str, Any], messages: dict[str, Any], *, strict: bool
) -> dict[str, Any]:
    content, unused = templating.render(body["content"], body["variables"], values, messages, strict=strict)
    return body | {"content": content, "rendered": True, "unused": unused}


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


def _single_values(request: Request) -> dict[str, str]:
    """The query's parameters, each given once; those that begin with `_` must be ours."""
    values = {}
    for name, given in request.query_params.lists():
        if name.startswith("_") and name not in FETCH_PARAMETERS:
            raise DomainError(
                "unknown_parameter", f"{shorten(name)} is not a parameter here. Ours: {', '.join(FETCH_PARAMETERS)}."
            )
        if len(given) > 1:
            raise DomainError("unknown_parameter", f"{shorten(name)} stands twice in the address. Give it once.")
        values[name] = given[0]
    return values


def _flag(given: dict[str, str], name: str) -> bool | None:
    value = given.get(name)
    if value not in (None, "0", "1"):
        raise DomainError("bad_value", f"{name} is 1 or 0, not {shorten(value)}.")
    return None if value is None else value == "1"


def _check_user(user: str | None) -> None:
    if user is not None and len(user) > LONGEST_USER:
        raise DomainError("bad_value", f"_user has {len(user)} characters; {LONGEST_USER} are the most.")


def _answer(request: Request, body: dict[str, Any], selector: Selector) -> HttpResponse:
    pinned = selector.number is not None
    response = _conditional(
        request,
        canonical_json(body).encode(),
        "private, max-age=31536000, immutable" if pinned else "private, no-cache",
    )
    response["PromptForge-Version"] = str(body["version"])
    if body["channel"] is not None:
        response["PromptForge-Channel"] = body["channel"]
        response["PromptForge-Revision"] = str(body["revision"])
    return response


def _conditional(request: Request, body: bytes, cache_control: str) -> HttpResponse:
    """The body with its strong ETag, or 304 when the caller has these bytes already."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    known = [tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")]
    fresh = request.method in ("GET", "HEAD") and any(tag.removeprefix("W/") == etag or tag == "*" for tag in known)
    response = HttpResponse(status=304) if fresh else HttpResponse(body, content_type="application/json")
    if fresh:
        del response["Content-Type"]
    response["ETag"] = etag
    response["Cache-Control"] = cache_control
    response["Vary"] = "Authorization, Cookie, PromptForge-Project"
    return response
