"""What became of answers, by REST."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.admission import idempotent
from accounts.roles import Permission, Scope
from delivery import reading
from delivery.actions.feedback import give_feedback
from delivery.api.observations import FILTER_PARAMETERS, IntakeView
from delivery.api.schemas import FeedbackShape, ValueField
from delivery.shapes import feedback_shape
from promptforge.lib.pagination import PARAMETERS as PAGE_PARAMETERS
from promptforge.lib.pagination import page
from promptforge.lib.rest import StrictSerializer, Text, refuse_unknown_parameters
from promptforge.lib.verdicts import require
from prompts.api.schemas import PROBLEM, page_of


class FeedbackRequest(StrictSerializer):
    shown_only = ("id", "at", "reported_by")
    observation = Text(default=None, allow_null=True, help_text="Its id.")
    trace_id = Text(default=None, allow_null=True, allow_blank=False, max_length=256, help_text="Instead of the id.")
    name = Text(allow_blank=False, max_length=100, help_text="What is said, such as thumb.")
    value = ValueField()
    comment = Text(default="", max_length=10_000)
    user = Text(default=None, allow_null=True, max_length=256)


class FeedbackView(IntakeView):
    @extend_schema(
        operation_id="list_feedback",
        parameters=[*FILTER_PARAMETERS, OpenApiParameter("observation", str), OpenApiParameter("name", str)],
        responses={200: page_of(FeedbackShape), **PROBLEM},
    )
    def get(self, request: Request) -> Response:
        """What was said, newest first: of the observations that fit, by the user that is named, in the time given."""
        require(self.principal.may_with_scope(Permission.READ, Scope.OBSERVATIONS_READ))
        known = (*reading.FILTERS, "from", "to", "observation", "name", *PAGE_PARAMETERS)
        refuse_unknown_parameters(request, known)
        given = request.query_params.dict()
        user = given.pop("user", None)
        content = reading.content_prompts(self.principal) is None
        with reading.bounded_search():
            rows = reading.between(reading.feedback_about(reading.narrowed(self.principal, given)), given)
            if user is not None:
                rows = rows.filter(end_user=user)
            if "observation" in given:
                rows = rows.filter(observation=reading.uuid_of(given["observation"]))
            if "name" in given:
                rows = rows.filter(name=given["name"])
            answer = page(
                request, rows.select_related("key"), key="-at", shape=lambda row: feedback_shape(row, content=content)
            )
        return Response(answer)

    @extend_schema(operation_id="give_feedback", request=FeedbackRequest, responses={201: FeedbackShape, **PROBLEM})
    @idempotent
    def post(self, request: Request) -> Response:
        """Say something of an observation, or of all observations of a trace."""
        require(self.principal.may_report(Scope.FEEDBACK_WRITE))
        asked = FeedbackRequest.read(request)
        if asked["observation"] is not None:
            asked["observation"] = str(reading.uuid_of(asked["observation"]))
        feedback = give_feedback(by=self.principal, **asked)
        return Response(feedback_shape(feedback, content=True), status=status.HTTP_201_CREATED)
