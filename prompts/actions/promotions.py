"""Promotions: requests to make a version a channel's head, from the opening to the release or another end."""

from collections.abc import Collection
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from accounts.policies import Principal
from accounts.roles import Permission, Scope
from events.kinds import EventKind
from promptforge.lib.errors import DomainError, Fault
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import require
from prompts.actions.lengths import LONGEST_NOTE, LONGEST_REASON, LONGEST_TITLE, check_length
from prompts.actions.releases import cut_release, locked_place, may_move, promote
from prompts.actions.telling import tell
from prompts.checks import examine, lines, missing
from prompts.links import check_url, promotion_url
from prompts.models import Channel, Check, Head, Promotion, Prompt, PromptVersion, Release
from prompts.models.channels import CheckName
from prompts.models.releases import ReleaseKind
from prompts.standing import Standing, standing

State = Promotion.State


def open_promotion(
    *, by: Principal, prompt: Prompt, channel: Channel, version: PromptVersion, title: str = "", note: str = ""
) -> Promotion:
    """Ask that a version becomes a channel's head: on the version that is live and the policy that holds now."""
    require(by.may_with_scope(Permission.EDIT, Scope.PROMOTIONS_WRITE, prompt))
    check_length("title", title, LONGEST_TITLE)
    check_length("note", note, LONGEST_NOTE)
    with refusals(), transaction.atomic():
        head = locked_place(prompt, channel)
        _require_movable(head, version)
        known = Promotion.objects.select_related("prompt__project").filter(
            prompt=prompt, channel=channel, version=version, state=State.OPEN
        )
        if (same := known.first()) is not None:
            sentence = f"A promotion of {version} to {channel} is open already."
            there = Fault("", "duplicate_promotion", "Go on with the one that is open.", promotion_url(same))
            raise DomainError("duplicate_promotion", sentence, [there])
        return _insert(by, head, version, title=title, note=note)


def renew(*, by: Principal, promotion: Promotion) -> Promotion:
    """Open the successor of a stale or expired promotion on what stands now; title and note come along, reviews not."""
    require(by.may_with_scope(Permission.EDIT, Scope.PROMOTIONS_WRITE, promotion.prompt))
    with refusals(), transaction.atomic():
        now = locked_standing(promotion)
        old, head = now.promotion, now.head
        if not (now.base_moved or now.policy_changed or now.expires_at < now.now):
            raise DomainError(
                "duplicate_promotion", f"It compares {old.version} with what is live now: there is nothing to renew."
            )
        _require_movable(head, old.version)
        # One of a version may be open, so the old one closes first and names its successor by a number kept for it.
        with connection.cursor() as cursor:
            cursor.execute("SELECT nextval(pg_get_serial_sequence('public.prompts_promotion', 'id'))")
            successor_id = cursor.fetchone()[0]
        _close(by, old, State.SUPERSEDED, EventKind.PROMOTION_SUPERSEDED, successor_id=successor_id)
        return _insert(by, head, old.version, pk=successor_id, title=old.title, note=old.note)


def withdraw(*, by: Principal, promotion: Promotion) -> Promotion:
    """Take a promotion back. Whoever may open one may."""
    require(by.may_with_scope(Permission.EDIT, Scope.PROMOTIONS_WRITE, promotion.prompt))
    with refusals(), transaction.atomic():
        return _close(by, locked_promotion(promotion), State.WITHDRAWN, EventKind.PROMOTION_WITHDRAWN)


def reject(*, by: Principal, promotion: Promotion, reason: str) -> Promotion:
    """Close a promotion with a no that its author reads; a reviewer does."""
    require(by.may(Permission.REVIEW, promotion.prompt))
    if not reason.strip():
        raise DomainError("reason_required", "Say why you reject it; its author will read it.")
    check_length("reason", reason, LONGEST_REASON)
    with refusals(), transaction.atomic():
        return _close(by, locked_promotion(promotion), State.REJECTED, EventKind.PROMOTION_REJECTED, reason=reason)


def apply_promotion(*, by: Principal, promotion: Promotion, reason: str = "") -> Release:
    """Make the promotion's version live, now. Refused with everything that is missing, and then nothing is written."""
    require(may_move(by, Permission.RELEASE, promotion.prompt, promotion.channel))
    check_length("reason", reason, LONGEST_REASON)
    with refusals(), transaction.atomic():
        return release_of(by, locked_standing(promotion), reason)


