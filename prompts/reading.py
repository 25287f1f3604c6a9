"""Finding things in the database on behalf of a principal."""

from datetime import datetime, timedelta

from django.db import connection, transaction

from accounts.policies import Principal
from accounts.roles import Permission, Scope
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.ids import decode
from prompts.models import Channel, Head, Promotion, Prompt, PromptVersion, Release
from prompts.resolving import Live, Resolved, stands_for, version_not_found, within_reach
from prompts.selectors import Selector

LOCKED_PAST = timedelta(minutes=1)


def find_prompt(
    principal: Principal, name: str, permission: Permission = Permission.READ, scope: Scope | None = None
) -> Prompt:
    """A prompt within the principal's reach (`within_reach`)."""
    prompt = Prompt.objects.filter(project=principal.project, name=name).first()
    return within_reach(principal, prompt, name, permission, scope)


def find_promotion(principal: Principal, promotion_id: str) -> Promotion:
    """A promotion of a prompt that the principal may read; a key's scope for what it does was asked before."""
    pk = decode("pro", promotion_id, "not_found")
    promotion = (
        Promotion.objects.select_related("prompt__project", "channel", "version")
        .filter(prompt__project=principal.project, pk=pk)
        .first()
    )
    if promotion is None or not (
        principal.may(Permission.READ, promotion.prompt).allowed
        if principal.key is None
        else principal.key.reaches_prompt(promotion.prompt.name)
    ):
        raise DomainError("not_found", "There is no such promotion within reach.")
    return promotion


def find_channel(principal: Principal, name: str) -> Channel:
    channel = Channel.objects.select_related("policy").filter(project=principal.project, name=name).first()
    if channel is None:
        raise DomainError("channel_not_found", f"There is no channel {shorten(name)} in this project.")
    return channel


def find_version(prompt: Prompt, number: int | None) -> PromptVersion:
    """One version by its number, or the newest."""
    version = _Rows(prompt).version(number)
    if version is None:
        raise version_not_found(prompt, number)
    return version


def resolve(principal: Principal, prompt: Prompt, selector: Selector, at: datetime | None = None) -> Resolved:
    """The version that `selector` of a prompt stands for now, or stood for at an instant."""
    if at is None:
        return stands_for(prompt, selector, _Rows(prompt))
    if selector.channel is None:
        raise DomainError(
            "bad_version", "_at asks what a channel served then; a number and latest have no past. Name a channel."
        )
    return as_of(prompt, find_channel(principal, selector.channel), at)


class _Rows:
    """One prompt as the database has it."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt

    def version(self, number: int | None) -> PromptVersion | None:
        versions = self.prompt.versions.select_related("prompt").order_by("-number")
        return versions.first() if number is None else versions.filter(number=number).first()

    def live(self, channel: str) -> Live | None:
        heads = Head.objects.select_related("channel", "version", "release").filter(prompt=self.prompt)
        head = heads.filter(channel__name=channel).first()
        return None if head is None else Live(head.channel, head.revision, head.version, head.release)


def as_of(prompt: Prompt, channel: Channel, at: datetime) -> Resolved:
    """The ledger's row that stood at `at`.

    For an instant within the last minute the ledger's lock is taken shared, so that a release which is being decided is
    waited for: an answer once given about an instant stays true.
    """
    with transaction.atomic():
        if at > _database_now() - LOCKED_PAST:
            head = Head.objects.only("pk").get(prompt=prompt, channel=channel)
            with connection.cursor() as cursor:
                cursor.execute("SELECT public.promptforge_ledger_lock(%s, false)", [head.pk])
            if at >= _database_now():
                raise DomainError(
                    "bad_timestamp", "The instant lies in the future, and nobody knows yet what will be live then."
                )
        release = Release.objects.filter(prompt=prompt, channel=channel).as_of(at)
        stood = release.select_related("version", "actor").first()
    if stood is None:
        raise DomainError("not_yet_released", f"Nothing of {prompt} was live on {channel} at that time yet.")
    return Resolved(prompt, stood.version, channel, stood.revision, stood)


def _database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment
