"""Evaluation sets by REST: their cases one by one or as files, their revisions, and their export."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.admission import idempotent
from accounts.api.door import DoorView
from accounts.api.schemas import PROBLEM, page_of
from accounts.roles import Permission, Scope
from evaluations.actions.sets import (
    add_case,
    change_case,
    change_set,
    create_set,
    find_case,
    import_cases,
    remove_case,
)
from evaluations.api.set_schemas import CaseRequest, CaseShape, ImportShape, SetDetailShape, SetRevisionShape, SetShape
from evaluations.exporting import FORMATS, as_file
from evaluations.formats.records import MAX_BYTES, Imported, duplicates
from evaluations.importing import CSV, JSON, LINES, YAML, read_file, read_json_file, read_mapping
from evaluations.models import SetRevision
from evaluations.set_reading import (
    advice,
    case_shape,
    find_revision,
    find_set,
    revision_shape,
    set_shape,
    set_shapes,
    sized,
    visible_sets,
)
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.pagination import PARAMETERS as PAGE_PARAMETERS
from promptforge.lib.pagination import page
from promptforge.lib.rest import Flag, StrictJSONParser, StrictSerializer, Text, refuse_unknown_parameters
from promptforge.lib.verdicts import require
from prompts.reading import find_prompt

_PAGE = [OpenApiParameter("limit", int), OpenApiParameter("cursor", str)]
_REVISION = OpenApiParameter("revision", int, description="Default: the newest.")
MOST_TOLD = 200


class NewSet(StrictSerializer):
    shown_only = ("id", "revision", "archived", "created_at")
    name = Text()
    prompt = Text(default=None, allow_null=True, help_text="Null: shared by the project's prompts.")
    description = Text(default="", max_length=2_000)
    criteria = serializers.ListField(default=list)
    cases = serializers.ListField(default=list)


class ChangedSet(StrictSerializer):
    shown_only = ("id", "prompt", "cases", "revision", "created_at")
    name = Text(required=False)
    description = Text(required=False, max_length=2_000)
    criteria = serializers.ListField(required=False)
    archived = Flag(required=False)
    message = Text(required=False, max_length=2_000)


class SetsView(DoorView):
    @extend_schema(
        operation_id="list_evaluation_sets",
        parameters=[OpenApiParameter("prompt", str), *_PAGE],
        responses={200: page_of(SetShape), **PROBLEM},
    )
    def get(self, request: Request) -> Response:
        sets = visible_sets(self.principal)
        refuse_unknown_parameters(request, ("prompt", *PAGE_PARAMETERS))
        if (name := request.query_params.get("prompt")) is not None:
            sets = sets.filter(prompt__name=name)
        answer = page(request, sets, key="-id", shape=lambda owner: owner)
        return Response(answer | {"data": set_shapes(answer["data"])})

    @extend_schema(operation_id="create_evaluation_set", request=NewSet, responses={201: SetShape, **PROBLEM})
    @idempotent
    def post(self, request: Request) -> Response:
        require(self.principal.may_somewhere(Permission.EDIT, Scope.EVALUATIONS_RUN))
        asked = NewSet.read(request)
        name = asked.pop("prompt")
        scope = Scope.EVALUATIONS_RUN
        prompt = None if name is None else find_prompt(self.principal, name, Permission.EDIT, scope)
        made = create_set(by=self.principal, prompt=prompt, **asked)
        return Response(set_shape(made), status=status.HTTP_201_CREATED)


class SetView(DoorView):
    @extend_schema(operation_id="get_evaluation_set", responses={200: SetDetailShape, **PROBLEM})
    def get(self, request: Request, set_id: str) -> Response:
        owner = find_set(self.principal, set_id)
        refuse_unknown_parameters(request, ())
        return Response(set_shape(owner) | {"advice": advice(owner)})

    @extend_schema(operation_id="change_evaluation_set", request=ChangedSet, responses={200: SetShape, **PROBLEM})
    def patch(self, request: Request, set_id: str) -> Response:
        require(self.principal.may_somewhere(Permission.EDIT, Scope.EVALUATIONS_RUN))
        owner = find_set(self.principal, set_id)
        return Response(set_shape(change_set(by=self.principal, owner=owner, **ChangedSet.read(request))))


class CasesParser(StrictJSONParser):
    """Hands over the bytes of a case or a file; `importing` reads them by their type."""

    max_bytes = MAX_BYTES

    def read(self, body: bytes) -> bytes:
        if len(body) > self.max_bytes:
            raise DomainError("body_too_large", f"The file has {len(body):,} bytes; at most {MAX_BYTES:,} are read.")
        return body


class TableParser(CasesParser):
    media_type = CSV


class LinesParser(CasesParser):
    media_type = LINES


class YamlParser(CasesParser):
    media_type = YAML


class CasesView(DoorView):
    parser_classes = (CasesParser, TableParser, LinesParser, YamlParser)
    shown_once = ()  # a case's `key` is its name

    @extend_schema(
        operation_id="list_evaluation_cases",
        parameters=[_REVISION, *_PAGE],
        responses={200: page_of(CaseShape), **PROBLEM},
    )
    def get(self, request: Request, set_id: str) -> Response:
        owner = find_set(self.principal, set_id)
        refuse_unknown_parameters(request, ("revision", *PAGE_PARAMETERS))
        cases = find_revision(owner, request.query_params.get("revision")).cases
        return Response(page(request, cases, key="position", shape=case_shape))

    @extend_schema(
        operation_id="add_evaluation_cases",
        parameters=[
            OpenApiParameter("mapping", str, description='JSON: `{"column": "variable:name" | "expected" | … }`.'),
            OpenApiParameter("dry_run", str, enum=["0", "1"], description="`1`: tell what would be taken."),
        ],
        request={
            JSON: CaseRequest,
            CSV: OpenApiTypes.STR,
            LINES: OpenApiTypes.STR,
            YAML: OpenApiTypes.STR,
        },
        responses={200: ImportShape, 201: CaseShape, **PROBLEM},
        description="One case as JSON, or a file: CSV, JSON lines, promptfoo's YAML, CSV or JSON, or our export.",
    )
    @idempotent
    def post(self, request: Request, set_id: str) -> Response:
        require(self.principal.may_somewhere(Permission.EDIT, Scope.EVALUATIONS_RUN))
        owner = find_set(self.principal, set_id)
        refuse_unknown_parameters(request, ("mapping", "dry_run"))
        if request.stream is None:
            raise DomainError("body_required", "The request has no body; send a case as JSON, or a file.")
        body: Any = request.data
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        if kind == JSON:
            read = read_json_file(body)
        else:
            read = read_file(kind, body, read_mapping(request.query_params.get("mapping")))
        if isinstance(read, Imported):
            return self._take(request, set_id, read)
        if not isinstance(read, dict):
            raise DomainError("object_expected", "A case is a JSON object; a list of cases is sent as JSON lines.")
        made = add_case(by=self.principal, owner=owner, case=read)
        return Response(case_shape(made), status=status.HTTP_201_CREATED)

    def _take(self, request: Request, set_id: str, read: Imported) -> Response:
        owner = find_set(self.principal, set_id)
        dry = request.query_params.get("dry_run", "0")
        if dry not in ("0", "1"):
            raise DomainError("bad_value", f"dry_run is 0 or 1, not {shorten(dry, 40)}.")
        if dry == "0":
            owner = import_cases(by=self.principal, owner=owner, read=read)
        told = {
            "revision": owner.revision,
            "cases": len(read.cases),
            "criteria": len(read.criteria),
            "duplicates": len(duplicates(read.cases)),
            "problems": [{"line": line, "detail": detail} for line, detail in read.problems[:MOST_TOLD]],
            "notes": [{"line": line, "detail": detail} for line, detail in read.notes[:MOST_TOLD]],
        }
        return Response(told)


class CaseView(DoorView):
    @extend_schema(operation_id="get_evaluation_case", responses={200: CaseShape, **PROBLEM})
    def get(self, request: Request, set_id: str, key: str) -> Response:
        owner = find_set(self.principal, set_id)
        refuse_unknown_parameters(request, ())
        return Response(case_shape(find_case(owner, key)))

    @extend_schema(operation_id="change_evaluation_case", request=CaseRequest, responses={200: CaseShape, **PROBLEM})
    def patch(self, request: Request, set_id: str, key: str) -> Response:
        require(self.principal.may_somewhere(Permission.EDIT, Scope.EVALUATIONS_RUN))
        owner = find_set(self.principal, set_id)
        fields = CaseRequest.read(request)
        return Response(case_shape(change_case(by=self.principal, owner=owner, key=key, fields=fields)))

    @extend_schema(operation_id="remove_evaluation_case", request=None, responses={204: None, **PROBLEM})
    def delete(self, request: Request, set_id: str, key: str) -> Response:
        require(self.principal.may_somewhere(Permission.EDIT, Scope.EVALUATIONS_RUN))
        owner = find_set(self.principal, set_id)
        refuse_unknown_parameters(request, ())
        remove_case(by=self.principal, owner=owner, key=key)
        return Response(status=status.HTTP_204_NO_CONTENT)


class SetRevisionsView(DoorView):
    @extend_schema(
        operation_id="list_evaluation_set_revisions",
        parameters=_PAGE,
        responses={200: page_of(SetRevisionShape), **PROBLEM},
    )
    def get(self, request: Request, set_id: str) -> Response:
        owner = find_set(self.principal, set_id)
        refuse_unknown_parameters(request, PAGE_PARAMETERS)
        revisions = sized(SetRevision.objects.filter(set=owner))
        with_authors = revisions.select_related("author").prefetch_related("author__api_keys")
        return Response(page(request, with_authors, key="-number", shape=revision_shape))


class ExportView(DoorView):
    @extend_schema(
        operation_id="export_evaluation_set",
        parameters=[OpenApiParameter("format", str, enum=list(FORMATS)), _REVISION],
        responses={
            (200, JSON): OpenApiResponse(OpenApiTypes.OBJECT, description="The set as a file."),
            **{(200, kind): OpenApiTypes.STR for kind in (CSV, LINES, YAML)},
            **PROBLEM,
        },
    )
    def get(self, request: Request, set_id: str) -> HttpResponse:
        owner = find_set(self.principal, set_id)
        refuse_unknown_parameters(request, ("format", "revision"))
        revision = find_revision(owner, request.query_params.get("revision"))
        return as_file(owner, revision, request.query_params.get("format", "json"))
