"""People: making them, and their roles in a project."""

from collections.abc import Iterable
from datetime import timedelta

from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as AuthPermission
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from accounts.actions.sign_in import set_password
from accounts.models import BreakGlassGrant, Membership, Project, ProjectGroupPermission, RoleGroup, User
from accounts.policies import Principal
from accounts.roles import ROLE_PERMISSIONS, Permission, Role
from events.actions import SYSTEM, record
from events.kinds import EventKind
from promptforge.lib.errors import DomainError, shorten, wrong
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import require

LONGEST_EMAIL, LONGEST_NAME = 254, 200


def create_user(
    *, email: str, name: str = "", password: str | None = None, is_staff: bool = False, is_superuser: bool = False
) -> User:
    """Make a person, or answer with the one who has this address already (unchanged, but for a password if given)."""
    try:
        validate_email(email)
    except ValidationError:
        raise wrong("email", f"{shorten(email)} is not an e-mail address.") from None
    if len(email) > LONGEST_EMAIL:
        raise wrong("email", f"The e-mail address has {len(email)} characters; at most {LONGEST_EMAIL} are kept.")
    if len(name) > LONGEST_NAME:
        raise wrong("name", f"The name has {len(name)} characters; at most {LONGEST_NAME} are kept.")
    with refusals(), transaction.atomic():
        user = User.objects.addressed(email).first() or User(email=email)
        is_new = user.pk is None
        if is_new:
            user.name = name
            user.set_password(None if password is None else _good(password, user))
        user.is_staff, user.is_superuser = user.is_staff or is_staff, user.is_superuser or is_superuser
        user.save()
    if password is not None and not is_new:
        set_password(user=user, password=password, by=None)
    return user


def _good(password: str, user: User) -> str:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise wrong("password", " ".join(error.messages)) from None
    return password


def make_role_groups(project: Project) -> None:
    """Make the groups that carry each role's permissions in a project."""
    rights = {
        p.codename: p
        for p in AuthPermission.objects.filter(content_type__app_label="accounts", content_type__model="project")
    }
    for role in Role:
        group = Group.objects.create(name=f"{project.name}: {role.label}")
        RoleGroup.objects.create(project=project, role=role, group=group)
        ProjectGroupPermission.objects.bulk_create(
            ProjectGroupPermission(group=group, permission=rights[right], content_object=project)
            for right in ROLE_PERMISSIONS[role]
        )


def set_roles(*, project: Project, user: User, roles: Iterable[str], by: Principal | None) -> Membership:
    """Give a person exactly these roles in a project, as a new member if need be. `by` is None on the command line."""
    wanted = sorted(set(roles))
    if unknown := [role for role in wanted if role not in Role.values]:
        raise wrong("roles", f"{shorten(unknown[0])} is not a role. Roles: {', '.join(Role.values)}.")
    if not wanted:
        raise wrong("roles", "A member has at least one role. To end a membership, remove the member.")
    if by is not None:
        require(by.may(Permission.ADMINISTER))
    with refusals(), transaction.atomic():
        membership = Membership.objects.select_for_update().filter(project=project, user=user).first()
        kind = EventKind.MEMBER_CHANGED if membership else EventKind.MEMBER_ADDED
        membership = membership or Membership(project=project, user=user)
        membership.roles = wanted
        membership.save()
        record(kind, project_id=project.pk, actor=by.actor if by else SYSTEM, subject=("person", user.pk), roles=wanted)
    return membership


def add_member(*, by: Principal, email: str, name: str, roles: Iterable[str]) -> Membership:
    """Give the person with this address, who is made if need be, exactly these roles in the project."""
    require(by.may(Permission.ADMINISTER))
    with refusals(), transaction.atomic():
        return set_roles(project=by.project, user=create_user(email=email, name=name), roles=roles, by=by)


def remove_member(*, membership: Membership, by: Principal | None) -> None:
    """End a membership: the next request of that person is refused."""
    if by is not None:
        require(by.may(Permission.ADMINISTER))
    with refusals(), transaction.atomic():
        # Of two removals at once, the second waits here, and then finds nobody.
        if not Membership.objects.select_for_update().filter(pk=membership.pk).exists():
            raise DomainError("not_found", "There is no such member within reach.")
        record(
            EventKind.MEMBER_REMOVED,
            project_id=membership.project_id,
            actor=by.actor if by else SYSTEM,
            subject=("person", membership.user_id),
        )
        membership.delete()


def grant_break_glass(*, project: Project, user: User, minutes: int, by: Principal) -> BreakGlassGrant:
    """Let a person break glass for some minutes (at most 24 hours); nobody gives it to themselves."""
    if by.key is not None:
        raise DomainError("forbidden", "A key never gives the right to break glass: a person does, signed in.")
    require(by.may(Permission.ADMINISTER))
    if user.pk == by.user.pk:
        raise DomainError("four_eyes", "Nobody gives themselves the right to break glass. Ask another admin.")
    with refusals(), transaction.atomic():
        grant = BreakGlassGrant.objects.create(
            project=project, user=user, granted_by=by.user, expires_at=timezone.now() + timedelta(minutes=minutes)
        )
        record(
            EventKind.GRANT_GIVEN, project_id=project.pk, actor=by.actor, subject=("person", user.pk), minutes=minutes
        )
    return grant
