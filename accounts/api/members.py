"""Members and projects by REST."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.actions.members import add_member, grant_break_glass, remove_member, set_roles
from accounts.admission import idempotent
from accounts.api.door import DoorView
from accounts.api.schemas import PROBLEM, GrantShape, MemberShape, page_of
from accounts.models import Membership, User
from accounts.roles import Permission
from accounts.shapes import grant_shape, member_shape
from accounts.sign_in import require_recent_sign_in
from promptforge.lib.errors import DomainError
from promptforge.lib.ids import decode
from promptforge.lib.pagination import PARAMETERS as PAGE_PARAMETERS
from promptforge.lib.pagination import page
from promptforge.lib.rest import Choice, StrictSerializer, Text, Whole, refuse_unknown_parameters
from promptforge.lib.verdicts import require

MOST_GRANT_MINUTES = 24 * 60


class NewMember(StrictSerializer):
    shown_only = ("id",)
    email = Text()
    name = Text(default="", max_length=200)
    roles = serializers.ListField(child=Text())


class ChangedMember(StrictSerializer):
    shown_only = ("id", "email", "name")
    roles = serializers.ListField(child=Text())


class NewGrant(StrictSerializer):
    permission = Choice(["break_glass"])
    minutes = Whole(min_value=1, max_value=MOST_GRANT_MINUTES)


class MembersView(DoorView):
    @extend_schema(
        operation_id="list_members",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor", str)],
        responses={200: page_of(MemberShape), **PROBLEM},
    )
    def get(self, request: Request) -> Response:
        require(self.principal.may(Permission.ADMINISTER))
        refuse_unknown_parameters(request, PAGE_PARAMETERS)
        members = Membership.objects.filter(project=self.principal.project).select_related("user")
        return Response(page(request, members, key="id", shape=member_shape))

    @extend_schema(operation_id="add_member", request=NewMember, responses={201: MemberShape, **PROBLEM})
    @idempotent
    def post(self, request: Request) -> Response:
        """Give a person roles; somebody who is a member already gets exactly these."""
        require(self.principal.may(Permission.ADMINISTER))
        asked = NewMember.read(request)
        members = Membership.objects.filter(project=self.principal.project)
        is_stranger = not members.filter(user__in=User.objects.addressed(asked["email"])).exists()
        shape = member_shape(add_member(by=self.principal, **asked))
        if is_stranger:  # an address alone does not tell what somebody is called in another project
            shape["name"] = asked["name"]
        return Response(shape, status=status.HTTP_201_CREATED)


class MemberView(DoorView):
    @extend_schema(operation_id="change_member", request=ChangedMember, responses={200: MemberShape, **PROBLEM})
    def patch(self, request: Request, member_id: str) -> Response:
        require(self.principal.may(Permission.ADMINISTER))
        roles = ChangedMember.read(request)["roles"]
        member = self.member(member_id)
        made = set_roles(project=self.principal.project, user=member.user, roles=roles, by=self.principal)
        return Response(member_shape(made))

    @extend_schema(operation_id="remove_member", responses={204: None, **PROBLEM})
    def delete(self, request: Request, member_id: str) -> Response:
        """End a membership: the next request of that person is refused."""
        require(self.principal.may(Permission.ADMINISTER))
        refuse_unknown_parameters(request, ())
        remove_member(membership=self.member(member_id), by=self.principal)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def member(self, member_id: str) -> Membership:
        found = (
            Membership.objects.select_related("user", "project")
            .filter(project=self.principal.project, pk=decode("mem", member_id, "not_found"))
            .first()
        )
        if found is None:
            raise DomainError("not_found", "There is no such member within reach.")
        return found


class GrantsView(MemberView):
    http_method_names = ["post", "options"]

    @extend_schema(operation_id="grant", request=NewGrant, responses={201: GrantShape, **PROBLEM})
    @idempotent
    def post(self, request: Request, member_id: str) -> Response:
        """Let another person break glass for some minutes."""
        require(self.principal.may(Permission.ADMINISTER))
        if self.principal.key is None:
            require_recent_sign_in(request._request)  # noqa: SLF001  the session is the plain request's
        minutes = NewGrant.read(request)["minutes"]
        user = self.member(member_id).user
        made = grant_break_glass(project=self.principal.project, user=user, minutes=minutes, by=self.principal)
        return Response(grant_shape(made), status=status.HTTP_201_CREATED)
