"""The audit trail by REST."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.door import DoorView
from accounts.api.schemas import ActorShape
from accounts.models import User
from accounts.roles import Permission, Scope
from accounts.shapes import actor_shape
from events.kinds import EventKind
from events.models import EventSeal
from events.shapes import event_shape
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.instants import parse_instant
from promptforge.lib.pagination import PARAMETERS as PAGE_PARAMETERS
from promptforge.lib.pagination import page
from promptforge.lib.rest import refuse_unknown_parameters
from promptforge.lib.verdicts import require
from prompts.api.schemas import PROBLEM, page_of


class EventShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    seq = serializers.IntegerField()
    kind = serializers.ChoiceField(EventKind.values)
    actor = ActorShape(allow_null=True)
    subject = serializers.DictField()
    data = serializers.DictField()  # type: ignore[assignment]  # a field of that name
    at = serializers.DateTimeField()
    digest = serializers.CharField()


class EventsView(DoorView):
    @extend_schema(
        operation_id="list_events",
        parameters=[
            OpenApiParameter("kind", str, enum=EventKind.values),
            OpenApiParameter("since", str, description="RFC 3339: events from this instant on."),
            OpenApiParameter("until", str, description="RFC 3339: events before this instant."),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor", str),
        ],
        responses={200: page_of(EventShape), **PROBLEM},
    )
    def get(self, request: Request) -> Response:
        """What happened, newest first, in the order of commits."""
        require(self.principal.may_with_scope(Permission.READ, Scope.AUDIT_READ))
        refuse_unknown_parameters(request, ("kind", "since", "until", *PAGE_PARAMETERS))
        seals = EventSeal.objects.filter(project_id=self.principal.project.pk).select_related("event")
        given = request.query_params
        if (kind := given.get("kind")) is not None:
            if kind not in EventKind.values:
                raise DomainError(
                    "bad_value", f"{shorten(kind)} is no kind of event. Kinds: {', '.join(EventKind.values)}."
                )
            seals = seals.filter(event__kind=kind)
        if (since := given.get("since")) is not None:
            seals = seals.filter(event__at__gte=parse_instant(since, "since"))
        if (until := given.get("until")) is not None:
            seals = seals.filter(event__at__lt=parse_instant(until, "until"))
        answer = page(request, seals, key="-seq", shape=lambda seal: seal)
        return Response(answer | {"data": _shapes(answer["data"])})


def _shapes(seals: list[EventSeal]) -> list[dict[str, Any]]:
    """The events with their actors as people and keys appear everywhere; None is the command line."""
    acting = {seal.event.actor_id for seal in seals}
    actors = {user.pk: actor_shape(user) for user in User.objects.filter(pk__in=acting).prefetch_related("api_keys")}
    return [event_shape(seal) | {"actor": actors.get(seal.event.actor_id)} for seal in seals]
