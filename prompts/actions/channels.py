"""Channels: their policies, which on a protected channel take two persons to change, and their freeze windows."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.policies import Principal
from accounts.roles import Permission, Role
from events.actions import record
from events.kinds import EventKind
from promptforge.lib.errors import DomainError, Fault, shorten, wrong
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import require
from prompts.actions.projects import create_channel
from prompts.models import Channel, ChannelPolicy, FreezeWindow, PolicyChange
from prompts.models.channels import POLICY_FIELDS, REQUIRABLE

MOST_APPROVALS, LONGEST_TTL_DAYS = 5, 365


def add_channel(*, by: Principal, name: str, policy: Mapping[str, Any]) -> Channel:
    """Make a channel; fields of its policy that are not named are those of an unprotected one."""
    require(by.may(Permission.CONFIGURE))
    check_policy(policy)
    return create_channel(project=by.project, name=name, policy={"required_approvals": 0, **policy}, creator=by.user)


def change_policy(
    *,
    by: Principal,
    channel: Channel,
    fields: Mapping[str, Any],
    reason: str = "",
    expected_revision: int | None = None,
) -> ChannelPolicy | PolicyChange:
    """Change what a channel demands; fields that are not named stay.

    On an unprotected channel it acts at once and the new policy is the answer. On a protected one the answer is a
    proposal, which acts when another person approves it. `expected_revision` is the policy that the change was made of.
    """
    require(by.may(Permission.CONFIGURE))
    check_policy(fields)
    with refusals(), transaction.atomic():
        locked = _locked(channel)
        assert locked.policy is not None
        if expected_revision not in (None, locked.policy.revision):
            raise DomainError("stale_base", f"The policy of {locked} has changed since. Look at it and decide again.")
        wanted = {name: fields.get(name, getattr(locked.policy, name)) for name in POLICY_FIELDS}
        if not locked.policy.protects:
            return _set_policy(by, locked, wanted)
        change = PolicyChange.objects.create(
            channel=locked, base=locked.policy, author=by.user, reason=reason, **wanted
        )
        record(
            EventKind.POLICY_PROPOSED, project_id=by.project.pk, actor=by.actor, subject=("policy_change", change.pk)
        )
        return change


def approve_policy_change(*, by: Principal, change: PolicyChange) -> ChannelPolicy:
    """Make a proposal the channel's policy: a second person with the right, on exactly the policy that it changes."""
    require(by.may(Permission.CONFIGURE))
    if by.key is not None:
        raise DomainError("forbidden", "A key never approves: a person decides, signed in.")
    with refusals(), transaction.atomic():
        locked = _locked(change.channel)
        if change.author_id in (by.user.pk, by.user.responsible_id):
            raise DomainError("four_eyes", "You proposed this change, so somebody else approves it.")
        if locked.policy_id != change.base_id:
            raise DomainError("stale_base", f"The policy of {locked} has changed since. Propose the change again.")
        wanted = {name: getattr(change, name) for name in POLICY_FIELDS}
        return _set_policy(by, locked, wanted, change)


def freeze_channel(
    *, by: Principal, channel: Channel, starts_at: datetime, ends_at: datetime, reason: str
) -> FreezeWindow:
    """Let nothing move forward on a channel between two instants; rollbacks still may."""
    require(by.may(Permission.CONFIGURE))
    if not reason.strip():
        raise wrong("reason", "Say why the channel is frozen; whoever meets it will read it.", "reason_required")
    if ends_at <= starts_at:
        raise wrong("to", "A freeze window ends after it starts.", "bad_timestamp")
    with refusals(), transaction.atomic():
        freeze = FreezeWindow.objects.create(
            channel=channel, starts_at=starts_at, ends_at=ends_at, reason=reason, created_by=by.user
        )
        record(EventKind.FREEZE_SET, project_id=by.project.pk, actor=by.actor, subject=("freeze", freeze.pk))
    return freeze


def lift_freeze(*, by: Principal, freeze: FreezeWindow) -> FreezeWindow:
    """End a freeze window before its time. Lifting it again changes nothing."""
    require(by.may(Permission.CONFIGURE))
    with refusals(), transaction.atomic():
        locked = FreezeWindow.objects.select_for_update().get(pk=freeze.pk)
        if locked.lifted_at is None:
            locked.lifted_at, locked.lifted_by = timezone.now(), by.user
            locked.save(update_fields=["lifted_at", "lifted_by"])
            record(EventKind.FREEZE_LIFTED, project_id=by.project.pk, actor=by.actor, subject=("freeze", freeze.pk))
    return locked


def check_policy(fields: Mapping[str, Any]) -> None:
    """Refuse a policy that says something impossible, every such field at once."""
    faults = [
        Fault(f"/policy/{name}", "bad_policy", sentence)
        for name, value in fields.items()
        if (sentence := _policy_fault(name, value)) is not None
    ]
    if faults:
        raise DomainError("bad_policy", f"{faults[0].pointer}: {faults[0].detail}", faults)


def _policy_fault(name: str, value: Any) -> str | None:
    if name not in _POLICY_RULES:
        return f"{shorten(name)} is no field of a policy. Known: {', '.join(POLICY_FIELDS)}."
    fits, sentence = _POLICY_RULES[name]
    return None if fits(value) else sentence


def _whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _among(value: Any, known: Sequence[str]) -> bool:
    return isinstance(value, list) and len(set(map(str, value))) == len(value) and all(item in known for item in value)


def _groups(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(group, list) and group and all(map(_member, group)) for group in value
    )


def _member(text: Any) -> bool:
    kind, _, who = text.partition(":") if isinstance(text, str) else ("", "", "")
    return (kind == "role" and who in Role.values) or (kind == "user" and who.isascii() and who.isdecimal())


_DAYS = (lambda value: _whole(value, 1, LONGEST_TTL_DAYS), f"A number of days from 1 to {LONGEST_TTL_DAYS}.")
_POLICY_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "required_approvals": (
        lambda value: _whole(value, 0, MOST_APPROVALS),
        f"A whole number from 0 to {MOST_APPROVALS}.",
    ),
    "required_checks": (lambda value: _among(value, REQUIRABLE), f"A list of some of: {', '.join(REQUIRABLE)}."),
    "review_groups": (_groups, 'A list of groups, each a list of "role:NAME" or "user:ID".'),
    "approval_ttl_days": _DAYS,
    "evidence_ttl_days": _DAYS,
    "rollout_plan": (lambda value: value == [], "Releases in steps are not available yet; leave the plan empty."),
    "rollback_roles": (lambda value: _among(value, Role.values), f"A list of some of: {', '.join(Role.values)}."),
}


def _locked(channel: Channel) -> Channel:
    # Without the policy joined: after waiting for the lock, a joined row would be the one of before the wait.
    return Channel.objects.select_for_update(no_key=True).get(pk=channel.pk)


def _set_policy(
    by: Principal, channel: Channel, wanted: Mapping[str, Any], change: PolicyChange | None = None
) -> ChannelPolicy:
    assert channel.policy is not None
    policy = ChannelPolicy.objects.create(
        channel=channel,
        revision=channel.policy.revision + 1,
        author=change.author if change else by.user,
        approved_by=by.user if change else None,
        change=change,
        **wanted,
    )
    record(
        EventKind.POLICY_CHANGED,
        project_id=by.project.pk,
        actor=by.actor,
        subject=("channel", channel.pk),
        revision=policy.revision,
    )
    return policy
