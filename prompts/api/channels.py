"""Channels by REST: their policies and freeze windows."""

from typing import Any

from django.db.models import Prefetch
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.admission import idempotent
from accounts.api.door import DoorView
from accounts.roles import Permission
from promptforge.lib.errors import DomainError
from promptforge.lib.ids import decode
from promptforge.lib.instants import parse_instant
from promptforge.lib.pagination import PARAMETERS as PAGE_PARAMETERS
from promptforge.lib.pagination import page
from promptforge.lib.rest import StrictSerializer, Text, refuse_unknown_parameters
from promptforge.lib.verdicts import require
from prompts.actions.channels import add_channel, approve_policy_change, change_policy, freeze_channel, lift_freeze
from prompts.api.schemas import PROBLEM, ChannelShape, FreezeShape, PolicyChangeShape, page_of
from prompts.models import Channel, FreezeWindow, PolicyChange
from prompts.reading import find_channel
from prompts.shapes import channel_shape, freeze_shape, policy_change_shape

_PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor", str)]
_CHANNEL_FIELDS = ("protected", "freezes")


class NewChannel(StrictSerializer):
    shown_only = _CHANNEL_FIELDS
    name = Text()
    policy = serializers.DictField(default=dict)


class ChangedChannel(StrictSerializer):
    shown_only = ("name", *_CHANNEL_FIELDS)
    policy = serializers.DictField()
    reason = Text(default="", max_length=2000)


class NewFreeze(StrictSerializer):
    shown_only = ("id",)
    to = Text()
    reason = Text(default="", max_length=2000)

    def get_fields(self) -> Any:
        return {"from": Text(), **super().get_fields()}


class ChannelsView(DoorView):
    @extend_schema(operation_id="list_channels", parameters=_PAGE, responses={200: page_of(ChannelShape), **PROBLEM})
    def get(self, request: Request) -> Response:
        require(self.principal.may_somewhere(Permission.READ))
        refuse_unknown_parameters(request, PAGE_PARAMETERS)
        channels = _with_all(Channel.objects.filter(project=self.principal.project))
        return Response(page(request, channels, key="name", shape=channel_shape))

    @extend_schema(operation_id="create_channel", request=NewChannel, responses={201: ChannelShape, **PROBLEM})
    @idempotent
    def post(self, request: Request) -> Response:
        require(self.principal.may(Permission.CONFIGURE))
        asked = NewChannel.read(request)
        channel = add_channel(by=self.principal, name=asked["name"], policy=asked["policy"])
        return Response(self.shape(channel.pk), status=status.HTTP_201_CREATED)

    @staticmethod
    def shape(pk: int) -> dict[str, Any]:
        return channel_shape(_with_all(Channel.objects.all()).get(pk=pk))


class ChannelView(DoorView):
    @extend_schema(operation_id="get_channel", responses={200: ChannelShape, **PROBLEM})
    def get(self, request: Request, name: str) -> Response:
        require(self.principal.may_somewhere(Permission.READ))
        refuse_unknown_parameters(request, ())
        return Response(ChannelsView.shape(find_channel(self.principal, name).pk))

    @extend_schema(
        operation_id="change_channel",
        request=ChangedChannel,
        responses={200: ChannelShape, 202: PolicyChangeShape, **PROBLEM},
    )
    def patch(self, request: Request, name: str) -> Response:
        """Change the policy; fields that are not named stay. A protected channel waits for a second person (202)."""
        require(self.principal.may(Permission.CONFIGURE))
        asked = ChangedChannel.read(request)
        channel = find_channel(self.principal, name)
        changed = change_policy(by=self.principal, channel=channel, fields=asked["policy"], reason=asked["reason"])
        if isinstance(changed, PolicyChange):
            return Response(policy_change_shape(changed), status=status.HTTP_202_ACCEPTED)
        return Response(ChannelsView.shape(channel.pk))


class ApproveView(DoorView):
    @extend_schema(operation_id="approve_policy_change", request=None, responses={200: ChannelShape, **PROBLEM})
    def post(self, request: Request, change_id: str) -> Response:
        require(self.principal.may(Permission.CONFIGURE))
        refuse_unknown_parameters(request, ())
        change = (
            PolicyChange.objects.select_related("channel")
            .filter(channel__project=self.principal.project, pk=decode("pol", change_id, "not_found"))
            .first()
        )
        if change is None:
            raise DomainError("not_found", "There is no such policy change within reach.")
        approve_policy_change(by=self.principal, change=change)
        return Response(ChannelsView.shape(change.channel_id))


class FreezesView(DoorView):
    @extend_schema(operation_id="freeze_channel", request=NewFreeze, responses={201: FreezeShape, **PROBLEM})
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        require(self.principal.may(Permission.CONFIGURE))
        asked = NewFreeze.read(request)
        freeze = freeze_channel(
            by=self.principal,
            channel=find_channel(self.principal, name),
            starts_at=parse_instant(asked["from"], "from"),
            ends_at=parse_instant(asked["to"], "to"),
            reason=asked["reason"],
        )
        return Response(freeze_shape(freeze), status=status.HTTP_201_CREATED)


class FreezeView(DoorView):
    @extend_schema(operation_id="lift_freeze", responses={204: None, **PROBLEM})
    def delete(self, request: Request, name: str, freeze_id: str) -> Response:
        require(self.principal.may(Permission.CONFIGURE))
        refuse_unknown_parameters(request, ())
        freeze = FreezeWindow.objects.filter(
            channel=find_channel(self.principal, name), pk=decode("frz", freeze_id, "not_found")
        ).first()
        if freeze is None:
            raise DomainError("not_found", "There is no such freeze window within reach.")
        lift_freeze(by=self.principal, freeze=freeze)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _with_all(channels: Any) -> Any:
    standing = FreezeWindow.objects.filter(lifted_at=None, ends_at__gt=timezone.now()).order_by("starts_at")
    return channels.select_related("policy").prefetch_related(Prefetch("freezes", standing, to_attr="standing_freezes"))
