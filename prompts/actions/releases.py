"""Moving channels. `cut_release` is the one function that inserts a Release; the database judges every row of it."""

from datetime import datetime

from django.db import connection, transaction

from accounts.policies import Principal
from accounts.roles import Permission
from events.actions import record
from events.kinds import EventKind
from promptforge.lib import metrics
from promptforge.lib.errors import DomainError
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import Verdict, denied, require
from prompts.actions.lengths import LONGEST_REASON, check_length
from prompts.actions.telling import call_off
from prompts.models import (
    Channel,
    Head,
    Promotion,
    Prompt,
    PromptVersion,
    Ratification,
    Release,
    Schedule,
)
from prompts.models.releases import ReleaseKind

SHORTEST_BREAK_GLASS_REASON = 20


def promote(
    *,
    by: Principal,
    prompt: Prompt,
    channel: Channel,
    version: PromptVersion,
    reason: str = "",
    expected_revision: int | None = None,
) -> Release:
    """Make a version the head of an unprotected channel, at once."""
    require(may_move(by, Permission.RELEASE, prompt, channel))
    check_length("reason", reason, LONGEST_REASON)
    with refusals(), transaction.atomic():
        head = locked_head(prompt, channel, expected_revision)
        if head.version_id == version.pk:
            raise DomainError("already_live", f"{version} is live on {channel} already.")
        if channel.policy is None or channel.policy.protects:
            raise DomainError(
                "promotion_required",
                f"{channel} is protected: it takes no direct releases. "
                f"Open a promotion of {version} to {channel} instead.",
            )
        return cut_release(by=by, head=head, kind=ReleaseKind.PROMOTE, version=version, reason=reason)


def rollback(
    *,
    by: Principal,
    prompt: Prompt,
    channel: Channel,
    version: PromptVersion | None = None,
    reason: str,
    expected_revision: int | None = None,
) -> Release:
    """Return a channel to a version that was live there before: needs a reason and the right, and nothing else.

    Without `version` it returns to the one that was live before the newest forward release of the present one.
    """
    require(may_roll_back(by, prompt, channel))
    if not reason.strip():
        raise DomainError("reason_required", "Say why you roll back; one sentence is enough.")
    check_length("reason", reason, LONGEST_REASON)
    with refusals(), transaction.atomic():
        head = locked_head(prompt, channel, expected_revision)
        if head.version_id is None:
            raise DomainError(
                "nothing_to_roll_back", f"Nothing is live on {channel} yet, so there is nothing to roll back."
            )
        if version is not None and version.pk == head.version_id:
            raise DomainError("already_live", f"{version} is live on {channel} already.")
        version = version or default_target(head)
        release = cut_release(by=by, head=head, kind=ReleaseKind.ROLLBACK, version=version, reason=reason)
        for schedule in Schedule.objects.standing().filter(promotion__prompt=prompt, promotion__channel=channel):
            call_off(schedule, EventKind.PROMOTION_UNSCHEDULED, by.user, f"Rolled back: {reason}")
        return release


def break_glass(
    *,
    by: Principal,
    prompt: Prompt,
    channel: Channel,
    version: PromptVersion,
    reason: str,
    expected_revision: int | None = None,
) -> Release:
    """Make a version live past every rule, with a right that somebody else gave for some minutes."""
    if by.key is not None:
        raise DomainError("forbidden", "A key never breaks glass: a person does, signed in.")
    require(may_move(by, Permission.READ, prompt, channel))
    if not reason.strip():
        raise DomainError("reason_required", "Say why you break glass, in at least 20 characters.")
    if len(reason.strip()) < SHORTEST_BREAK_GLASS_REASON:
        raise DomainError(
            "reason_too_short", "Say in at least 20 characters why you break glass: a second person will read it."
        )
    check_length("reason", reason, LONGEST_REASON)
    with refusals(), transaction.atomic():
        head = locked_head(prompt, channel, expected_revision)
        return cut_release(by=by, head=head, kind=ReleaseKind.BREAK_GLASS, version=version, reason=reason)


