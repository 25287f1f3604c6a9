"""The management half of the REST API about prompts: versions, diffs and the ledger."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.admission import idempotent
from accounts.api.door import DoorView
from accounts.policies import Principal
from accounts.roles import Permission
from accounts.sign_in import require_recent_sign_in
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.ids import decode
from promptforge.lib.pagination import PARAMETERS as PAGE_PARAMETERS
from promptforge.lib.pagination import page
from promptforge.lib.rest import Choice, Flag, StrictSerializer, Text, Whole, refuse_unknown_parameters
from promptforge.lib.verdicts import require
from prompts import diffing
from prompts.actions.lengths import LONGEST_NOTE, LONGEST_REASON, LONGEST_TAG, MOST_TAGS
from prompts.actions.prompts import change_prompt
from prompts.actions.releases import break_glass, promote, ratify, rollback
from prompts.actions.versions import create_prompt, save_version
from prompts.api.schemas import PROBLEM, DiffShape, PromptShape, ReleaseShape, VersionShape, page_of
from prompts.hidden_text import find_hidden
from prompts.models import Prompt, PromptVersion, Release
from prompts.models.releases import ReleaseKind
from prompts.reading import find_channel, find_prompt, find_version, resolve
from prompts.selectors import parse_reference
from prompts.shapes import prompt_shape, release_shape, released, releases_with_all, version_shapes

_PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor", str)]


class AnyContent(serializers.JSONField):
    """A string, or the list of messages of a chat; what is in it is checked when it is saved."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str | list):
            raise serializers.ValidationError(
                "A string is expected, or for a chat a list of messages.", code="string_expected"
            )
        return data


class VersionFields(StrictSerializer):
    content = AnyContent()
    config = serializers.DictField(required=False)
    variables = serializers.ListField(child=serializers.DictField(), required=False)
    message = Text(default="", max_length=LONGEST_REASON)


class NewPrompt(VersionFields):
    shown_only = ("number", "version", "author", "created_at", "digest", "latest", "channels", "archived", "id")
    name = Text()
    type = Text(default=None, allow_null=True)
    tags = serializers.ListField(child=Text(max_length=LONGEST_TAG), default=list, max_length=MOST_TAGS)
    description = Text(default="", max_length=LONGEST_NOTE)


class ChangedPrompt(StrictSerializer):
    shown_only = ("name", "type", "latest", "channels", "created_at")
    tags = serializers.ListField(child=Text(max_length=LONGEST_TAG), required=False, max_length=MOST_TAGS)
    description = Text(required=False, max_length=LONGEST_NOTE)
    archived = Flag(required=False)


class NewVersion(VersionFields):
    shown_only = ("number", "author", "created_at", "digest", "id", "ref", "source", "type", "includes")
    prompt = Text()
    base_version = Whole(required=False, min_value=0)


class NewRelease(StrictSerializer):
    shown_only = ("id", "revision", "previous_version", "canary", "promotion", "actor", "at", "digest")
    kind = Choice([ReleaseKind.PROMOTE, ReleaseKind.ROLLBACK, ReleaseKind.BREAK_GLASS])
    prompt = Text()
    channel = Text(default="stable")
    version = Whole(required=False, min_value=1, max_value=2_147_483_647)
    reason = Text(default="", max_length=LONGEST_REASON)
    expected_revision = Whole(required=False, min_value=0, max_value=2_147_483_647)


class CreatePromptView(DoorView):
    @extend_schema(operation_id="create_prompt", request=NewPrompt, responses={201: PromptShape, **PROBLEM})
    @idempotent
    def post(self, request: Request) -> Response:
        require(self.principal.may_somewhere(Permission.EDIT))
        prompt, _ = create_prompt(by=self.principal, **NewPrompt.read(request))
        return Response(prompt_shape(prompt), status=status.HTTP_201_CREATED)


class PromptView(DoorView):
    @extend_schema(operation_id="change_prompt", request=ChangedPrompt, responses={200: PromptShape, **PROBLEM})
    def patch(self, request: Request, name: str) -> Response:
        """Change the description, the tags, or whether it is archived."""
        require(self.principal.may_somewhere(Permission.EDIT))
        asked = ChangedPrompt.read(request)
        prompt = change_prompt(by=self.principal, prompt=find_prompt(self.principal, name, Permission.EDIT), **asked)
        return Response(prompt_shape(prompt))


class VersionsView(DoorView):
    @extend_schema(
        operation_id="list_versions",
        parameters=[OpenApiParameter("prompt", str, required=True), *_PAGE],
        responses={200: page_of(VersionShape), **PROBLEM},
    )
    def get(self, request: Request) -> Response:
        require(self.principal.may_somewhere(Permission.READ))
        refuse_unknown_parameters(request, ("prompt", *PAGE_PARAMETERS))
        prompt = find_prompt(self.principal, _wanted(request, "prompt"))
        versions = prompt.versions.select_related("prompt", "author").prefetch_related("author__api_keys")
        answer = page(request, versions, key="-number", shape=lambda version: version)
        return Response(answer | {"data": version_shapes(answer["data"])})

    @extend_schema(
        operation_id="save_version", request=NewVersion, responses={200: VersionShape, 201: VersionShape, **PROBLEM}
    )
    @idempotent
    def post(self, request: Request) -> Response:
        require(self.principal.may_somewhere(Permission.EDIT))
        asked = NewVersion.read(request)
        prompt = find_prompt(self.principal, asked.pop("prompt"), Permission.EDIT)
        saved = save_version(by=self.principal, prompt=prompt, **asked)
        [shape] = version_shapes([saved.version])
        return Response(shape, status=status.HTTP_201_CREATED if saved.created else status.HTTP_200_OK)


class VersionView(DoorView):
    @extend_schema(operation_id="get_version", responses={200: VersionShape, **PROBLEM})
    def get(self, request: Request, reference: str) -> Response:
        """A version by its reference (`support/greeting@8`, `@stable`, `@latest`) or its id."""
        require(self.principal.may_somewhere(Permission.READ))
        refuse_unknown_parameters(request, ())
        [shape] = version_shapes([_version(self.principal, reference)])
        return Response(shape)


class DiffView(DoorView):
    @extend_schema(
        operation_id="diff_versions",
        parameters=[OpenApiParameter("from", str, required=True), OpenApiParameter("to", str, required=True)],
        responses={200: DiffShape, **PROBLEM},
    )
    def get(self, request: Request) -> Response:
        """What changed between two versions, word by word."""
        require(self.principal.may_somewhere(Permission.READ))
        refuse_unknown_parameters(request, ("from", "to"))
        old, new = (_version(self.principal, _wanted(request, name)) for name in ("from", "to"))
        old_shape, new_shape = version_shapes([old, new])
        changes = diffing.diff_versions(old_shape, new_shape)
        return Response({"from": old_shape["ref"], "to": new_shape["ref"], **changes, "hidden": _hidden_text(new)})


