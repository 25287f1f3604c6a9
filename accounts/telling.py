"""What people, keys, projects and webhooks are called where an event is told, and which people it concerns."""

import json
from collections.abc import Collection

from accounts.models import ApiKey, Membership, Project, User
from accounts.roles import Role
from accounts.shapes import actor_shape
from events.admin.seen import page_of
from events.models import Event, WebhookEndpoint
from events.telling import Named


def people(ids: Collection[int]) -> dict[int, Named]:
    """People and service accounts."""
    users = User.objects.filter(pk__in=ids).prefetch_related("api_keys")
    return {user.pk: Named(str(user), actor_shape(user)) for user in users}


def keys(ids: Collection[int]) -> dict[int, Named]:
    found = ApiKey.objects.filter(pk__in=ids)
    return {key.pk: Named(str(key), {"key": key.public_id, "name": key.name}, page_of(key)) for key in found}


def projects(ids: Collection[int]) -> dict[int, Named]:
    found = Project.objects.filter(pk__in=ids)
    return {project.pk: Named(project.name, {"name": project.name}, page_of(project)) for project in found}


def webhooks(ids: Collection[int]) -> dict[int, Named]:
    """By their host alone: the rest of the address may be a secret, as Slack's is."""
    found = WebhookEndpoint.objects.filter(pk__in=ids)
    return {endpoint.pk: Named(endpoint.host, {"host": endpoint.host}, page_of(endpoint)) for endpoint in found}


# --- Whom an event concerns ------------------------------------------------------------------------------------------
def subject(event: Event) -> set[int]:
    """The person whom it speaks of."""
    return {event.subject_id}


def admins(event: Event) -> set[int]:
    return _members(event, Role.ADMIN)


def alarmed(event: Event) -> set[int]:
    """For a release past the gate, whoever could ratify it and whoever runs the project; for any other nobody."""
    is_alarm = json.loads(event.data).get("move") == "break_glass"
    return _members(event, Role.ADMIN, Role.RELEASE_MANAGER) if is_alarm else set()


def _members(event: Event, *roles: Role) -> set[int]:
    members = Membership.objects.filter(project=event.project_id, roles__overlap=[role.value for role in roles])
    return set(members.values_list("user_id", flat=True))


def addresses(wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """The e-mail addresses of those (project, person) who are active members now."""
    members = Membership.objects.filter(
        project__in={project for project, _ in wanted}, user__in={person for _, person in wanted}, user__is_active=True
    )
    return {
        (project, person): email for project, person, email in members.values_list("project", "user", "user__email")
    }
