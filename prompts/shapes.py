"""How rows look in answers, field by field as the contract has them."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from accounts.shapes import actor_shape
from promptforge.lib.ids import encode
from promptforge.lib.instants import format_instant
from prompts.checks import lines, missing, status
from prompts.links import check_url
from prompts.models import ChannelPolicy, FreezeWindow, PolicyChange, Prompt, PromptVersion, Release
from prompts.models.channels import POLICY_FIELDS
from prompts.models.releases import ReleaseQuerySet
from prompts.standing import Cast, Standing


def digest_text(digest: bytes | memoryview) -> str:
    return f"sha256:{bytes(digest).hex()}"


def prompt_shape(prompt: Prompt) -> dict[str, Any]:
    """Needs `heads` prefetched with channel, version and release."""
    return {
        "name": prompt.name,
        "type": prompt.type,
        "description": prompt.description,
        "tags": prompt.tags,
        "latest": prompt.next_number - 1 or None,
        "channels": {
            head.channel.name: {
                "version": head.version.number,
                "revision": head.revision,
                "at": format_instant(head.release.at),
            }
            for head in prompt.heads.all()
            if head.version is not None and head.release is not None
        },
        "archived": prompt.archived_at is not None,
        "created_at": format_instant(prompt.created_at),
    }


def version_shape(version: PromptVersion, included: dict[int, PromptVersion]) -> dict[str, Any]:
    """`included` holds the pinned versions by id, with their prompts."""
    return {
        "id": encode("ver", version.pk),
        "ref": str(version),
        "prompt": version.prompt.name,
        "number": version.number,
        "type": version.type,
        "content": version.served_content,
        "source": version.typed_source,
        "variables": version.variable_list,
        "config": version.config_object,
        "includes": [{"prompt": included[pk].prompt.name, "version": included[pk].number} for pk in version.includes],
        "message": version.message,
        "author": actor_shape(version.author),
        "created_at": format_instant(version.created_at),
        "digest": digest_text(version.digest),
    }


def version_shapes(versions: list[PromptVersion]) -> list[dict[str, Any]]:
    wanted = {pk for version in versions for pk in version.includes}
    included = {v.pk: v for v in PromptVersion.objects.filter(pk__in=wanted).select_related("prompt")} if wanted else {}
    return [version_shape(version, included) for version in versions]


def releases_with_all(releases: ReleaseQuerySet) -> QuerySet[Release]:
    """Releases with everything that their shape shows, in a fixed number of queries."""
    with_rows = releases.with_previous().select_related("prompt", "channel", "version", "actor")
    return with_rows.prefetch_related("actor__api_keys")


def released(pk: int) -> Release:
    return releases_with_all(Release.objects.all()).get(pk=pk)


def release_shape(release: Any) -> dict[str, Any]:
    """One of `releases_with_all`, or one that was just made: both know their `previous_number`."""
    return {
        "id": encode("rel", release.pk),
        "prompt": release.prompt.name,
        "channel": release.channel.name,
        "revision": release.revision,
        "kind": release.kind,
        "version": release.version.number,
        "previous_version": release.previous_number,
        "canary": None,
        "promotion": None if release.promotion_id is None else encode("pro", release.promotion_id),
        "actor": actor_shape(release.actor),
        "reason": release.reason,
        "at": format_instant(release.at),
        "digest": digest_text(release.digest),
    }


def promotion_shape(standing: Standing) -> dict[str, Any]:
    """A promotion with its derived status, every check and review, and what is missing, in sentences."""
    promotion, shown = standing.promotion, lines(standing)
    return {
        "id": encode("pro", promotion.pk),
        "prompt": promotion.prompt.name,
        "channel": promotion.channel.name,
        "version": promotion.version.number,
        "base_version": None if promotion.base_version is None else promotion.base_version.number,
        "base_revision": promotion.base_revision,
        "title": promotion.title,
        "note": promotion.note,
        "status": status(standing, shown),
        "opened_by": actor_shape(promotion.opened_by),
        "opened_at": format_instant(promotion.opened_at),
        "expires_at": format_instant(standing.expires_at),
        "diff_digest": digest_text(promotion.diff_digest),
        "checks": [
            {
                "name": line.name,
                "required": line.required,
                "conclusion": line.conclusion,
                "summary": line.summary,
                "url": check_url(promotion, line.name, standing.evidence),
            }
            for line in shown
        ],
        "reviews": [review_shape(cast) for cast in standing.casts],
        "missing": [verdict.sentence for _, verdict in missing(standing, shown)],
        "scheduled_at": _moment(None if standing.schedule is None else standing.schedule.apply_at),
        "rollout": None,
        "release": None if standing.release_id is None else encode("rel", standing.release_id),
        "closed": None
        if promotion.closed_by is None
        else {
            "by": actor_shape(promotion.closed_by),
            "at": _moment(promotion.closed_at),
            "reason": promotion.close_reason,
            "successor": None if promotion.successor_id is None else encode("pro", promotion.successor_id),
        },
    }


def review_shape(cast: Cast) -> dict[str, Any]:
    review = cast.review
    return {
        "id": encode("rev", review.pk),
        "reviewer": actor_shape(review.reviewer),
        "decision": review.decision,
        "body": review.body,
        "acknowledged": review.acknowledged,
        "counts": cast.counts,
        "why_not": cast.why_not,
        "at": format_instant(review.at),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else format_instant(moment)


def channel_shape(channel: Any) -> dict[str, Any]:
    """Needs the policy, and the freeze windows that were not lifted as `standing_freezes`."""
    policy = channel.policy
    return {
        "name": channel.name,
        "protected": policy is None or policy.protects,
        "policy": None if policy is None else _policy_fields(policy),
        "freezes": [freeze_shape(freeze) for freeze in channel.standing_freezes],
    }


def freeze_shape(freeze: FreezeWindow) -> dict[str, Any]:
    return {
        "id": encode("frz", freeze.pk),
        "from": format_instant(freeze.starts_at),
        "to": format_instant(freeze.ends_at),
        "reason": freeze.reason,
    }


def policy_change_shape(change: PolicyChange) -> dict[str, Any]:
    return {
        "id": encode("pol", change.pk),
        "channel": change.channel.name,
        "policy": _policy_fields(change),
        "status": "waiting",
        "author": actor_shape(change.author),
        "reason": change.reason,
        "at": format_instant(change.at),
    }


def _policy_fields(policy: ChannelPolicy | PolicyChange) -> dict[str, Any]:
    return {name: getattr(policy, name) for name in POLICY_FIELDS}
