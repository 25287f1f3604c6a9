"""Langfuse's REST API for prompts, as far as it reads: its public clients work when only the host is changed."""

import math
from collections import defaultdict
from dataclasses import replace
from datetime import datetime
from typing import Any, NoReturn

from django.db.models import Exists, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Greatest
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import BasicKeyAuthentication
from accounts.models import Project
from accounts.roles import Permission
from delivery import langfuse
from delivery.api.langfuse_schemas import LANGFUSE_REFUSALS, LangfuseListShape, LangfusePromptShape
from delivery.api.views import BucketView, if_none_match
from delivery.serving.snapshot import Known
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.instants import format_instant, parse_instant
from promptforge.lib.rest import http_response, refuse_unknown_parameters
from promptforge.lib.verdicts import require
from prompts.models import Channel, Head, Prompt, PromptVersion
from prompts.reading import find_prompt
from prompts.resolving import Live

DEFAULT_LIMIT, LARGEST_LIMIT = 10, 100
LARGEST_PAGE = 1_000_000
_FILTERS = ("name", "label", "tag", "page", "limit", "fromUpdatedAt", "toUpdatedAt")


class LangfuseView(BucketView):
    """What this door's views share: HTTP Basic with a key, and the word of where to write instead."""

    authentication_classes = (BasicKeyAuthentication,)

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> NoReturn:
        raise DomainError(
            "method_not_allowed",
            "This door, compatible with Langfuse's, reads only. Write by PromptForge's own API: POST /api/v1/prompts, "
            "POST /api/v1/versions, POST /api/v1/releases; /api/docs/ shows them all.",
        )


class LangfusePromptView(LangfuseView):
    """One version of a prompt, by number or label."""

    @extend_schema(
        operation_id="langfuse_get_prompt",
        tags=["langfuse"],
        parameters=[
            OpenApiParameter("version", int),
            OpenApiParameter("label", str, description="A channel, `production` (default) or `latest`."),
            OpenApiParameter("resolve", bool, description="false: the source as it was typed."),
            OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER),
        ],
        responses={200: LangfusePromptShape, 304: OpenApiResponse(description="Not modified."), **LANGFUSE_REFUSALS},
    )
    def get(self, request: Request, name: str) -> HttpResponse:
        require(self.principal.may_somewhere(Permission.READ))
        asked = langfuse.read_query((key, text) for key, texts in request.query_params.lists() for text in texts)
        prompt = find_prompt(self.principal, name)
        [standing] = _standing([prompt])
        if (number := asked.selector.number) is not None and standing.may_have(number):
            standing.numbers[number] = PromptVersion(prompt=prompt, number=number)
        chosen = langfuse.choose(self.principal, asked.selector, standing)
        whole = prompt.versions.get(number=chosen.version.number)
        written = langfuse.write(replace(chosen, version=whole), standing, resolve=asked.resolve)
        return http_response(written.unless(if_none_match(request)))


class LangfusePromptsView(LangfuseView):
    """Prompts with the numbers and labels of their versions, by name."""

    @extend_schema(
        operation_id="langfuse_list_prompts",
        tags=["langfuse"],
        parameters=[
            OpenApiParameter("name", str, description="Exactly this prompt."),
            OpenApiParameter("label", str, description="Versions that carry it."),
            OpenApiParameter("tag", str, description="Prompts that carry it."),
            OpenApiParameter("page", int, description="Counted from 1."),
            OpenApiParameter("limit", int, description="At most 100, by default 10."),
            OpenApiParameter("fromUpdatedAt", datetime, description="Versions saved or labelled at or after this."),
            OpenApiParameter("toUpdatedAt", datetime, description="Versions saved or labelled before this."),
        ],
        responses={200: LangfuseListShape, **LANGFUSE_REFUSALS},
    )
    def get(self, request: Request) -> Response:
        require(self.principal.may_somewhere(Permission.READ))
        refuse_unknown_parameters(request, _FILTERS)
        given = request.query_params.dict()
        page = _whole(given, "page", 1, LARGEST_PAGE)
        limit = _whole(given, "limit", DEFAULT_LIMIT, LARGEST_LIMIT)
        versions = _versions(self.principal.project, given)
        prompts = Prompt.objects.visible_to(self.principal).filter(Exists(versions.filter(prompt=OuterRef("pk"))))
        total = prompts.count()
        shown = list(prompts.order_by("name")[(page - 1) * limit : page * limit])
        meta = {"page": page, "limit": limit, "totalItems": total, "totalPages": math.ceil(total / limit)}
        return Response({"data": _entries(shown, versions), "meta": meta})


