"""What people, keys, projects and webhooks are called where an event is told."""

from collections.abc import Collection

from accounts.models import ApiKey, Project, RoleGroup, User
from accounts.shapes import actor_shape
from events.admin.seen import page_of
from events.models import WebhookEndpoint
from events.telling import Named


def people(ids: Collection[int]) -> dict[int, Named]:
    """People and service accounts."""
    users = User.objects.filter(pk__in=ids).prefetch_related("api_keys")
    return {user.pk: Named(str(user), actor_shape(user)) for user in users}


def roles(ids: Collection[int]) -> dict[int, Named]:
    """By the group that carries a role in a project."""
    found = RoleGroup.objects.filter(group__in=ids)
    return {role.group_id: Named(role.get_role_display(), {"role": role.role}) for role in found}


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
