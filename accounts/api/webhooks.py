"""Webhook endpoints by REST."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.actions.api_keys import LONGEST_OVERLAP_HOURS
from accounts.actions.webhooks import (
    change_webhook,
    check_webhook,
    create_webhook,
    remove_webhook,
    resend,
    rotate_webhook,
)
from accounts.admission import idempotent
from accounts.api.door import DoorView
from accounts.api.schemas import PROBLEM, DeliveryShape, NewWebhookShape, WebhookShape, page_of
from accounts.policies import Principal
from accounts.roles import Permission
from accounts.shapes import delivery_shape, webhook_shape
from events.models import Delivery, WebhookEndpoint
from promptforge.lib.errors import DomainError
from promptforge.lib.ids import decode
from promptforge.lib.pagination import PARAMETERS as PAGE_PARAMETERS
from promptforge.lib.pagination import page
from promptforge.lib.rest import Choice, Flag, StrictSerializer, Text, Whole, refuse_unknown_parameters
from promptforge.lib.verdicts import require

_PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor", str)]
_SHOWN_ONLY = ("id", "failing_since", "created_at")


class NewWebhook(StrictSerializer):
    shown_only = _SHOWN_ONLY
    url = Text()
    events = serializers.ListField(child=Text())
    format = Choice(WebhookEndpoint.Format.values, default="standard")
    secret = Text(default=None, allow_null=True)
    enabled = Flag(default=True)


class ChangedWebhook(StrictSerializer):
    shown_only = (*_SHOWN_ONLY, "secret")
    url = Text(required=False)
    events = serializers.ListField(child=Text(), required=False)
    format = Choice(WebhookEndpoint.Format.values, required=False)
    enabled = Flag(required=False)


class SecretRotation(StrictSerializer):
    overlap_hours = Whole(min_value=0, max_value=LONGEST_OVERLAP_HOURS)


class WebhooksView(DoorView):
    @extend_schema(
        operation_id="list_webhook_endpoints", parameters=_PAGE, responses={200: page_of(WebhookShape), **PROBLEM}
    )
    def get(self, request: Request) -> Response:
        require(self.principal.may(Permission.CONFIGURE))
        refuse_unknown_parameters(request, PAGE_PARAMETERS)
        return Response(page(request, _endpoints(self.principal), key="-id", shape=webhook_shape))

    @extend_schema(
        operation_id="create_webhook_endpoint", request=NewWebhook, responses={201: NewWebhookShape, **PROBLEM}
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Send the project's events to an address. The secret is made if none is given, and shown this once."""
        require(self.principal.may(Permission.CONFIGURE))
        made = create_webhook(by=self.principal, **NewWebhook.read(request))
        return Response(webhook_shape(made.endpoint) | {"secret": made.secret}, status=status.HTTP_201_CREATED)


class WebhookView(DoorView):
    @extend_schema(operation_id="get_webhook_endpoint", responses={200: WebhookShape, **PROBLEM})
    def get(self, request: Request, endpoint_id: str) -> Response:
        require(self.principal.may(Permission.CONFIGURE))
        refuse_unknown_parameters(request, ())
        return Response(webhook_shape(find_endpoint(self.principal, endpoint_id)))

    @extend_schema(
        operation_id="change_webhook_endpoint", request=ChangedWebhook, responses={200: WebhookShape, **PROBLEM}
    )
    def patch(self, request: Request, endpoint_id: str) -> Response:
        """Fields that are not named stay."""
        require(self.principal.may(Permission.CONFIGURE))
        fields = ChangedWebhook.read(request)
        endpoint = find_endpoint(self.principal, endpoint_id)
        return Response(webhook_shape(change_webhook(by=self.principal, endpoint=endpoint, fields=fields)))

    @extend_schema(operation_id="remove_webhook_endpoint", responses={204: None, **PROBLEM})
    def delete(self, request: Request, endpoint_id: str) -> Response:
        """Send nothing there any more."""
        require(self.principal.may(Permission.CONFIGURE))
        refuse_unknown_parameters(request, ())
        remove_webhook(by=self.principal, endpoint=find_endpoint(self.principal, endpoint_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class RotateSecretView(DoorView):
    @extend_schema(
        operation_id="rotate_webhook_secret", request=SecretRotation, responses={200: NewWebhookShape, **PROBLEM}
    )
    @idempotent
    def post(self, request: Request, endpoint_id: str) -> Response:
        """Make another secret; until the overlap ends, the old one signs beside it."""
        require(self.principal.may(Permission.CONFIGURE))
        overlap = SecretRotation.read(request)["overlap_hours"]
        endpoint = find_endpoint(self.principal, endpoint_id)
        made = rotate_webhook(by=self.principal, endpoint=endpoint, overlap_hours=overlap)
        return Response(webhook_shape(made.endpoint) | {"secret": made.secret})


class TestView(DoorView):
    @extend_schema(operation_id="test_webhook_endpoint", request=None, responses={200: DeliveryShape, **PROBLEM})
    @idempotent
    def post(self, request: Request, endpoint_id: str) -> Response:
        """Send a `webhook.tested` event to this endpoint alone; its deliveries tell what came of it."""
        require(self.principal.may(Permission.CONFIGURE))
        refuse_unknown_parameters(request, ())
        made = check_webhook(by=self.principal, endpoint=find_endpoint(self.principal, endpoint_id))
        return Response(_shown(made))


class DeliveriesView(DoorView):
    @extend_schema(
        operation_id="list_webhook_deliveries", parameters=_PAGE, responses={200: page_of(DeliveryShape), **PROBLEM}
    )
    def get(self, request: Request, endpoint_id: str) -> Response:
        """What was sent, is to be sent, or failed, newest first, with every attempt."""
        require(self.principal.may(Permission.CONFIGURE))
        refuse_unknown_parameters(request, PAGE_PARAMETERS)
        deliveries = _with_all(Delivery.objects.filter(endpoint=find_endpoint(self.principal, endpoint_id)))
        return Response(page(request, deliveries, key="-id", shape=delivery_shape))


class ResendView(DoorView):
    @extend_schema(operation_id="resend_webhook_delivery", request=None, responses={200: DeliveryShape, **PROBLEM})
    def post(self, request: Request, delivery_id: str) -> Response:
        """Send it again at once, under the same `webhook-id`."""
        require(self.principal.may(Permission.CONFIGURE))
        refuse_unknown_parameters(request, ())
        delivery = (
            Delivery.objects.select_related("endpoint")
            .filter(endpoint__in=_endpoints(self.principal), pk=decode("dlv", delivery_id, "not_found"))
            .first()
        )
        if delivery is None:
            raise DomainError("not_found", "There is no such delivery within reach.")
        return Response(_shown(resend(by=self.principal, delivery=delivery)))


def find_endpoint(principal: Principal, endpoint_id: str) -> WebhookEndpoint:
    endpoint: WebhookEndpoint | None = _endpoints(principal).filter(pk=decode("whk", endpoint_id, "not_found")).first()
    if endpoint is None:
        raise DomainError("not_found", "There is no such webhook endpoint within reach.")
    return endpoint


def _endpoints(principal: Principal) -> Any:
    return WebhookEndpoint.objects.standing().filter(project_id=principal.project.pk)


def _with_all(deliveries: Any) -> Any:
    return deliveries.select_related("event").prefetch_related("attempts")


def _shown(delivery: Delivery) -> dict[str, Any]:
    return delivery_shape(_with_all(Delivery.objects.filter(pk=delivery.pk)).get())
