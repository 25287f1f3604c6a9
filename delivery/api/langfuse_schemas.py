# ruff: noqa: N815  fields are named as Langfuse names them
"""The shapes of the Langfuse-compatible door's answers for the OpenAPI schema."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

from prompts.api.schemas import ContentField


class LangfuseRefusalShape(serializers.Serializer[Any]):
    message = serializers.CharField()
    error = serializers.CharField(help_text="Langfuse's name for refusals of this status.")
    code = serializers.CharField()
    request_id = serializers.CharField()


class OwnPartShape(serializers.Serializer[Any]):
    channel = serializers.CharField(allow_null=True)
    revision = serializers.IntegerField(allow_null=True)
    digest = serializers.CharField()
    receipt = serializers.CharField()


class LangfusePromptShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    projectId = serializers.CharField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    type = serializers.ChoiceField(["text", "chat"])
    prompt = ContentField()
    config = serializers.DictField()
    labels = serializers.ListField(child=serializers.CharField())
    tags = serializers.ListField(child=serializers.CharField())
    commitMessage = serializers.CharField(allow_null=True)
    createdBy = serializers.CharField()
    createdAt = serializers.DateTimeField()
    updatedAt = serializers.DateTimeField()
    isActive = serializers.BooleanField()
    resolutionGraph = serializers.DictField(allow_null=True)
    promptforge = OwnPartShape()


class LangfuseEntryShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.ChoiceField(["text", "chat"])
    versions = serializers.ListField(child=serializers.IntegerField())
    labels = serializers.ListField(child=serializers.CharField())
    tags = serializers.ListField(child=serializers.CharField())
    lastUpdatedAt = serializers.DateTimeField()
    lastConfig = serializers.DictField()


class LangfuseMetaShape(serializers.Serializer[Any]):
    page = serializers.IntegerField()
    limit = serializers.IntegerField()
    totalItems = serializers.IntegerField()
    totalPages = serializers.IntegerField()


class LangfuseListShape(serializers.Serializer[Any]):
    data = LangfuseEntryShape(many=True)  # type: ignore[assignment]  # a field of that name
    meta = LangfuseMetaShape()


_REFUSAL = OpenApiResponse(LangfuseRefusalShape, description="What is wrong, where, and how to mend it.")
LANGFUSE_REFUSALS = dict.fromkeys((400, 401, 403, 404, 405, 406, 429, 500, 503), _REFUSAL)
