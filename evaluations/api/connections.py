"""Model connections by REST. A key goes in, and never comes out."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.admission import idempotent
from accounts.api.door import DoorView
from accounts.api.schemas import PROBLEM, page_of
from accounts.policies import Principal
from accounts.roles import Permission
from evaluations.actions.connections import (
    Tested,
    change_connection,
    check_connection,
    create_connection,
    remove_connection,
)
from evaluations.models import ModelConnection
from promptforge.lib.errors import DomainError
from promptforge.lib.ids import decode, encode
from promptforge.lib.instants import format_instant
from promptforge.lib.pagination import PARAMETERS as PAGE_PARAMETERS
from promptforge.lib.pagination import page
from promptforge.lib.rest import Choice, StrictSerializer, Text, Whole, refuse_unknown_parameters
from promptforge.lib.verdicts import require

_PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor", str)]
_SHOWN_ONLY = ("id", "has_key", "created_at")


class NewConnection(StrictSerializer):
    shown_only = _SHOWN_ONLY
    name = Text()
    kind = Choice(ModelConnection.Kind.values)
    base_url = Text(default="", help_text="Blank: the provider's own.")
    model = Text(default="")
    api_key = Text(default=None, allow_null=True, write_only=True)
    parameters = serializers.DictField(default=dict)
    max_concurrency = Whole(default=8)
    price = serializers.DictField(default=None, allow_null=True, help_text="USD for a million tokens: input, output.")


class ChangedConnection(StrictSerializer):
    shown_only = (*_SHOWN_ONLY, "kind")
    name = Text(required=False)
    base_url = Text(required=False)
    model = Text(required=False)
    api_key = Text(required=False, write_only=True)
    parameters = serializers.DictField(required=False)
    max_concurrency = Whole(required=False)
    price = serializers.DictField(required=False, allow_null=True)


class ConnectionShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(ModelConnection.Kind.values)
    base_url = serializers.CharField(allow_blank=True)
    model = serializers.CharField()
    parameters = serializers.DictField()
    max_concurrency = serializers.IntegerField()
    price = serializers.DictField(allow_null=True)
    has_key = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class TestedShape(serializers.Serializer[Any]):
    answered = serializers.BooleanField()
    text = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True)
    latency_ms = serializers.IntegerField(allow_null=True)
    failure = serializers.CharField(allow_null=True)
    detail = serializers.CharField(allow_null=True)


class ConnectionsView(DoorView):
    @extend_schema(
        operation_id="list_model_connections", parameters=_PAGE, responses={200: page_of(ConnectionShape), **PROBLEM}
    )
    def get(self, request: Request) -> Response:
        require(self.principal.may(Permission.CONFIGURE))
        refuse_unknown_parameters(request, PAGE_PARAMETERS)
        return Response(page(request, _connections(self.principal), key="-id", shape=connection_shape))

    @extend_schema(
        operation_id="create_model_connection", request=NewConnection, responses={201: ConnectionShape, **PROBLEM}
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Let evaluations call a model. The key is sealed, and shown to nobody again."""
        require(self.principal.may(Permission.CONFIGURE))
        made = create_connection(by=self.principal, **NewConnection.read(request))
        return Response(connection_shape(made), status=status.HTTP_201_CREATED)


class ConnectionView(DoorView):
    @extend_schema(operation_id="get_model_connection", responses={200: ConnectionShape, **PROBLEM})
    def get(self, request: Request, connection_id: str) -> Response:
        require(self.principal.may(Permission.CONFIGURE))
        refuse_unknown_parameters(request, ())
        return Response(connection_shape(find_connection(self.principal, connection_id)))

    @extend_schema(
        operation_id="change_model_connection", request=ChangedConnection, responses={200: ConnectionShape, **PROBLEM}
    )
    def patch(self, request: Request, connection_id: str) -> Response:
        """Fields that are not named stay; another `base_url` takes its `api_key` with it."""
        require(self.principal.may(Permission.CONFIGURE))
        fields = ChangedConnection.read(request)
        found = find_connection(self.principal, connection_id)
        return Response(connection_shape(change_connection(by=self.principal, connection=found, fields=fields)))

    @extend_schema(operation_id="remove_model_connection", responses={204: None, **PROBLEM})
    def delete(self, request: Request, connection_id: str) -> Response:
        """Call it no more, and forget its key."""
        require(self.principal.may(Permission.CONFIGURE))
        refuse_unknown_parameters(request, ())
        remove_connection(by=self.principal, connection=find_connection(self.principal, connection_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class TestView(DoorView):
    @extend_schema(operation_id="test_model_connection", request=None, responses={200: TestedShape, **PROBLEM})
    def post(self, request: Request, connection_id: str) -> Response:
        """Make one short call, which counts like any other, and tell what came of it."""
        require(self.principal.may(Permission.CONFIGURE))
        refuse_unknown_parameters(request, ())
        found = find_connection(self.principal, connection_id)
        return Response(_tested(check_connection(by=self.principal, connection=found)))


def connection_shape(row: ModelConnection) -> dict[str, Any]:
    return {
        "id": encode("con", row.pk),
        "name": row.name,
        "kind": row.kind,
        "base_url": row.base_url,
        "model": row.model,
        "parameters": row.parameter_values,
        "max_concurrency": row.max_concurrency,
        "price": row.price_values,
        "has_key": row.key is not None,
        "created_at": format_instant(row.created_at),
    }


def find_connection(principal: Principal, connection_id: str) -> ModelConnection:
    pk = decode("con", connection_id, "not_found")
    found: ModelConnection | None = _connections(principal).filter(pk=pk).first()
    if found is None:
        raise DomainError("not_found", "There is no such model connection within reach.")
    return found


def _connections(principal: Principal) -> Any:
    return ModelConnection.objects.standing().filter(project_id=principal.project.pk)


def _tested(tested: Tested) -> dict[str, Any]:
    answer, failed = tested
    return {
        "answered": answer is not None,
        "text": answer.text if answer else None,
        "model": answer.model if answer else None,
        "latency_ms": answer.latency_ms if answer else None,
        "failure": failed.kind.value if failed else None,
        "detail": failed.sentence if failed else None,
    }
