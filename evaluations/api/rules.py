"""Gate rules by REST: which evaluation a channel demands before a version goes live on it."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.admission import idempotent
from accounts.api.door import DoorView
from accounts.api.schemas import PROBLEM, ActorShape, page_of
from accounts.roles import Permission
from evaluations.actions.rules import DEFAULT_MARGIN, add_rule, agree_to_removal, remove_rule
from evaluations.rule_reading import find_demanded, find_rule, rule_shape, visible_rules
from evaluations.run_reading import find_connection_named
from promptforge.lib.pagination import PARAMETERS as PAGE_PARAMETERS
from promptforge.lib.pagination import page
from promptforge.lib.rest import StrictSerializer, Text, Whole, refuse_unknown_parameters
from promptforge.lib.verdicts import require
from prompts.reading import find_channel, find_prompt

_RIGHT = Permission.CONFIGURE
_PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor", str)]


class NewRule(StrictSerializer):
    shown_only = ("id", "created_by", "created_at", "removal_asked_by", "removal_asked_at")
    channel = Text()
    prompt = Text(default=None, allow_null=True, help_text="Null: every prompt that the set is for.")
    set = Text()
    connection = Text()
    judge = Text(default=None, allow_null=True, help_text="A connection; null: the same as `connection`.")
    margin = serializers.FloatField(default=DEFAULT_MARGIN, help_text="0.1: ten points of a hundred.")
    repeats = Whole(default=None, allow_null=True, help_text="At the last look; null: the plan's.")


class RuleShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    channel = serializers.CharField()
    prompt = serializers.CharField(allow_null=True)
    set = serializers.CharField()
    connection = serializers.CharField()
    judge = serializers.CharField(allow_null=True)
    margin = serializers.FloatField()
    repeats = serializers.IntegerField(allow_null=True)
    created_by = ActorShape()
    created_at = serializers.DateTimeField()
    removal_asked_by = ActorShape(allow_null=True)
    removal_asked_at = serializers.DateTimeField(allow_null=True)


class RulesView(DoorView):
    @extend_schema(
        operation_id="list_evaluation_rules",
        parameters=[OpenApiParameter("channel", str), *_PAGE],
        responses={200: page_of(RuleShape), **PROBLEM},
    )
    def get(self, request: Request) -> Response:
        """The rules that stand, newest first."""
        rules = visible_rules(self.principal)
        refuse_unknown_parameters(request, ("channel", *PAGE_PARAMETERS))
        if (name := request.query_params.get("channel")) is not None:
            rules = rules.filter(channel=find_channel(self.principal, name))
        return Response(page(request, rules, key="-id", shape=rule_shape))

    @extend_schema(operation_id="add_evaluation_rule", request=NewRule, responses={201: RuleShape, **PROBLEM})
    @idempotent
    def post(self, request: Request) -> Response:
        """Demand an evaluation of a channel. It acts at once, on open promotions too."""
        require(self.principal.may(Permission.CONFIGURE))
        asked = NewRule.read(request)
        rule = add_rule(
            by=self.principal,
            channel=find_channel(self.principal, asked["channel"]),
            evaluation_set=find_demanded(self.principal, asked["set"]),
            connection=find_connection_named(self.principal, asked["connection"]),
            prompt=None if asked["prompt"] is None else find_prompt(self.principal, asked["prompt"], _RIGHT),
            judge=None if asked["judge"] is None else find_connection_named(self.principal, asked["judge"]),
            margin=asked["margin"],
            repeats=asked["repeats"],
        )
        return Response(rule_shape(rule), status=status.HTTP_201_CREATED)


class RuleView(DoorView):
    @extend_schema(operation_id="get_evaluation_rule", responses={200: RuleShape, **PROBLEM})
    def get(self, request: Request, rule_id: str) -> Response:
        visible_rules(self.principal)
        refuse_unknown_parameters(request, ())
        return Response(rule_shape(find_rule(self.principal, rule_id)))

    @extend_schema(operation_id="remove_evaluation_rule", responses={202: RuleShape, 204: None, **PROBLEM})
    def delete(self, request: Request, rule_id: str) -> Response:
        """Take it away: at once (204), or on a protected channel once a second person agrees (202)."""
        require(self.principal.may(Permission.CONFIGURE))
        refuse_unknown_parameters(request, ())
        rule = remove_rule(by=self.principal, rule=find_rule(self.principal, rule_id))
        if rule.removed_at is not None:
            return Response(status=status.HTTP_204_NO_CONTENT)
        return Response(rule_shape(find_rule(self.principal, rule_id)), status=status.HTTP_202_ACCEPTED)


class AgreeView(DoorView):
    @extend_schema(operation_id="agree_to_rule_removal", request=None, responses={204: None, **PROBLEM})
    def post(self, request: Request, rule_id: str) -> Response:
        """Agree that it is taken away, as the second person."""
        require(self.principal.may(Permission.CONFIGURE))
        refuse_unknown_parameters(request, ())
        agree_to_removal(by=self.principal, rule=find_rule(self.principal, rule_id))
        return Response(status=status.HTTP_204_NO_CONTENT)
