"""Finding things on behalf of a principal; `resolve` alone decides which version a selector stands for."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from accounts.policies import Principal
from accounts.roles import Permission
from promptforge.lib.errors import DomainError, shorten
from prompts.models import Channel, Head, Prompt, PromptVersion, Release
from prompts.selectors import Selector

LOCKED_PAST = timedelta(minutes=1)


@dataclass(frozen=True)
class Resolved:
    """What a selector stands for. `channel` and `revision` are None for a number and for `latest`."""

    prompt: Prompt
    version: PromptVersion
    channel: Channel | None = None
    revision: int | None = None
    release: Release | None = None


def find_prompt(principal: Principal, name: str, permission: Permission = Permission.READ) -> Prompt:
    """A prompt that the principal may read; one out of reach answers exactly as one that does not exist.

    A key that may write but not read reaches the prompts of its patterns by its own scope (`permission`).
    """
    prompt = Prompt.objects.filter(project=principal.project, name=name).first()
    reads = prompt is not None and (
        principal.may(Permission.READ, prompt).allowed
        or (principal.key is not None and principal.may(permission, prompt).allowed)
    )
    if prompt is None or not reads:
        raise DomainError("prompt_not_found", f"There is no prompt {shorten(name)} within reach.")
    return prompt


def find_channel(principal: Principal, name: str) -> Channel:
    channel = Channel.objects.select_related("policy").filter(project=principal.project, name=name).first()
    if channel is None:
        raise DomainError("channel_not_found", f"There is no channel {shorten(name)} in this project.")
    return channel


def find_version(prompt: Prompt, number: int | None) -> PromptVersion:
    """One version by its number, or the newest."""
    versions = prompt.versions.select_related("prompt").order_by("-number")
    version = versions.first() if number is None else versions.filter(number=number).first()
    if version is None:
        raise DomainError("version_not_found", f"{prompt} has no version {number or 'yet'}.")
    return version


def resolve(principal: Principal, prompt: Prompt, selector: Selector, at: datetime | None = None) -> Resolved:
    """The version that `selector` of a prompt stands for now, or stood for at an instant."""
    if selector.channel is None:
        if at is not None:
            raise DomainError(
                "bad_version", "_at asks what a channel served then; a number and latest have no past. Name a channel."
            )
        return Resolved(prompt, find_version(prompt, selector.number))
    head = (
        Head.objects.select_related("channel", "version", "release")
        .filter(prompt=prompt, channel__project=principal.project, channel__name=selector.channel)
        .first()
    )
    if head is None:
        raise DomainError("channel_not_found", f"There is no channel {selector.channel} in this project.")
    if at is not None:
        return as_of(prompt, head, at)
    if head.version is None:
        raise DomainError("channel_empty", f"{prompt} has nothing live on {head.channel} yet.")
    return Resolved(prompt, head.version, head.channel, head.revision, head.release)


def as_of(prompt: Prompt, head: Head, at: datetime) -> Resolved:
    """The ledger's row that stood at `at`.

    For an instant within the last minute the ledger's lock is taken shared, so that a release which is being decided is
    waited for: an answer once given about an instant stays true.
    """
    with transaction.atomic():
        if at > _database_now() - LOCKED_PAST:
            with connection.cursor() as cursor:
                cursor.execute("SELECT public.promptforge_ledger_lock(%s, false)", [head.pk])
            if at >= _database_now():
                raise DomainError(
                    "bad_timestamp", "The instant lies in the future, and nobody knows yet what will be live then."
                )
        release = (
            Release.objects.filter(prompt=prompt, channel=head.channel)
            .as_of(at)
            .select_related("version", "actor")
            .first()
        )
    if release is None:
        raise DomainError("not_yet_released", f"Nothing of {prompt} was live on {head.channel} at that time yet.")
    return Resolved(prompt, release.version, head.channel, release.revision, release)


def _database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment
