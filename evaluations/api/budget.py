"""What a project's evaluations may cost in a day, by REST."""

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.door import DoorView
from accounts.api.schemas import PROBLEM
from accounts.models import Project
from accounts.roles import Permission
from evaluations.actions.connections import set_budget
from evaluations.spending import today
from promptforge.lib.rest import StrictSerializer, Whole, refuse_unknown_parameters
from promptforge.lib.verdicts import require


class ChangedBudget(StrictSerializer):
    shown_only = ("today",)
    calls_per_day = Whole(required=False, allow_null=True, help_text="Null: no ceiling.")
    usd_per_day = serializers.DecimalField(
        12, 6, required=False, allow_null=True, coerce_to_string=False, help_text="Null: no ceiling."
    )


class SpentShape(serializers.Serializer[Any]):
    day = serializers.DateField(help_text="UTC.")
    calls = serializers.IntegerField()
    usd = serializers.FloatField(help_text="Calls on their way at the most that they can cost.")


class BudgetShape(serializers.Serializer[Any]):
    calls_per_day = serializers.IntegerField(allow_null=True)
    usd_per_day = serializers.FloatField(allow_null=True)
    today = SpentShape()


class BudgetView(DoorView):
    @extend_schema(operation_id="get_evaluation_budget", responses={200: BudgetShape, **PROBLEM})
    def get(self, request: Request) -> Response:
        """The ceilings of a day, and what today has cost."""
        require(self.principal.may(Permission.CONFIGURE))
        refuse_unknown_parameters(request, ())
        return Response(budget_shape(self.principal.project))

    @extend_schema(
        operation_id="change_evaluation_budget", request=ChangedBudget, responses={200: BudgetShape, **PROBLEM}
    )
    def patch(self, request: Request) -> Response:
        """Fields that are not named stay; it holds from the next call on."""
        require(self.principal.may(Permission.CONFIGURE))
        set_budget(by=self.principal, fields=ChangedBudget.read(request))
        return Response(budget_shape(self.principal.project))


def budget_shape(project: Project) -> dict[str, Any]:
    budget, spent = today(project)
    return {
        "calls_per_day": budget.calls_per_day,
        "usd_per_day": None if budget.usd_per_day is None else float(budget.usd_per_day),
        "today": {"day": spent.day.isoformat(), "calls": spent.calls, "usd": float(Decimal(spent.usd))},
    }
