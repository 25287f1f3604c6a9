"""A receiver on this machine that the operator allows, and endpoints that point to it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import LazySettings

from accounts.actions.webhooks import create_webhook
from events.models import WebhookEndpoint
from tests.events.receiver import Receiver, receiving
from tests.personas import Team

SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo0NTY3ODkwMTI="


@pytest.fixture
def receiver(settings: LazySettings) -> Iterator[Receiver]:
    with receiving() as one:
        settings.ALLOWED_PRIVATE_HOSTS = [f"127.0.0.1:{one.port}"]
        yield one


@pytest.fixture
def hook(team: Team, receiver: Receiver) -> Callable[..., WebhookEndpoint]:
    """Makes an endpoint in the team's project by the receiver's behaviour: `hook("ok")`, `hook("500", events=[…])`."""

    def make(behaviour: str, events: list[str] | None = None, **fields: Any) -> WebhookEndpoint:
        given = {"format": "standard", "enabled": True, "secret": SECRET} | fields
        return create_webhook(
            by=team.cleo, url=receiver.url(behaviour), events=events or ["version.saved"], **given
        ).endpoint

    return make
