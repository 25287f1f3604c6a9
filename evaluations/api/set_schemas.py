"""The shapes of sets and cases in requests and answers."""

from typing import Any

from rest_framework import serializers

from accounts.api.schemas import ActorShape
from promptforge.lib.rest import Flag, StrictSerializer, Text


class CriterionShape(serializers.Serializer[Any]):
    type = serializers.CharField()
    value = serializers.JSONField(allow_null=True)
    threshold = serializers.FloatField(allow_null=True)
    weight = serializers.FloatField()
    name = serializers.CharField(required=False)

    def get_fields(self) -> Any:
        return super().get_fields() | {"not": serializers.BooleanField()}


class SetShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    prompt = serializers.CharField(allow_null=True)
    description = serializers.CharField(allow_blank=True)
    criteria = CriterionShape(many=True)
    cases = serializers.IntegerField()
    revision = serializers.IntegerField()
    archived = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class SetDetailShape(SetShape):
    advice = serializers.ListField(child=serializers.CharField())


class SetRevisionShape(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    at = serializers.DateTimeField()
    author = ActorShape()
    message = serializers.CharField(allow_blank=True)
    criteria = CriterionShape(many=True)
    cases = serializers.IntegerField()


class CaseRequest(StrictSerializer):
    """A case as it is sent; its values are checked by `read_case`, which every reader of files shares."""

    shown_only = ("revision",)
    key = Text(required=False)
    variables = serializers.DictField(required=False)
    messages = serializers.DictField(required=False)
    expected = Text(required=False, allow_null=True)
    tags = serializers.ListField(child=Text(), required=False)
    group = Text(required=False)
    critical = Flag(required=False)
    criteria = serializers.ListField(required=False)


class CaseShape(serializers.Serializer[Any]):
    key = serializers.CharField()
    variables = serializers.DictField()
    messages = serializers.DictField()
    expected = serializers.CharField(allow_null=True, allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField())
    group = serializers.CharField(allow_blank=True)
    critical = serializers.BooleanField()
    criteria = CriterionShape(many=True)
    revision = serializers.IntegerField()


class ToldShape(serializers.Serializer[Any]):
    line = serializers.IntegerField(allow_null=True)
    detail = serializers.CharField()


class ImportShape(serializers.Serializer[Any]):
    revision = serializers.IntegerField()
    cases = serializers.IntegerField()
    criteria = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    problems = ToldShape(many=True)
    notes = ToldShape(many=True)
