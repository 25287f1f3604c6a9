"""Drift watches by REST: what is watched, what was found, and how a watch is set."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.admission import idempotent
from accounts.api.door import DoorView
from accounts.api.schemas import PROBLEM, page_of
from evaluations.actions.watches import MOST_HOURS, change_watch, take_reference
from evaluations.drift_reading import find_watch, visible_watches, watch_shape, watch_shapes, watch_to_set
from evaluations.models import DriftFinding, DriftWatch, EvaluationRun
from promptforge.lib.pagination import PARAMETERS as PAGE_PARAMETERS
from promptforge.lib.pagination import page
from promptforge.lib.rest import Flag, StrictSerializer, Text, Whole, refuse_unknown_parameters

_PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor", str)]


class ChangedWatch(StrictSerializer):
    shown_only = ("id", "prompt", "channel", "version", "set", "connection", "state", "next_at", "why_not",
                  "reference", "newest", "findings")  # fmt: skip
    enabled = Flag(required=False)
    freezes_channel = Flag(required=False, help_text="Whether a drift freezes the channel, in your name.")
    every_hours = Whole(required=False, min_value=1, max_value=MOST_HOURS)


class NewReference(StrictSerializer):
    reason = Text(help_text="Why what the model answers now is right.")


class FindingShape(serializers.Serializer[Any]):
    level = serializers.ChoiceField(DriftFinding.Level.values)
    sentence = serializers.CharField()
    differs = serializers.ListField(child=serializers.CharField())
    run = serializers.CharField()
    at = serializers.DateTimeField()


class ReferenceShape(serializers.Serializer[Any]):
    run = serializers.CharField()
    status = serializers.ChoiceField(EvaluationRun.Status.values)
    taken_at = serializers.DateTimeField()


class WatchShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    prompt = serializers.CharField()
    channel = serializers.CharField()
    version = serializers.IntegerField()
    set = serializers.CharField()
    connection = serializers.CharField()
    state = serializers.ChoiceField(DriftWatch.State.values)
    enabled = serializers.BooleanField()
    freezes_channel = serializers.BooleanField()
    every_hours = serializers.IntegerField()
    next_at = serializers.DateTimeField(allow_null=True)
    why_not = serializers.CharField(allow_blank=True)
    reference = ReferenceShape(allow_null=True)
    newest = FindingShape(allow_null=True)


class WholeWatchShape(WatchShape):
    findings = FindingShape(many=True)


class WatchesView(DoorView):
    @extend_schema(operation_id="list_drift_watches", parameters=_PAGE, responses={200: page_of(WatchShape), **PROBLEM})
    def get(self, request: Request) -> Response:
        refuse_unknown_parameters(request, PAGE_PARAMETERS)
        found = page(request, visible_watches(self.principal), key="-id", shape=lambda watch: watch)
        return Response(found | {"data": watch_shapes(found["data"])})


class WatchView(DoorView):
    @extend_schema(operation_id="get_drift_watch", responses={200: WholeWatchShape, **PROBLEM})
    def get(self, request: Request, watch_id: str) -> Response:
        refuse_unknown_parameters(request, ())
        return Response(watch_shape(find_watch(visible_watches(self.principal), watch_id)))

    @extend_schema(operation_id="change_drift_watch", request=ChangedWatch, responses={200: WholeWatchShape, **PROBLEM})
    def patch(self, request: Request, watch_id: str) -> Response:
        """Fields that are not named stay."""
        found = watch_to_set(self.principal, watch_id)
        changed = change_watch(by=self.principal, watch=found, fields=ChangedWatch.read(request))
        return Response(watch_shape(changed))


class ReferenceView(DoorView):
    @extend_schema(
        operation_id="take_drift_reference", request=NewReference, responses={201: WholeWatchShape, **PROBLEM}
    )
    @idempotent
    def post(self, request: Request, watch_id: str) -> Response:
        """Bless what the model answers now as the reference from here on: a person's decision, with a reason."""
        found = watch_to_set(self.principal, watch_id)
        taken = take_reference(by=self.principal, watch=found, reason=NewReference.read(request)["reason"])
        return Response(watch_shape(taken), status=status.HTTP_201_CREATED)