def ratify(*, by: Principal, release: Release, note: str = "") -> Ratification:
    """Say as a second person that a break-glass release was right."""
    if by.key is not None:
        raise DomainError("forbidden", "A key never ratifies: a person does, signed in.")
    require(by.may(Permission.RELEASE, release.prompt))
    if release.kind != ReleaseKind.BREAK_GLASS:
        raise DomainError("kind_not_available", "Only a break-glass release is ratified.")
    if release.actor_id == by.user.pk:
        raise DomainError("four_eyes", "You broke the glass, so somebody else ratifies it.")
    check_length("note", note, LONGEST_REASON)
    with refusals(), transaction.atomic():
        made, is_new = Ratification.objects.get_or_create(
            release=release, defaults={"ratified_by": by.user, "note": note}
        )
        if is_new:
            record(
                EventKind.RELEASE_RATIFIED,
                project_id=by.project.pk,
                actor=by.actor,
                subject=("release", release.pk),
            )
    return made


def cut_release(
    *,
    by: Principal,
    head: Head,
    kind: ReleaseKind,
    version: PromptVersion,
    reason: str = "",
    at: datetime | None = None,
    promotion: Promotion | None = None,
) -> Release:
    """Append a row to a ledger whose head is locked, and say so. `at` is given for imported history only."""
    release = Release.objects.create(
        prompt=head.prompt,
        channel=head.channel,
        revision=head.revision + 1,
        kind=kind,
        version=version,
        actor=by.user,
        promotion=promotion,
        reason=reason,
        at=at,  # type: ignore[misc]  # None: the database dates it
        previous_digest=b"",
        digest=b"",
    )
    settled = Release.objects.with_previous().only("at", "previous_digest", "digest").get(pk=release.pk)
    for name in ("at", "previous_digest", "digest", "previous_number"):
        setattr(release, name, getattr(settled, name))
    record(
        EventKind.RELEASE_MADE,
        project_id=by.project.pk,
        actor=by.actor,
        subject=("release", release.pk),
        move=kind.value,
        prompt=head.prompt.name,
        channel=head.channel.name,
        revision=release.revision,
        version=version.number,
        digest=bytes(release.digest).hex(),
    )
    transaction.on_commit(metrics.RELEASES.labels(kind.value).inc)
    return release


def locked_head(prompt: Prompt, channel: Channel, expected_revision: int | None = None) -> Head:
    """The channel's head, held until the transaction ends; refused when it is not where the caller believes it is."""
    head = Head.objects.locked().get(prompt=prompt, channel=channel)
    head.prompt, head.channel = prompt, channel
    if expected_revision is not None and head.revision != expected_revision:
        live = None if head.version is None else head.version.number
        raise DomainError(
            "stale_head",
            f"{channel} of {prompt} stands at revision {head.revision}, not {expected_revision}. "
            "Look at it and decide again.",
            extra={"head": {"version": live, "revision": head.revision}},
        )
    return head


def locked_place(prompt: Prompt, channel: Channel) -> Head:
    """As `locked_head`, with the channel's policy held first: what is asked of it stays true until the end."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM public.prompts_channel WHERE id = %s FOR SHARE", [channel.pk])
    held = Channel.objects.select_related("policy").get(pk=channel.pk)
    return locked_head(Prompt.objects.get(pk=prompt.pk), held)


def default_target(head: Head) -> PromptVersion:
    """The version that a rollback without a target returns to."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT public.promptforge_rollback_target(%s, %s)", [head.prompt_id, head.channel_id])
        target = cursor.fetchone()[0]
    if target is None:
        raise DomainError(
            "nothing_to_roll_back", f"No earlier version of {head.prompt} on {head.channel} can come back."
        )
    return PromptVersion.objects.get(pk=target)


def may_move(by: Principal, permission: Permission, prompt: Prompt, channel: Channel) -> Verdict:
    """Whether the principal holds the permission on the prompt and, if it is a key, reaches the channel."""
    verdict = by.may(permission, prompt)
    return verdict if not verdict.allowed else by.may_select(channel.name)


def may_roll_back(by: Principal, prompt: Prompt, channel: Channel) -> Verdict:
    """As releasing; besides, the roles that the channel's policy names may roll back."""
    verdict = may_move(by, Permission.RELEASE, prompt, channel)
    if verdict.allowed or by.key is not None or channel.policy is None or not channel.policy.rollback_roles:
        return verdict
    named = by.user.membership_set.filter(project=by.project, roles__overlap=channel.policy.rollback_roles)
    if named.exists() and by.may(Permission.READ, prompt).allowed:
        return may_move(by, Permission.READ, prompt, channel)
    return denied("forbidden", f"Your role in {by.project} does not let you roll back {channel}.")
