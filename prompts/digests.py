"""What the digests of rows cover, as the database computes them too (but for `version_row_digest`)."""

from events.models import EventSeal
from promptforge.lib.digests import digest_of, micros
from prompts.models import PromptVersion, Release


def version_digest(version: PromptVersion) -> bytes:
    """Everything that is served (`promptforge_version_digest`)."""
    return digest_of("version.v1", version.type, version.content, version.variables, version.config)


def version_row_digest(version: PromptVersion) -> bytes:
    """The rest of a version: who wrote it, when and why, as typed. Its event records it."""
    return digest_of(
        "version-row.v1",
        bytes(version.digest).hex(),
        version.pk,
        version.prompt_id,
        version.number,
        version.source,
        ",".join(map(str, version.includes)),
        version.message,
        version.author_id,
        version.contributor_id,
        micros(version.created_at),
        micros(version.recorded_at),
    )


def release_digest(r: Release) -> bytes:
    """As the database computes it (`promptforge_release_digest`)."""
    return digest_of(
        "release.v1",
        bytes(r.previous_digest).hex(),
        r.pk,
        r.prompt_id,
        r.channel_id,
        r.revision,
        r.kind,
        r.version_id,
        bytes(r.version.digest).hex(),
        r.canary_version_id,
        r.canary_share,
        r.salt,
        r.promotion_id,
        r.actor_id,
        r.reason,
        micros(r.at),
        micros(r.recorded_at),
    )


def seal_digest(previous: bytes, seal: EventSeal) -> bytes:
    """As the database computes it (`promptforge_seal_digest`)."""
    e = seal.event
    return digest_of(
        "seal.v1",
        previous.hex(),
        seal.seq,
        e.pk,
        e.project_id,
        e.kind,
        e.actor_kind,
        e.actor_id,
        e.subject_kind,
        e.subject_id,
        e.data,
        micros(e.at),
    )
