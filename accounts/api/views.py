"""API keys by REST."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.actions.api_keys import LONGEST_OVERLAP_HOURS, create_key, revoke_key, rotate_key
from accounts.admission import idempotent
from accounts.api.door import DoorView
from accounts.api.schemas import PROBLEM, KeyShape, NewKeyShape, page_of
from accounts.models import ApiKey
from accounts.policies import Principal
from accounts.roles import Permission
from accounts.shapes import key_shape
from accounts.sign_in import require_recent_sign_in
from promptforge.lib.errors import DomainError
from promptforge.lib.ids import decode
from promptforge.lib.instants import parse_instant
from promptforge.lib.pagination import PARAMETERS as PAGE_PARAMETERS
from promptforge.lib.pagination import page
from promptforge.lib.rest import StrictSerializer, Text, Whole, refuse_unknown_parameters
from promptforge.lib.verdicts import require


class NewKey(StrictSerializer):
    shown_only = ("id", "prefix", "key", "created_by", "created_at", "revoked_at")
    name = Text()
    scopes = serializers.ListField(child=Text())
    channels = serializers.ListField(child=Text(), default=list)
    prompts = serializers.ListField(child=Text(), default=list)
    expires_at = Text(default=None, allow_null=True)
    rate_fetch = Whole(default=None, allow_null=True, min_value=1, max_value=1_000_000)


class Rotation(StrictSerializer):
    overlap_hours = Whole(min_value=0, max_value=LONGEST_OVERLAP_HOURS)


class KeysView(DoorView):
    @extend_schema(
        operation_id="list_keys",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor", str)],
        responses={200: page_of(KeyShape), **PROBLEM},
    )
    def get(self, request: Request) -> Response:
        require(self.principal.may(Permission.ADMINISTER))
        refuse_unknown_parameters(request, PAGE_PARAMETERS)
        keys = ApiKey.objects.filter(project=self.principal.project).select_related("created_by")
        return Response(page(request, keys, key="-id", shape=key_shape))

    @extend_schema(operation_id="create_key", request=NewKey, responses={201: NewKeyShape, **PROBLEM})
    @idempotent
    def post(self, request: Request) -> Response:
        require(self.principal.may(Permission.ADMINISTER))
        if self.principal.key is None:
            require_recent_sign_in(request._request)  # noqa: SLF001  the session is the plain request's
        asked = NewKey.read(request)
        ends = asked.pop("expires_at")
        made = create_key(
            project=self.principal.project,
            expires_at=None if ends is None else parse_instant(ends, "expires_at"),
            responsible=self.principal.user.responsible or self.principal.user,
            by=self.principal,
            **asked,
        )
        return Response(key_shape(made.key) | {"key": made.text}, status=status.HTTP_201_CREATED)


class KeyView(DoorView):
    @extend_schema(operation_id="revoke_key", responses={204: None, **PROBLEM})
    def delete(self, request: Request, key_id: str) -> Response:
        """End a key: the next request with it is refused."""
        require(self.principal.may(Permission.ADMINISTER))
        refuse_unknown_parameters(request, ())
        revoke_key(key=find_key(self.principal, key_id), by=self.principal)
        return Response(status=status.HTTP_204_NO_CONTENT)


class RotateView(DoorView):
    @extend_schema(operation_id="rotate_key", request=Rotation, responses={200: NewKeyShape, **PROBLEM})
    @idempotent
    def post(self, request: Request, key_id: str) -> Response:
        """Make the key's successor; the old one ends after the overlap."""
        require(self.principal.may(Permission.ADMINISTER))
        if self.principal.key is None:
            require_recent_sign_in(request._request)  # noqa: SLF001  the session is the plain request's
        overlap = Rotation.read(request)["overlap_hours"]
        made = rotate_key(key=find_key(self.principal, key_id), overlap_hours=overlap, by=self.principal)
        return Response(key_shape(made.key) | {"key": made.text})


def find_key(principal: Principal, key_id: str) -> ApiKey:
    key = ApiKey.objects.filter(project=principal.project, pk=decode("key", key_id, "not_found")).first()
    if key is None:
        raise DomainError("not_found", "There is no such key within reach.")
    return key
