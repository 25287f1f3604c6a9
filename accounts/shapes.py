"""How people, keys and webhooks look in answers."""

from typing import Any

from accounts.models import ApiKey, BreakGlassGrant, Membership, Project, User
from events.models import Delivery, WebhookEndpoint
from promptforge.lib.ids import encode
from promptforge.lib.instants import format_instant


def actor_shape(user: User) -> dict[str, str]:
    """People by address and name; keys by their public id and name."""
    if user.kind == User.Kind.SERVICE:
        return {"key": min((key.public_id for key in user.api_keys.all()), default=""), "name": user.name}
    return {"email": user.email, "name": user.name}


def key_shape(key: ApiKey) -> dict[str, Any]:
    """Everything about a key but the key itself."""
    return {
        "id": encode("key", key.pk),
        "prefix": key.public_id,
        "name": key.name,
        "scopes": key.scopes,
        "channels": key.channels,
        "prompts": key.prompts,
        "rate_fetch": key.rate_fetch,
        "created_by": actor_shape(key.created_by),
        "created_at": format_instant(key.created_at),
        "expires_at": None if key.expires_at is None else format_instant(key.expires_at),
        "revoked_at": None if key.revoked_at is None else format_instant(key.revoked_at),
    }


def member_shape(membership: Membership) -> dict[str, Any]:
    """Needs the user."""
    return {
        "id": encode("mem", membership.pk),
        "email": membership.user.email,
        "name": membership.user.name,
        "roles": membership.roles,
    }


def grant_shape(grant: BreakGlassGrant) -> dict[str, Any]:
    return {
        "permission": "break_glass",
        "member": actor_shape(grant.user),
        "granted_by": actor_shape(grant.granted_by),
        "expires_at": format_instant(grant.expires_at),
    }


def project_shape(project: Project) -> dict[str, Any]:
    return {
        "name": project.name,
        "created_at": format_instant(project.created_at),
        "importing": project.importing,
        "serves_stale": project.serves_stale,
    }


def webhook_shape(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """Everything about an endpoint but its secrets."""
    return {
        "id": encode("whk", endpoint.pk),
        "url": endpoint.url,
        "events": endpoint.events,
        "format": endpoint.format,
        "enabled": endpoint.enabled,
        "failing_since": None if endpoint.failing_since is None else format_instant(endpoint.failing_since),
        "created_at": format_instant(endpoint.created_at),
    }


def delivery_shape(delivery: Delivery) -> dict[str, Any]:
    """Needs the event, and the attempts prefetched."""
    return {
        "id": encode("dlv", delivery.pk),
        "event": encode("evt", delivery.event_id),
        "kind": delivery.event.kind,
        "state": delivery.state,
        "next_at": None if delivery.next_at is None else format_instant(delivery.next_at),
        "delivered_at": None if delivery.delivered_at is None else format_instant(delivery.delivered_at),
        "attempts": [
            {
                "at": format_instant(attempt.at),
                "status": attempt.status,
                "outcome": attempt.outcome,
                "milliseconds": attempt.milliseconds,
            }
            for attempt in sorted(delivery.attempts.all(), key=lambda attempt: attempt.pk)
        ],
    }
