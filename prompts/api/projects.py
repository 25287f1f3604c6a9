"""Projects by REST."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.admission import IDEMPOTENCY_HEADER
from accounts.api.door import CountedView, DoorView
from accounts.api.schemas import PROBLEM, ProjectShape, page_of
from accounts.authentication import SignedIn, caller_of
from accounts.models import Project
from accounts.roles import Permission
from accounts.shapes import project_shape
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.pagination import PARAMETERS as PAGE_PARAMETERS
from promptforge.lib.pagination import page
from promptforge.lib.rest import Choice, Flag, StrictSerializer, Text, refuse_unknown_parameters
from promptforge.lib.verdicts import require
from prompts.actions.projects import PRESETS, change_project, found_project


class NewProject(StrictSerializer):
    shown_only = ("created_at", "importing", "serves_stale")
    name = Text()
    preset = Choice(list(PRESETS), default="team")


class ChangedProject(StrictSerializer):
    shown_only = ("name", "created_at", "importing")
    serves_stale = Flag(help_text="Answer fetches of channels from memory while the database is gone, marked as stale.")


class ProjectsView(CountedView):
    """The projects within reach; the one address that needs no project named."""

    permission_classes = (SignedIn,)

    @extend_schema(
        operation_id="list_projects",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor", str)],
        responses={200: page_of(ProjectShape), **PROBLEM},
    )
    def get(self, request: Request) -> Response:
        refuse_unknown_parameters(request, PAGE_PARAMETERS)
        user, key = caller_of(request)
        projects = Project.objects.of_member(user) if key is None else Project.objects.filter(pk=key.project_id)
        return Response(page(request, projects, key="name", shape=project_shape))

    @extend_schema(operation_id="create_project", request=NewProject, responses={201: ProjectShape, **PROBLEM})
    def post(self, request: Request) -> Response:
        """Make a project; whoever makes it is its first admin and release manager."""
        user, key = caller_of(request)
        if key is not None:
            raise DomainError("forbidden", "A key never makes projects: a person does, signed in.")
        if IDEMPOTENCY_HEADER in request.headers:
            raise DomainError(
                "bad_value",
                f"{IDEMPOTENCY_HEADER} is not taken here: a project's name is there once, so a repetition is refused "
                "with name_taken. Leave the header out.",
            )
        asked = NewProject.read(request)
        project = found_project(by=user, name=asked["name"], preset=asked["preset"])
        return Response(project_shape(project), status=status.HTTP_201_CREATED)


class ProjectView(DoorView):
    @extend_schema(operation_id="change_project", request=ChangedProject, responses={200: ProjectShape, **PROBLEM})
    def patch(self, request: Request, name: str) -> Response:
        require(self.principal.may(Permission.CONFIGURE))
        asked = ChangedProject.read(request)
        if name != self.principal.project.name:
            raise DomainError("project_not_found", f"There is no project {shorten(name)} within reach.")
        return Response(project_shape(change_project(by=self.principal, **asked)))