def _whole(given: dict[str, str], name: str, default: int, most: int) -> int:
    text = given.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 7 and 1 <= int(text) <= most):
        raise DomainError("bad_limit", f"{name} is a whole number from 1 to {most}, not {shorten(text)}.")
    return int(text)


def _versions(project: Project, given: dict[str, str]) -> QuerySet[Any]:
    """The versions that the filters let through, each with its `updated_at`."""
    moved = Head.objects.filter(version=OuterRef("pk")).order_by("-release__at").values("release__at")[:1]
    versions: QuerySet[Any] = PromptVersion.objects.annotate(updated_at=Greatest("created_at", Subquery(moved)))
    if name := given.get("name"):
        versions = versions.filter(prompt__name=name)
    if tag := given.get("tag"):
        versions = versions.filter(prompt__tags__contains=[tag])
    if label := given.get("label"):
        versions = _labelled(versions, project, label)
    if since := given.get("fromUpdatedAt"):
        versions = versions.filter(updated_at__gte=parse_instant(since, "fromUpdatedAt"))
    if until := given.get("toUpdatedAt"):
        versions = versions.filter(updated_at__lt=parse_instant(until, "toUpdatedAt"))
    return versions


def _labelled(versions: QuerySet[Any], project: Project, label: str) -> QuerySet[Any]:
    if label == langfuse.LATEST:
        return versions.filter(number=F("prompt__next_number") - 1)
    channels = set(Channel.objects.filter(project=project).values_list("name", flat=True))
    name = "stable" if label == langfuse.PRODUCTION and label not in channels else label
    return versions.filter(Exists(Head.objects.filter(version=OuterRef("pk"), channel__name=name)))


def _entries(prompts: list[Prompt], versions: QuerySet[Any]) -> list[dict[str, Any]]:
    """One for each prompt, about its versions that the filters let through; none, if a label has just left it."""
    found: dict[int, list[Any]] = defaultdict(list)
    for version in versions.filter(prompt__in=prompts).order_by("number").only("prompt", "number"):
        found[version.prompt_id].append(version)
    newest = PromptVersion.objects.filter(pk__in=[theirs[-1].pk for theirs in found.values()])
    configs = {version.prompt_id: version.config_object for version in newest.only("prompt", "config")}
    return [
        _entry(standing, found[standing.prompt.pk], configs[standing.prompt.pk])
        for standing in _standing([prompt for prompt in prompts if prompt.pk in found])
    ]


def _entry(standing: Known, versions: list[Any], config: dict[str, Any]) -> dict[str, Any]:
    labels = {label for version in versions for label in langfuse.labels_of(version.number, standing)}
    return {
        "name": standing.prompt.name,
        "type": standing.prompt.type,
        "versions": [version.number for version in versions],
        "labels": sorted(labels),
        "tags": standing.prompt.tags,
        "lastUpdatedAt": format_instant(max(version.updated_at for version in versions)),
        "lastConfig": config,
    }


def _standing(prompts: list[Prompt]) -> list[Known]:
    """Each prompt with its channels, in one query. Numbers have no gaps, so which versions there are is known."""
    heads: dict[int, dict[str, Live]] = defaultdict(dict)
    rows = Head.objects.filter(prompt__in=prompts).select_related("channel", "version", "release")
    for head in rows.only("prompt", "revision", "channel__name", "version__number", "release__at"):
        heads[head.prompt_id][head.channel.name] = Live(head.channel, head.revision, head.version, head.release)
    return [
        Known(prompt, PromptVersion(prompt=prompt, number=prompt.next_number - 1), heads[prompt.pk])
        for prompt in prompts
    ]