def go_live(*, by: Principal, prompt: Prompt, channel: Channel, version: PromptVersion, reason: str = "") -> Release:
    """Make a version live in the channel's own way: by its open promotion when there is one, else directly."""
    promotion = Promotion.objects.filter(prompt=prompt, channel=channel, version=version, state=State.OPEN).first()
    if promotion is not None and channel.policy is not None and channel.policy.protects:
        return apply_promotion(by=by, promotion=promotion, reason=reason)
    return promote(by=by, prompt=prompt, channel=channel, version=version, reason=reason)


def release_of(by: Principal, now: Standing, reason: str = "") -> Release:
    """The release that carries out a promotion whose rows are locked, if nothing is missing."""
    promotion = now.promotion
    require_ready(now)
    _look_again(now)
    _require_movable(now.head, promotion.version)
    release = cut_release(
        by=by,
        head=now.head,
        kind=ReleaseKind.PROMOTE,
        version=promotion.version,
        reason=reason or promotion.title,
        promotion=promotion,
    )
    tell(EventKind.PROMOTION_APPLIED, promotion, by.actor)
    return release


def require_ready(now: Standing) -> None:
    """Refuse with everything that keeps the promotion from being applied, at once."""
    lacking = missing(now, lines(now))
    if not lacking:
        return
    promotion = now.promotion
    faults = [Fault("", v.code or "", v.sentence, check_url(promotion, name, now.evidence)) for name, v in lacking]
    sentences = " ".join(verdict.sentence for _, verdict in lacking)
    raise DomainError(
        "promotion_not_ready", f"{promotion.version} cannot go live on {promotion.channel} yet. {sentences}", faults
    )


def locked_standing(promotion: Promotion) -> Standing:
    """How an open promotion stands, with its policy, head and row held until the transaction ends."""
    locked_place(promotion.prompt, promotion.channel)
    return standing(locked_promotion(promotion))


def locked_promotion(promotion: Promotion) -> Promotion:
    """A fresh row, held until the transaction ends; a closed one is refused."""
    locked = (
        Promotion.objects.select_for_update(no_key=True, of=("self",))
        .select_related("prompt", "channel", "version")
        .get(pk=promotion.pk)
    )
    if locked.state != State.OPEN:
        raise DomainError("promotion_closed", f"The promotion is closed: it was {locked.state.lower()}.")
    return locked


def _require_movable(head: Head, version: PromptVersion) -> None:
    if head.prompt.archived_at is not None:
        raise DomainError("archived", f"{head.prompt} is archived. Restore it to promote its versions.")
    if head.version_id == version.pk:
        raise DomainError("already_live", f"{version} is live on {head.channel} already.")


def _insert(by: Principal, head: Head, version: PromptVersion, **fields: Any) -> Promotion:
    promotion = Promotion(
        prompt=head.prompt,
        channel=head.channel,
        version=version,
        base_version=head.version,
        base_revision=head.revision,
        policy=head.channel.policy,
        diff_digest=b"",
        opened_by=by.user,
        opener=by.user,
        **fields,
    )
    promotion.save(force_insert=True)
    promotion.refresh_from_db(fields=["diff_digest", "opener", "opened_at"])
    _store_checks(promotion)
    tell(EventKind.PROMOTION_OPENED, promotion, by.actor)
    return promotion


def _store_checks(promotion: Promotion, known: Collection[str] = ()) -> None:
    for name, answer in examine(promotion):
        if name not in known:
            Check.objects.create(
                promotion=promotion,
                name=name,
                version=promotion.version,
                base_version=promotion.base_version,
                policy=promotion.policy,
                conclusion=answer.conclusion,
                summary=answer.summary,
            )


def _look_again(now: Standing) -> None:
    """The database wants evidence that is there and fresh; what a frozen text says is found anew in no time.

    What is fresh stays as it is: by that the promotion was found ready.
    """
    if set(now.promotion.policy.required_checks) - now.fresh.keys() - {CheckName.UP_TO_DATE}:
        _store_checks(now.promotion, now.fresh)


def _close(
    by: Principal,
    promotion: Promotion,
    state: Promotion.State,
    kind: EventKind,
    reason: str = "",
    successor_id: int | None = None,
) -> Promotion:
    promotion.state, promotion.close_reason, promotion.successor_id = state, reason, successor_id
    promotion.closed_by, promotion.closed_at = by.user, timezone.now()
    promotion.save(update_fields=["state", "close_reason", "successor", "closed_by", "closed_at"])
    tell(kind, promotion, by.actor)
    return promotion
