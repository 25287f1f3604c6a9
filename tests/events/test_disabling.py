"""Endpoints that are gone, fail for days, or were switched off get nothing, and somebody is told."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.actions.webhooks import (
    change_webhook,
    check_webhook,
    remove_webhook,
)
from events.models import Delivery, Event, WebhookEndpoint
from events.sending import pump
from promptforge.lib.errors import DomainError
from tests.events.receiver import Receiver
from tests.events.test_sending import Hook, make_due
from tests.personas import Team


def test_gone_disables_and_says_so(team: Team, receiver: Receiver, hook: Hook) -> None:
    endpoint = hook("410")
    team.prompt()
    pump()
    endpoint.refresh_from_db()
    assert not endpoint.enabled
    event = Event.objects.get(kind="webhook.disabled")
    assert (event.actor_kind, event.subject_id, event.data) == ("system", endpoint.pk, '{"because":"gone"}')
    assert endpoint.history.count() == 2
    team.prompt("another")
    make_due()
    pump()
    assert len(receiver.received) == 1

    # Enabled again, it gets what comes from then on, and what was on its way.
    receiver.becomes["410"] = "ok"
    change_webhook(by=team.cleo, endpoint=endpoint, fields={"enabled": True})
    team.prompt("third")
    make_due()
    pump()
    names = sorted(one.json["data"]["subject"]["prompt"] for one in receiver.received)
    assert names == ["support/greeting", "support/greeting", "third"]


def test_days_of_failures_disable(team: Team, receiver: Receiver, hook: Hook) -> None:
    endpoint = hook("500")
    team.prompt()
    pump()
    for since, enabled in ((timedelta(days=2, hours=23), True), (timedelta(days=3, minutes=1), False)):
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(failing_since=timezone.now() - since)
        make_due()
        pump()
        endpoint.refresh_from_db()
        assert endpoint.enabled is enabled
    assert Event.objects.get(kind="webhook.disabled").data == '{"because":"failing"}'


def test_a_removed_or_disabled_endpoint_gets_nothing(team: Team, receiver: Receiver, hook: Hook) -> None:
    endpoint, off = hook("500-removed"), hook("ok-off", enabled=False)
    team.prompt()
    pump()
    remove_webhook(by=team.cleo, endpoint=endpoint)
    team.prompt("another")
    pump()
    assert [one.path for one in receiver.received] == ["/500-removed"]
    assert Delivery.objects.filter(endpoint=endpoint).exclude(next_at=None).count() == 0
    assert Delivery.objects.filter(endpoint=off).count() == 0
    with pytest.raises(DomainError, match="Enable it first"):
        check_webhook(by=team.cleo, endpoint=off)
