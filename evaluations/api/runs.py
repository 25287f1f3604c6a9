"""Evaluation runs by REST: started, watched, ended, and taken away as a file."""

from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.admission import idempotent
from accounts.api.door import DoorView
from accounts.api.schemas import PROBLEM, page_of
from accounts.roles import Permission, Scope
from evaluations.actions.runs import cancel_run, label_answer, resume_run, start_run
from evaluations.api.run_schemas import EstimateShape, LabelShape, ResultShape, RunShape, WholeRunShape
from evaluations.calibrating import calibration, judged_criterion
from evaluations.estimating import estimate_run
from evaluations.models import Cell, EvaluationRun
from evaluations.reporting import FILES, report_of
from evaluations.run_reading import find_connection_named, find_result, find_run, find_set_named, parts_of, visible_runs
from evaluations.run_shapes import result_shape, run_shape, run_shapes, whole_shape
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.pagination import PARAMETERS as PAGE_PARAMETERS
from promptforge.lib.pagination import page
from promptforge.lib.rest import Flag, StrictSerializer, Text, Whole, refuse_unknown_parameters
from promptforge.lib.verdicts import require
from prompts.reading import find_prompt

_PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor", str)]
_AS_FILE = {(200, kind.partition(";")[0]): OpenApiTypes.STR for kind, _, _ in FILES.values()}
_STATES = EvaluationRun.Status.values


class NewRun(StrictSerializer):
    shown_only = ("id", "status", "verdict", "progress", "revision", "plan", "calls", "cost_usd", "created_at")
    candidate = Text(help_text="Such as support/greeting@9.")
    baseline = Text(default="stable", allow_null=True, help_text="A channel, a number, or null for none.")
    set = Text()
    connection = Text()
    judge = Text(default=None, allow_null=True, help_text="A connection; null: the same as `connection`.")
    repeats = Whole(default=None, allow_null=True, min_value=1, max_value=100)
    margin = serializers.FloatField(default=None, allow_null=True)
    max_cost_usd = serializers.DecimalField(
        12, 6, default=None, allow_null=True, min_value=Decimal(0), coerce_to_string=False
    )


class NewLabel(StrictSerializer):
    result = Text(help_text="The id of a result.")
    criterion = Text()
    passed = Flag()


class RunDoor(DoorView):
    """A door about runs."""

    def asked(self, request: Request) -> dict[str, Any]:
        """What a run is to compare, found among what the principal may see."""
        require(self.principal.may_somewhere(Permission.EDIT, Scope.EVALUATIONS_RUN))
        asked = NewRun.read(request)
        candidate, baseline, channel = parts_of(self.principal, asked["candidate"], asked["baseline"])
        return {
            "candidate": candidate,
            "baseline": baseline,
            "channel": channel,
            "owner": find_set_named(self.principal, asked["set"]),
            "connection": find_connection_named(self.principal, asked["connection"]),
            "judge": None if asked["judge"] is None else find_connection_named(self.principal, asked["judge"]),
            "margin": asked["margin"],
            "repeats": asked["repeats"],
            "max_cost_usd": asked["max_cost_usd"],
        }


class RunsView(RunDoor):
    @extend_schema(
        operation_id="list_evaluation_runs",
        parameters=[OpenApiParameter("prompt", str), OpenApiParameter("status", str, enum=_STATES), *_PAGE],
        responses={200: page_of(RunShape), **PROBLEM},
    )
    def get(self, request: Request) -> Response:
        """Runs, newest first."""
        runs = visible_runs(self.principal)
        refuse_unknown_parameters(request, ("prompt", "status", *PAGE_PARAMETERS))
        given = request.query_params
        if (name := given.get("prompt")) is not None:
            scope = Scope.EVALUATIONS_RUN
            runs = runs.filter(candidate__prompt=find_prompt(self.principal, name, Permission.READ, scope))
        if (wanted := given.get("status")) is not None:
            if wanted not in _STATES:
                raise DomainError("bad_value", f"status is one of {', '.join(_STATES)}, not {shorten(wanted)}.")
            runs = runs.filter(status=wanted)
        answer = page(request, runs, key="-id", shape=lambda run: run)
        return Response(answer | {"data": run_shapes(answer["data"])})

    @extend_schema(operation_id="start_evaluation_run", request=NewRun, responses={201: RunShape, **PROBLEM})
    @idempotent
    def post(self, request: Request) -> Response:
        """Compare a version with the one that is live, over a set's newest revision."""
        run = start_run(by=self.principal, **self.asked(request))
        return Response(run_shape(run), status=status.HTTP_201_CREATED)


