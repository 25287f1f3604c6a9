"""The shapes of answers for the OpenAPI schema; `shapes` writes them, a test holds the two together."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.schemas import PROBLEM, ActorShape, page_of
from prompts.checks import STATUSES
from prompts.models import Check, Review
from prompts.models.channels import CheckName

__all__ = ["PROBLEM", "DiffShape", "PromptShape", "ReleaseShape", "ServedShape", "VersionShape", "page_of"]


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]})
class ContentField(serializers.JSONField):
    """A string, or the list of messages of a chat."""


class VariableShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.ChoiceField(["string", "number", "integer", "boolean", "enum", "json"])
    required = serializers.BooleanField()  # type: ignore[assignment]  # a field of that name
    default = serializers.JSONField(allow_null=True)
    description = serializers.CharField(allow_blank=True)
    max_length = serializers.IntegerField(allow_null=True)
    enum = serializers.ListField(child=serializers.CharField(), allow_null=True)


class ServedShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    version = serializers.IntegerField()
    channel = serializers.CharField(allow_null=True)
    revision = serializers.IntegerField(allow_null=True)
    type = serializers.ChoiceField(["text", "chat"])
    content = ContentField()
    rendered = serializers.BooleanField()
    variables = VariableShape(many=True)
    config = serializers.DictField()
    digest = serializers.CharField()
    arm = serializers.CharField(allow_null=True)
    receipt = serializers.CharField()
    unused = serializers.ListField(child=serializers.CharField(), required=False)


class StandingShape(serializers.Serializer[Any]):
    version = serializers.IntegerField()
    revision = serializers.IntegerField()
    at = serializers.DateTimeField()


class PromptShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.ChoiceField(["text", "chat"])
    description = serializers.CharField(allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField())
    latest = serializers.IntegerField(allow_null=True)
    channels = serializers.DictField(child=StandingShape())
    archived = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class IncludeShape(serializers.Serializer[Any]):
    prompt = serializers.CharField()
    version = serializers.IntegerField()


class VersionShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    ref = serializers.CharField()
    prompt = serializers.CharField()
    number = serializers.IntegerField()
    type = serializers.ChoiceField(["text", "chat"])
    content = ContentField()
    source = ContentField()  # type: ignore[assignment]  # a field of that name
    variables = VariableShape(many=True)
    config = serializers.DictField()
    includes = IncludeShape(many=True)
    message = serializers.CharField(allow_blank=True)
    author = ActorShape()
    created_at = serializers.DateTimeField()
    digest = serializers.CharField()


class ReleaseShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    prompt = serializers.CharField()
    channel = serializers.CharField()
    revision = serializers.IntegerField()
    kind = serializers.CharField()
    version = serializers.IntegerField()
    previous_version = serializers.IntegerField(allow_null=True)
    canary = serializers.DictField(allow_null=True)
    promotion = serializers.CharField(allow_null=True)
    actor = ActorShape()
    reason = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField()
    digest = serializers.CharField()


class CheckShape(serializers.Serializer[Any]):
    name = serializers.ChoiceField(CheckName.values)
    required = serializers.BooleanField()  # type: ignore[assignment]  # a field of that name
    conclusion = serializers.ChoiceField(Check.Conclusion.values)
    summary = serializers.CharField()
    url = serializers.CharField()


class ReviewShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    reviewer = ActorShape()
    decision = serializers.ChoiceField(Review.Decision.values)
    body = serializers.CharField(allow_blank=True)
    acknowledged = serializers.ListField(child=serializers.CharField())
    counts = serializers.BooleanField()
    why_not = serializers.CharField(allow_null=True)
    at = serializers.DateTimeField()


class ClosedShape(serializers.Serializer[Any]):
    by = ActorShape()
    at = serializers.DateTimeField()
    reason = serializers.CharField(allow_blank=True)
    successor = serializers.CharField(allow_null=True)


class PromotionShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    prompt = serializers.CharField()
    channel = serializers.CharField()
    version = serializers.IntegerField()
    base_version = serializers.IntegerField(allow_null=True)
    base_revision = serializers.IntegerField()
    title = serializers.CharField(allow_blank=True)
    note = serializers.CharField(allow_blank=True)
    status = serializers.ChoiceField(STATUSES)
    opened_by = ActorShape()
    opened_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    diff_digest = serializers.CharField()
    checks = CheckShape(many=True)
    reviews = ReviewShape(many=True)
    missing = serializers.ListField(child=serializers.CharField())
    scheduled_at = serializers.DateTimeField(allow_null=True)
    rollout = serializers.CharField(allow_null=True)
    release = serializers.CharField(allow_null=True)
    closed = ClosedShape(allow_null=True)


class DiffShape(serializers.Serializer[Any]):
    to = serializers.CharField()
    content = serializers.DictField()
    variables = serializers.DictField()
    config = serializers.ListField(child=serializers.DictField())
    includes = serializers.ListField(child=serializers.DictField())
    words = serializers.DictField(child=serializers.IntegerField())
    same = serializers.BooleanField()
    hidden = serializers.ListField(child=serializers.DictField())

    def get_fields(self) -> Any:
        return {"from": serializers.CharField(), **super().get_fields()}


class PolicyShape(serializers.Serializer[Any]):
    required_approvals = serializers.IntegerField()
    required_checks = serializers.ListField(child=serializers.CharField())
    review_groups = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    approval_ttl_days = serializers.IntegerField()
    evidence_ttl_days = serializers.IntegerField()
    rollout_plan = serializers.ListField(child=serializers.DictField())
    rollback_roles = serializers.ListField(child=serializers.CharField())


class FreezeShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    to = serializers.DateTimeField()
    reason = serializers.CharField()

    def get_fields(self) -> Any:
        return {"from": serializers.DateTimeField(), **super().get_fields()}


class ChannelShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    protected = serializers.BooleanField()
    policy = PolicyShape(allow_null=True)
    freezes = FreezeShape(many=True)


class PolicyChangeShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    channel = serializers.CharField()
    policy = PolicyShape()
    status = serializers.ChoiceField(["waiting"])
    author = ActorShape()
    reason = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField()
