"""What models made of versions, by REST: services report it, people look it up."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.door import DoorView
from accounts.roles import Permission, Scope
from delivery import reading
from delivery.actions.observations import read_observations, store_observations
from delivery.api.schemas import ExplainedObservationShape, IntakeShape, ObservationShape, ReportRequest
from delivery.api.views import BucketView
from delivery.intake import LARGEST_CALL, Reach
from delivery.limits import INTAKE
from delivery.models import Arm, Observation
from delivery.shapes import feedback_shape, observation_shape, origin_shape
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.pagination import PARAMETERS as PAGE_PARAMETERS
from promptforge.lib.pagination import page
from promptforge.lib.rest import StrictJSONParser, refuse_unknown_parameters
from promptforge.lib.verdicts import require
from prompts.api.schemas import PROBLEM, page_of

MOST_FEEDBACK = 200
FILTER_PARAMETERS = [
    OpenApiParameter("trace_id", str),
    OpenApiParameter("session_id", str),
    OpenApiParameter("user", str),
    OpenApiParameter("prompt", str),
    OpenApiParameter("version", int, description="Of the prompt, which is named too."),
    OpenApiParameter("channel", str),
    OpenApiParameter("arm", str, enum=Arm.values),
    OpenApiParameter("receipt", str, description="What was served in the same state."),
    OpenApiParameter("from", str, description="RFC 3339: from this instant on."),
    OpenApiParameter("to", str, description="RFC 3339: before this instant."),
    OpenApiParameter("limit", int),
    OpenApiParameter("cursor", str),
]


class ReportParser(StrictJSONParser):
    """Hands over the bytes: `intake` reads them, so that one bad observation does not cost the others."""

    max_bytes = LARGEST_CALL

    def read(self, body: bytes) -> bytes:
        return body


class IntakeView(BucketView):
    """A door for reports, which are counted in the class `intake` and not as writes."""

    reading = ("GET", "HEAD", "OPTIONS", "POST")
    buckets = INTAKE

    def counts(self, method: str | None) -> bool:
        return method == "POST"


class ObservationsView(IntakeView):
    def get_parsers(self) -> list[Any]:
        return [ReportParser()]

    @extend_schema(
        operation_id="list_observations",
        parameters=[*FILTER_PARAMETERS, OpenApiParameter("q", str, description="Part of the output.")],
        responses={200: page_of(ObservationShape), **PROBLEM},
    )
    def get(self, request: Request) -> Response:
        """What was reported, newest first; with its content for those who may read what models answered."""
        require(self.principal.may_with_scope(Permission.READ, Scope.OBSERVATIONS_READ))
        refuse_unknown_parameters(request, (*reading.FILTERS, "from", "to", "q", *PAGE_PARAMETERS))
        given = request.query_params.dict()
        content = reading.content_prompts(self.principal)
        with reading.bounded_search():
            observations = reading.between(reading.narrowed(self.principal, given), given)
            if "q" in given:
                observations = reading.saying(observations, given["q"], self.principal, content)
            rows = observations.select_related("prompt", "version", "channel", "key")
            answer = page(request, rows, key="-at", shape=lambda row: _shape(row, content))
        return Response(answer)

    @extend_schema(
        operation_id="report_observations",
        request=ReportRequest,
        responses={202: IntakeShape, **PROBLEM},
    )
    def post(self, request: Request) -> Response:
        """Store 1 to 1,000 observations. Those that cannot be stored are told apart, and cost no other one."""
        require(self.principal.may_report(Scope.OBSERVATIONS_WRITE))
        refuse_unknown_parameters(request, ())
        key = self.principal.key
        assert key is not None
        body: Any = b"" if request.stream is None else request.data
        batch = read_observations(body=body, reach=Reach(key.project_id, key.pk, key.reaches_prompt))
        stored = store_observations(rows=batch.rows)
        answer = {"accepted": stored.accepted, "duplicates": stored.duplicates, "rejected": batch.rejected}
        return Response(answer, status=status.HTTP_202_ACCEPTED)


class ObservationView(DoorView):
    @extend_schema(operation_id="get_observation", responses={200: ExplainedObservationShape, **PROBLEM})
    def get(self, request: Request, observation_id: str) -> Response:
        """One observation, what was said of it, and where it came from: version, release, promotion, approvers."""
        require(self.principal.may_with_scope(Permission.READ, Scope.OBSERVATIONS_READ))
        refuse_unknown_parameters(request, ())
        seen = reading.observations_of(self.principal).select_related("prompt", "version", "channel", "key")
        observation = seen.filter(uid=reading.uuid_of(observation_id)).first()
        if observation is None:
            raise DomainError("not_found", f"There is no observation {shorten(observation_id)} within reach.")
        content = reading.content_prompts(self.principal)
        shown = _shape(observation, content)
        said = reading.feedback_about(Observation.objects.filter(pk=observation.pk)).select_related("key")
        feedback = [
            feedback_shape(row, content="output" in shown) for row in said.order_by("-at", "-id")[:MOST_FEEDBACK]
        ]
        return Response(shown | origin_shape(reading.release_behind(observation)) | {"feedback": feedback})


def _shape(observation: Observation, content: frozenset[int] | None) -> dict[str, Any]:
    return observation_shape(observation, content=content is None or observation.prompt_id in content)