class EstimateView(RunDoor):
    @extend_schema(operation_id="estimate_evaluation_run", request=NewRun, responses={200: EstimateShape, **PROBLEM})
    def post(self, request: Request) -> Response:
        """What a run would take, without starting it."""
        return Response(estimate_run(by=self.principal, **self.asked(request)))


class RunView(RunDoor):
    @extend_schema(operation_id="get_evaluation_run", responses={200: RunShape, **PROBLEM})
    def get(self, request: Request, run_id: str) -> Response:
        """A run with its progress, and once it is done its verdict."""
        require(self.principal.may_somewhere(Permission.READ, Scope.EVALUATIONS_RUN))
        run = find_run(self.principal, run_id)
        refuse_unknown_parameters(request, ())
        return Response(run_shape(run))


class ResultsView(RunDoor):
    @extend_schema(
        operation_id="list_evaluation_results", parameters=_PAGE, responses={200: page_of(ResultShape), **PROBLEM}
    )
    def get(self, request: Request, run_id: str) -> Response:
        """Every call of a run, in the order in which they were planned."""
        require(self.principal.may_somewhere(Permission.READ, Scope.EVALUATIONS_RUN))
        run = find_run(self.principal, run_id)
        refuse_unknown_parameters(request, PAGE_PARAMETERS)
        cells = Cell.objects.filter(run=run).select_related("case")
        return Response(page(request, cells, key="position", shape=result_shape))


class CancelView(RunDoor):
    @extend_schema(operation_id="cancel_evaluation_run", request=None, responses={200: RunShape, **PROBLEM})
    def post(self, request: Request, run_id: str) -> Response:
        require(self.principal.may_somewhere(Permission.EDIT, Scope.EVALUATIONS_RUN))
        cancelled = cancel_run(by=self.principal, run=find_run(self.principal, run_id))
        return Response(run_shape(cancelled))


class ResumeView(RunDoor):
    @extend_schema(operation_id="resume_evaluation_run", request=None, responses={200: RunShape, **PROBLEM})
    def post(self, request: Request, run_id: str) -> Response:
        """Go on with a paused run, once what paused it is mended."""
        require(self.principal.may_somewhere(Permission.EDIT, Scope.EVALUATIONS_RUN))
        resumed = resume_run(by=self.principal, run=find_run(self.principal, run_id))
        return Response(run_shape(resumed))


class LabelsView(RunDoor):
    @extend_schema(operation_id="label_evaluation_result", request=NewLabel, responses={201: LabelShape, **PROBLEM})
    def post(self, request: Request, run_id: str) -> Response:
        """Say whether an answer passes a judged criterion: from 30 such labels on, a judge that agrees counts."""
        require(self.principal.may_somewhere(Permission.EDIT, Scope.EVALUATIONS_RUN))
        run, asked = find_run(self.principal, run_id), NewLabel.read(request)
        cell = find_result(run, asked["result"])
        label = label_answer(by=self.principal, cell=cell, criterion=asked["criterion"], passed=asked["passed"])
        criterion = judged_criterion(cell, label.criterion)
        assert criterion is not None  # or it would not have been labelled
        found = calibration(run.project_id, run.judge_settings, criterion)
        shape = {"labels": found.labels, "counts": found.enough, "sentence": found.sentence}
        return Response(asked | shape, status=status.HTTP_201_CREATED)


class ExportView(RunDoor):
    @extend_schema(
        operation_id="export_evaluation_run",
        parameters=[OpenApiParameter("format", str, enum=[*FILES, "json"])],
        responses={(200, "application/json"): WholeRunShape, **_AS_FILE, **PROBLEM},
    )
    def get(self, request: Request, run_id: str) -> HttpResponse | Response:
        """The run as a file: JUnit's XML, a comment in Markdown, every score as CSV, or all of it as JSON."""
        require(self.principal.may_somewhere(Permission.READ, Scope.EVALUATIONS_RUN))
        run = find_run(self.principal, run_id)
        refuse_unknown_parameters(request, ("format",))
        wanted = request.query_params.get("format", "json")
        if wanted == "json":
            return Response(whole_shape(run))
        if wanted not in FILES:
            raise DomainError("bad_value", f"format is one of json, {', '.join(FILES)}, not {shorten(wanted)}.")
        kind, ending, write = FILES[wanted]
        answer = HttpResponse(write(report_of(run)), content_type=kind)
        answer["Content-Disposition"] = f'attachment; filename="{run_id}.{ending}"'
        return answer
