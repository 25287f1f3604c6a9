"""Whom an event is mailed to, of those who have roles in its project; whoever did it gets no letter."""

import json
from collections.abc import Collection

from accounts.models import Membership
from accounts.roles import Role
from events.models import Event


def subject(event: Event) -> set[int]:
    """The person whom it speaks of."""
    return {event.subject_id} - {event.actor_id}


def admins(event: Event) -> set[int]:
    return _members(event, Role.ADMIN)


def alarmed(event: Event) -> set[int]:
    """For a release past the gate, whoever could ratify it and whoever runs the project; for any other nobody."""
    is_alarm = json.loads(event.data).get("move") == "break_glass"
    return _members(event, Role.ADMIN, Role.RELEASE_MANAGER) if is_alarm else set()


def keepers(event: Event) -> set[int]:
    """Whoever may move what is live, or runs the project."""
    return _members(event, Role.ADMIN, Role.RELEASE_MANAGER)


def addresses(wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """The e-mail addresses of those (project, person) who are active members now."""
    members = Membership.objects.filter(
        project__in={project for project, _ in wanted}, user__in={person for _, person in wanted}, user__is_active=True
    )
    return {
        (project, person): email for project, person, email in members.values_list("project", "user", "user__email")
    }


def _members(event: Event, *roles: Role) -> set[int]:
    members = Membership.objects.filter(project=event.project_id, roles__overlap=[role.value for role in roles])
    return set(members.values_list("user_id", flat=True)) - {event.actor_id}
