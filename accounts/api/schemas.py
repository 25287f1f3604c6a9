"""The shapes of answers for the OpenAPI schema."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, inline_serializer
from rest_framework import serializers


class FaultShape(serializers.Serializer[Any]):
    pointer = serializers.CharField(allow_blank=True)
    code = serializers.CharField()
    detail = serializers.CharField()
    url = serializers.CharField(required=False)


class HeadShape(serializers.Serializer[Any]):
    version = serializers.IntegerField(allow_null=True)
    revision = serializers.IntegerField()


class ProblemShape(serializers.Serializer[Any]):
    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    errors = FaultShape(many=True)  # type: ignore[assignment]  # a field of that name, as the standard has it
    request_id = serializers.CharField()
    url = serializers.CharField(required=False, help_text="Where a person goes first, and then comes back.")
    message = serializers.IntegerField(required=False, help_text="Which message of a chat holds the text; from 1.")
    line = serializers.IntegerField(required=False, help_text="Of that text, or of a body that is no JSON; from 1.")
    column = serializers.IntegerField(required=False)
    offset = serializers.IntegerField(required=False, help_text="The byte that is no UTF-8, from 0.")
    latest = serializers.IntegerField(required=False, help_text="With `stale_base`: the newest version.")
    head = HeadShape(required=False, help_text="With `stale_head`: where the channel stands.")


_PROBLEM = OpenApiResponse(ProblemShape, description="What is wrong, where, and how to mend it.")
PROBLEM = {
    (status, "application/problem+json"): _PROBLEM
    for status in (400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 429, 500, 503, 507)
}


class ActorShape(serializers.Serializer[Any]):
    email = serializers.CharField(required=False)
    key = serializers.CharField(required=False)
    name = serializers.CharField(allow_blank=True)


class KeyShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    prefix = serializers.CharField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    channels = serializers.ListField(child=serializers.CharField())
    prompts = serializers.ListField(child=serializers.CharField())
    rate_fetch = serializers.IntegerField(allow_null=True)
    created_by = ActorShape()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewKeyShape(KeyShape):
    key = serializers.CharField(allow_null=True, help_text="The secret, shown this once: null when it is asked again.")


class MemberShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    email = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    roles = serializers.ListField(child=serializers.CharField())


class GrantShape(serializers.Serializer[Any]):
    permission = serializers.ChoiceField(["break_glass"])
    member = ActorShape()
    granted_by = ActorShape()
    expires_at = serializers.DateTimeField()


class ProjectShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    created_at = serializers.DateTimeField()
    importing = serializers.BooleanField()
    serves_stale = serializers.BooleanField()


class WebhookShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    format = serializers.ChoiceField(["standard", "slack"])
    enabled = serializers.BooleanField()
    failing_since = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class NewWebhookShape(WebhookShape):
    secret = serializers.CharField(allow_null=True, help_text="Made here and shown this once; null for your own.")


class AttemptShape(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    status = serializers.IntegerField(allow_null=True)
    outcome = serializers.CharField()
    milliseconds = serializers.IntegerField()


class DeliveryShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    event = serializers.CharField()
    kind = serializers.CharField()
    state = serializers.ChoiceField(["waiting", "delivered", "failed"])
    next_at = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)
    attempts = AttemptShape(many=True)


def page_of(shape: type[serializers.Serializer[Any]]) -> Any:
    """`{"data": […], "next": cursor | null}`."""
    return inline_serializer(
        f"{shape.__name__.removesuffix('Shape')}Page",
        {"data": shape(many=True), "next": serializers.CharField(allow_null=True)},
    )
