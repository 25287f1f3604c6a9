"""The shapes of answers about observations and feedback for the OpenAPI schema."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.schemas import ActorShape, FaultShape
from delivery.models import Arm
from prompts.api.schemas import ReleaseShape


@extend_schema_field({})
class AnyJson(serializers.JSONField):
    """Whatever was sent."""


@extend_schema_field({"oneOf": [{"type": "boolean"}, {"type": "number"}, {"type": "string", "maxLength": 10_000}]})
class ValueField(serializers.JSONField):
    """true, false, a number or a text."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, bool | int | float | str):
            raise serializers.ValidationError("true, false, a number or a text is expected here.", code="bad_value")
        if isinstance(data, str) and len(data) > 10_000:
            raise serializers.ValidationError("At most 10,000 characters.", code="content_too_large")
        return data


class RejectedShape(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    errors = FaultShape(many=True)  # type: ignore[assignment]  # a field of that name


class IntakeShape(serializers.Serializer[Any]):
    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    rejected = RejectedShape(many=True)


class ReporterShape(serializers.Serializer[Any]):
    key = serializers.CharField()
    name = serializers.CharField()


class ObservationShape(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    prompt = serializers.CharField()
    version = serializers.IntegerField()
    ref = serializers.CharField()
    channel = serializers.CharField(allow_null=True)
    revision = serializers.IntegerField(allow_null=True)
    arm = serializers.ChoiceField(Arm.values, allow_null=True)
    user = serializers.CharField(allow_null=True)
    trace_id = serializers.CharField(allow_null=True)
    session_id = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True)
    provider = serializers.CharField(allow_null=True)
    latency_ms = serializers.FloatField(allow_null=True)
    input_tokens = serializers.IntegerField(allow_null=True)
    output_tokens = serializers.IntegerField(allow_null=True)
    cost_usd = serializers.FloatField(allow_null=True)
    finish_reason = serializers.CharField(allow_null=True)
    failed = serializers.BooleanField()
    at = serializers.DateTimeField()
    received_at = serializers.DateTimeField()
    reported_by = ReporterShape()
    variables = AnyJson(required=False)
    input = AnyJson(required=False)
    output = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    error = serializers.CharField(required=False, allow_null=True)
    metadata = AnyJson(required=False)


class FeedbackShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    observation = serializers.UUIDField(allow_null=True)
    trace_id = serializers.CharField(allow_null=True)
    name = serializers.CharField()
    value = ValueField(required=False)
    comment = serializers.CharField(required=False, allow_blank=True)
    user = serializers.CharField(allow_null=True)
    at = serializers.DateTimeField()
    reported_by = ReporterShape()


class PromotionBehindShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    title = serializers.CharField(allow_blank=True)
    opened_by = ActorShape()
    approvers = ActorShape(many=True)


class ExplainedObservationShape(ObservationShape):
    release = ReleaseShape(allow_null=True)
    promotion = PromotionBehindShape(allow_null=True)
    feedback = FeedbackShape(many=True)


class ObservationRow(serializers.Serializer[Any]):
    """What one observation may say, for the schema; `delivery.intake.FIELDS` is what is checked."""

    id = serializers.UUIDField(required=False)
    receipt = serializers.CharField(required=False)
    prompt = serializers.CharField(required=False)
    version = serializers.IntegerField(required=False)
    channel = serializers.CharField(required=False)
    arm = serializers.ChoiceField(Arm.values, required=False)
    user = serializers.CharField(required=False)
    trace_id = serializers.CharField(required=False)
    session_id = serializers.CharField(required=False)
    variables = serializers.DictField(required=False)
    input = AnyJson(required=False)
    output = serializers.CharField(required=False)
    model = serializers.CharField(required=False)
    provider = serializers.CharField(required=False)
    latency_ms = serializers.FloatField(required=False)
    input_tokens = serializers.IntegerField(required=False)
    output_tokens = serializers.IntegerField(required=False)
    cost_usd = serializers.FloatField(required=False)
    finish_reason = serializers.CharField(required=False)
    error = serializers.CharField(required=False)
    at = serializers.DateTimeField(required=False)
    metadata = serializers.DictField(required=False)


class ReportRequest(serializers.Serializer[Any]):
    observations = serializers.ListField(child=ObservationRow(), min_length=1, max_length=1000)