class ReleasesView(DoorView):
    @extend_schema(
        operation_id="list_releases",
        parameters=[OpenApiParameter("prompt", str), OpenApiParameter("channel", str), *_PAGE],
        responses={200: page_of(ReleaseShape), **PROBLEM},
    )
    def get(self, request: Request) -> Response:
        """The ledger, newest first."""
        require(self.principal.may_somewhere(Permission.READ))
        refuse_unknown_parameters(request, ("prompt", "channel", *PAGE_PARAMETERS))
        releases = Release.objects.filter(prompt__in=Prompt.objects.visible_to(self.principal))
        if (name := request.query_params.get("prompt")) is not None:
            releases = releases.filter(prompt=find_prompt(self.principal, name))
        if (channel := request.query_params.get("channel")) is not None:
            releases = releases.filter(channel=find_channel(self.principal, channel))
        return Response(page(request, releases_with_all(releases), key="-id", shape=release_shape))

    @extend_schema(operation_id="make_release", request=NewRelease, responses={201: ReleaseShape, **PROBLEM})
    @idempotent
    def post(self, request: Request) -> Response:
        """Promote on an unprotected channel, roll back, or break glass."""
        require(_may_ask_to_move(self.principal))
        asked = NewRelease.read(request)
        prompt = find_prompt(self.principal, asked["prompt"], Permission.RELEASE)
        channel = find_channel(self.principal, asked["channel"])
        number, kind = asked.get("version"), asked["kind"]
        if kind == ReleaseKind.BREAK_GLASS and self.principal.key is None:
            require_recent_sign_in(request._request)  # noqa: SLF001  the session is the plain request's
        if number is None and kind != ReleaseKind.ROLLBACK:
            raise DomainError(
                "field_required", "/version: say which version goes live; only a rollback finds it itself."
            )
        version = None if number is None else find_version(prompt, number)
        move: dict[str, Any] = {"prompt": prompt, "channel": channel, "reason": asked["reason"]}
        move["expected_revision"] = asked.get("expected_revision")
        if kind == ReleaseKind.ROLLBACK:
            release = rollback(by=self.principal, version=version, **move)
        else:
            assert version is not None
            verb = promote if kind == ReleaseKind.PROMOTE else break_glass
            release = verb(by=self.principal, version=version, **move)
        return Response(release_shape(release), status=status.HTTP_201_CREATED)


def _hidden_text(version: PromptVersion) -> list[dict[str, Any]]:
    """Invisible and direction-changing characters of everything that the newer version serves, each with its place."""
    return [
        {"message": number, "where": where, **found}
        for number, where, text in version.served_texts
        for found in find_hidden(text)
    ]


class RatifyView(DoorView):
    @extend_schema(operation_id="ratify_release", request=None, responses={200: ReleaseShape, **PROBLEM})
    def post(self, request: Request, release_id: str) -> Response:
        """Say as a second person that a break-glass release was right."""
        require(self.principal.may_somewhere(Permission.READ))
        refuse_unknown_parameters(request, ())
        pk = decode("rel", release_id, "not_found")
        visible = Prompt.objects.visible_to(self.principal)
        release = Release.objects.select_related("prompt").filter(pk=pk, prompt__in=visible).first()
        if release is None:
            raise DomainError("not_found", "There is no such release within reach.")
        ratify(by=self.principal, release=release)
        return Response(release_shape(released(pk)))


def _may_ask_to_move(principal: Principal) -> Any:
    """A key needs its scope; of a person it is asked once prompt and channel are known."""
    return principal.may_somewhere(Permission.RELEASE if principal.key is not None else Permission.READ)


def _wanted(request: Request, name: str) -> str:
    value = request.query_params.get(name)
    if value is None:
        raise DomainError("field_required", f"Name the {name} in the address: ?{name}=…")
    return str(value)


def _version(principal: Principal, reference: str) -> PromptVersion:
    if "@" in reference:
        name, selector = parse_reference(reference)
        pk = resolve(principal, find_prompt(principal, name), selector).version.pk
    elif "/" in reference or not reference.startswith("ver_"):
        raise DomainError(
            "bad_version",
            f"{shorten(reference)} names no version: write it as {shorten(reference)}@8, @stable or @latest.",
        )
    else:
        pk = decode("ver", reference, "version_not_found")
    version = (
        PromptVersion.objects.filter(pk=pk, prompt__in=Prompt.objects.visible_to(principal))
        .select_related("prompt", "author")
        .prefetch_related("author__api_keys")
        .first()
    )
    if version is None:
        raise DomainError("version_not_found", f"There is no version {shorten(reference)} within reach.")
    return version
