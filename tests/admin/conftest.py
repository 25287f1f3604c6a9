"""Signed-in browsers, and a project in which every table holds a row."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone
from guardian.shortcuts import assign_perm

from accounts.actions.api_keys import create_key
from accounts.actions.members import create_user, grant_break_glass
from accounts.models import User
from accounts.sign_in import SIGNED_IN_AT
from events.models import Delivery, DeliveryAttempt, Event, Letter, WebhookEndpoint
from prompts.actions.releases import break_glass, promote, rollback
from prompts.models import (
    Channel,
    ChannelPolicy,
    Check,
    Draft,
    FreezeWindow,
    Head,
    PolicyChange,
    Promotion,
    Prompt,
    Ratification,
    Review,
    ReviewDismissal,
    Schedule,
)
from tests.personas import Team, make_team

Browser = Callable[[User], Client]


@pytest.fixture
def browser() -> Browser:
    """Signs a person in just now, as a member of the staff."""

    def sign_in(user: User) -> Client:
        User.objects.filter(pk=user.pk).update(is_staff=True)
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        session = client.session
        session[SIGNED_IN_AT] = time.time()
        session.save()
        return client

    return sign_in


@pytest.fixture
def root(committed_db: str) -> User:
    """A superuser who is a member of nothing."""
    return create_user(email="root@example.com", name="Root", is_staff=True, is_superuser=True)


@pytest.fixture
def filled(team: Team) -> Team:
    fill(team)
    return team


@pytest.fixture
def others(committed_db: str) -> Team:
    """Another project with the same people's namesakes, as full as the first."""
    other = make_team("bank", preset="solo")
    fill(other)
    return other


def fill(team: Team) -> Prompt:
    """Write at least one row into every table of a project."""
    prompt = team.prompt(f"{team.project}/greeting", versions=3)
    for number in (1, 2):
        promote(by=team.cleo, prompt=prompt, channel=team.stable, version=team.version(prompt, number))
    rollback(by=team.cleo, prompt=prompt, channel=team.stable, reason="It greets twice.")
    grant_break_glass(project=team.project, user=team.cleo.user, minutes=30, by=team.farah)
    glass = break_glass(
        by=team.cleo,
        prompt=prompt,
        channel=team.stable,
        version=team.version(prompt, 3),
        reason="The shop is closed and says that it is open.",
    )
    Ratification.objects.create(release=glass, ratified_by=team.emil.user, note="Right.")
    create_key(project=team.project, name="web", scopes=["prompts:read"], responsible=team.farah.user, by=team.farah)
    assign_perm("release", team.ada.user, prompt)
    assign_perm("edit", Group.objects.get(rolegroup__project=team.project, rolegroup__role="reviewer"), prompt)
    Draft.objects.create(prompt=prompt, user=team.ada.user, base_version=team.version(prompt, 3), source="Half a")
    _promotion(team, prompt)
    _policy(team)
    hook(team, team.farah.user.pk)
    return prompt


def _promotion(team: Team, prompt: Prompt) -> None:
    head = Head.objects.get(prompt=prompt, channel=team.stable)
    promotion = Promotion.objects.create(
        prompt=prompt,
        channel=team.stable,
        version=team.version(prompt, 2),
        base_version=head.version,
        base_revision=head.revision,
        policy=team.stable.policy,
        diff_digest=b"",
        title="Softer",
        opened_by=team.ada.user,
        opener=team.ada.user,
    )
    promotion.refresh_from_db()
    review = Review.objects.create(
        promotion=promotion,
        reviewer=team.ben.user,
        decision="request_changes",
        body="Too soft.",
        diff_digest=promotion.diff_digest,
    )
    ReviewDismissal.objects.create(review=review, dismissed_by=team.cleo.user, reason="Settled on the phone.")
    Check.objects.create(
        promotion=promotion,
        name="secrets",
        version=promotion.version,
        base_version=promotion.base_version,
        policy=promotion.policy,
        conclusion="passed",
        summary="Nothing looks like a secret.",
    )
    Schedule.objects.create(
        promotion=promotion, apply_at=timezone.now() + timedelta(hours=2), actor=team.cleo.user, reason="Tonight."
    )


def hook(team: Team, person_id: int) -> None:
    """An endpoint with a delivery that was tried once, and a letter."""
    event = Event.objects.filter(project_id=team.project.pk).latest("pk")
    endpoint = WebhookEndpoint.objects.create(
        project_id=team.project.pk, url="https://hooks.example/1", events=["*"], secret=b"", cursor=0
    )
    delivery = Delivery.objects.create(endpoint=endpoint, event=event)
    DeliveryAttempt.objects.create(delivery=delivery, status=500, outcome="It answered 500.", milliseconds=3)
    Letter.objects.get_or_create(event=event, person_id=person_id)


def _policy(team: Team) -> None:
    channel = Channel.objects.get(pk=team.stable.pk)
    PolicyChange.objects.create(channel=channel, base=channel.policy, author=team.farah.user, reason="A second pair.")
    ChannelPolicy.objects.create(channel=channel, revision=2, author=team.farah.user, required_approvals=0)
    freeze = FreezeWindow.objects.create(
        channel=channel,
        starts_at=timezone.now(),
        ends_at=timezone.now() + timedelta(hours=1),
        reason="The sale.",
        created_by=team.cleo.user,
    )
    freeze.lifted_by, freeze.lifted_at = team.cleo.user, timezone.now()
    freeze.save()


def snapshot() -> dict[str, list[dict[str, Any]]]:
    """Every row of every table that the admin shows, but for when somebody signed in last."""
    from django.contrib import admin

    rows: dict[str, list[dict[str, Any]]] = {}
    for model in admin.site._registry:
        found = list(model._default_manager.order_by("pk").values())
        rows[model._meta.label] = [{key: row[key] for key in row if key != "last_login"} for row in found]
    return rows
