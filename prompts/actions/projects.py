"""Projects, with what every project has from the start: its roles, `stable`, and a policy."""

import re
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from accounts.actions.members import make_role_groups, set_roles
from accounts.models import Project, User
from accounts.policies import Principal
from accounts.roles import Permission, Role
from events.actions import SYSTEM, record
from events.kinds import EventKind
from promptforge.lib.errors import shorten, wrong
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import require
from prompts.models import Channel, ChannelPolicy
from prompts.models.channels import CHANNEL_FORM, RESERVED_CHANNELS, CheckName

# What `stable` demands, by the preset's name.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "solo": {"required_approvals": 0, "required_checks": []},
    "team": {
        "required_approvals": 1,
        "required_checks": [CheckName.UP_TO_DATE, CheckName.HIDDEN_TEXT, CheckName.SECRETS],
    },
    "strict": {
        "required_approvals": 2,
        "required_checks": [
            CheckName.UP_TO_DATE,
            CheckName.HIDDEN_TEXT,
            CheckName.SECRETS,
            CheckName.EVALUATION,
            CheckName.CANARY,
        ],
    },
}


def create_project(*, name: str, preset: str = "team", creator: User | None) -> Project:
    """Make a project with its roles and the channel `stable` under a preset's policy.

    `creator` is None on the command line.
    """
    if preset not in PRESETS:
        raise wrong("preset", f"{shorten(preset)} is not a preset. Presets: {', '.join(PRESETS)}.")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", name):
        raise wrong(
            "name",
            f"{shorten(name)} is no project name: lower-case letters, digits and hyphens, at most 63, "
            "not a hyphen first.",
            "bad_name",
        )
    actor = SYSTEM if creator is None else (creator.kind, creator.pk)
    with refusals(), transaction.atomic():
        project = Project.objects.create(name=name)
        make_role_groups(project)
        record(
            EventKind.PROJECT_CREATED,
            project_id=project.pk,
            actor=actor,
            subject=("project", project.pk),
            preset=preset,
        )
        create_channel(project=project, name="stable", policy=PRESETS[preset], creator=creator)
    return project


def found_project(*, by: User, name: str, preset: str) -> Project:
    """Make a project of one's own: its founder is its first admin and release manager."""
    with refusals(), transaction.atomic():
        project = create_project(name=name, preset=preset, creator=by)
        set_roles(project=project, user=by, roles=[Role.ADMIN, Role.RELEASE_MANAGER], by=None)
    return project


def change_project(*, by: Principal, serves_stale: bool) -> Project:
    """Say whether fetches are answered from memory, marked as stale, while the database is gone."""
    require(by.may(Permission.CONFIGURE))
    with refusals(), transaction.atomic():
        project = Project.objects.select_for_update(no_key=True).get(pk=by.project.pk)
        if project.serves_stale != serves_stale:
            project.serves_stale = serves_stale
            project.save(update_fields=["serves_stale"])
            record(
                EventKind.PROJECT_CHANGED,
                project_id=project.pk,
                actor=by.actor,
                subject=("project", project.pk),
                serves_stale=serves_stale,
            )
    return project


def create_channel(*, project: Project, name: str, policy: Mapping[str, Any], creator: User | None) -> Channel:
    """Make a channel with its first policy; every prompt of the project gets an empty head on it."""
    if not re.fullmatch(CHANNEL_FORM, name) or name in RESERVED_CHANNELS:
        raise wrong(
            "name",
            f"{shorten(name)} is no channel name: a lower-case letter, then lower-case letters, digits and hyphens, "
            "at most 63; latest and pinned are reserved.",
            "bad_channel_name",
        )
    actor = SYSTEM if creator is None else (creator.kind, creator.pk)
    with refusals(), transaction.atomic():
        channel = Channel.objects.create(
            project=project, name=name, position=Channel.objects.filter(project=project).count()
        )
        ChannelPolicy.objects.create(channel=channel, revision=1, author=creator, **policy)
        channel.refresh_from_db()
        record(EventKind.CHANNEL_CREATED, project_id=project.pk, actor=actor, subject=("channel", channel.pk))
    return channel
