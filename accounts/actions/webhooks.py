"""Webhook endpoints: where a project's events are sent, tested, and sent again."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.policies import Principal
from accounts.roles import Permission
from events.actions import record
from events.kinds import EventKind
from events.models import ALL_KINDS, Delivery, EventSeal, WebhookEndpoint
from events.webhooks import check_secret, new_secret
from promptforge.lib import http
from promptforge.lib.errors import DomainError, about, shorten, wrong
from promptforge.lib.refusals import refusals
from promptforge.lib.sealing import seal
from promptforge.lib.verdicts import require


class NewSecret(NamedTuple):
    """An endpoint and the secret that was made for it, which is shown this once; None when the caller brought one."""

    endpoint: WebhookEndpoint
    secret: str | None


def create_webhook(
    *,
    by: Principal,
    url: str,
    events: list[str],
    format: str,  # noqa: A002
    enabled: bool,
    secret: str | None,
) -> NewSecret:
    """Send the project's events of these kinds to an address, from now on."""
    require(by.may(Permission.CONFIGURE))
    wanted = _kinds(events)
    if secret is not None:
        check_secret(secret)
    with about("url"):
        http.check(url)
    made = None if secret is not None else new_secret()
    with refusals(), transaction.atomic():
        endpoint = WebhookEndpoint.objects.create(
            project_id=by.project.pk,
            url=url,
            events=wanted,
            format=format,
            enabled=enabled,
            secret=b"",
            cursor=_newest_seal(by),
        )
        _set_secret(endpoint, secret or made or "")
        _record(EventKind.WEBHOOK_CREATED, endpoint, by)
    return NewSecret(endpoint, made)


def change_webhook(*, by: Principal, endpoint: WebhookEndpoint, fields: Mapping[str, Any]) -> WebhookEndpoint:
    """Change address, kinds, format or whether it is enabled. While it is not, nothing is noted for it to be sent."""
    require(by.may(Permission.CONFIGURE))
    changes = dict(fields)
    if "events" in changes:
        changes["events"] = _kinds(changes["events"])
    if "url" in changes:
        with about("url"):
            http.check(changes["url"])
    with refusals(), transaction.atomic():
        locked = _locked(endpoint)
        if changes.get("enabled") and not locked.enabled:
            changes |= {"cursor": _newest_seal(by), "failing_since": None}
        changed = {name for name, value in changes.items() if getattr(locked, name) != value}
        if changed:
            for name in changed:
                setattr(locked, name, changes[name])
            locked.save(update_fields=changed)
            _record(EventKind.WEBHOOK_CHANGED, locked, by, changed=sorted(changed & set(fields)))
    return locked


def rotate_webhook(*, by: Principal, endpoint: WebhookEndpoint, overlap_hours: int) -> NewSecret:
    """Make a new secret; the old one signs beside it until the overlap ends."""
    require(by.may(Permission.CONFIGURE))
    made = new_secret()
    with refusals(), transaction.atomic():
        locked = _locked(endpoint)
        locked.previous_ends_at = timezone.now() + timedelta(hours=overlap_hours)
        locked.previous_secret = locked.secret
        locked.save(update_fields=["previous_secret", "previous_ends_at"])
        _set_secret(locked, made)
        _record(EventKind.WEBHOOK_ROTATED, locked, by, overlap_hours=overlap_hours)
    return NewSecret(locked, made)


def remove_webhook(*, by: Principal, endpoint: WebhookEndpoint) -> None:
    """Send nothing there any more; what was sent stays to be read in the audit trail and the admin."""
    require(by.may(Permission.CONFIGURE))
    with refusals(), transaction.atomic():
        locked = _locked(endpoint)
        Delivery.objects.filter(endpoint=locked).exclude(next_at=None).update(next_at=None)
        locked.enabled, locked.removed_at = False, timezone.now()
        locked.save(update_fields=["enabled", "removed_at"])
        _record(EventKind.WEBHOOK_REMOVED, locked, by)


def check_webhook(*, by: Principal, endpoint: WebhookEndpoint) -> Delivery:
    """Send a `webhook.tested` event to this endpoint alone."""
    require(by.may(Permission.CONFIGURE))
    with refusals(), transaction.atomic():
        locked = _locked(endpoint)
        _require_enabled(locked)
        event = _record(EventKind.WEBHOOK_TESTED, locked, by)
        return Delivery.objects.create(endpoint=locked, event=event, next_at=Now())


def resend(*, by: Principal, delivery: Delivery) -> Delivery:
    """Send a delivery again at once, under the id that it always had, with as many tries as the first time."""
    require(by.may(Permission.CONFIGURE))
    with refusals(), transaction.atomic():
        _require_enabled(_locked(delivery.endpoint))
        locked = Delivery.objects.select_for_update().get(pk=delivery.pk)
        locked.next_at, locked.tries = timezone.now(), 0
        locked.save(update_fields=["next_at", "tries"])
    return locked


def _kinds(events: list[str]) -> list[str]:
    wanted = list(dict.fromkeys(events))
    for kind in wanted:
        if kind not in EventKind.values and wanted != [ALL_KINDS]:
            raise wrong(
                "events", f"{shorten(kind)} is no kind of event. Kinds: {', '.join(EventKind.values)}; or * alone."
            )
    if not wanted:
        raise wrong("events", "The list is empty. Name at least one kind of event, or * for every kind.")
    return wanted


def _newest_seal(by: Principal) -> int:
    newest = EventSeal.objects.filter(project_id=by.project.pk).order_by("-seq").values_list("seq", flat=True).first()
    return newest or 0


def _locked(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    return WebhookEndpoint.objects.standing().select_for_update(no_key=True).get(pk=endpoint.pk)


def _set_secret(endpoint: WebhookEndpoint, secret: str) -> None:
    # By its own statement: what is sealed is bound to the row's id, which is known only now.
    endpoint.secret = seal(secret, endpoint.place)
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(secret=endpoint.secret)


def _require_enabled(endpoint: WebhookEndpoint) -> None:
    if not endpoint.enabled:
        raise DomainError("webhook_disabled", "The endpoint is disabled, so nothing is sent. Enable it first.")


def _record(kind: EventKind, endpoint: WebhookEndpoint, by: Principal, **data: Any) -> Any:
    return record(kind, project_id=endpoint.project_id, actor=by.actor, subject=("webhook", endpoint.pk), **data)
