"""API keys: making, recognising and ending them."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import ApiKey, Project, User
from accounts.policies import Principal
from accounts.roles import Permission, Scope
from events.actions import SYSTEM, record
from events.kinds import EventKind
from promptforge.lib import keyring
from promptforge.lib.errors import DomainError, shorten, wrong
from promptforge.lib.refusals import refusals
from promptforge.lib.tokens import new_token, public_id_of
from promptforge.lib.verdicts import ALLOWED, Verdict, denied, require

PATTERN_FORM = re.compile(r"^[A-Za-z0-9._/*-]{1,200}\Z")
LONGEST_OVERLAP_HOURS = 7 * 24
CHANNEL_FORM = re.compile(r"^[a-z][a-z0-9-]{0,62}\Z")


class NewKey(NamedTuple):
    """A key and its secret text, which is shown this once and stored nowhere."""

    key: ApiKey
    text: str


def create_key(
    *,
    project: Project,
    name: str,
    scopes: Iterable[str],
    channels: Iterable[str] = (),
    prompts: Iterable[str] = (),
    expires_at: datetime | None = None,
    rate_fetch: int | None = None,
    responsible: User,
    by: Principal | None,
) -> NewKey:
    """Make a key with a service account of its own, for which `responsible` answers."""
    if by is not None:
        require(by.may(Permission.ADMINISTER))
    scope_list, channel_list, pattern_list = list(dict.fromkeys(scopes)), list(channels), list(prompts)
    _check(name, scope_list, channel_list, pattern_list, expires_at)
    require(_may_give(by, scope_list))
    with refusals(), transaction.atomic():
        account = User(
            kind=User.Kind.SERVICE, email=f"{secrets.token_hex(10)}@service.invalid", name=name, responsible=responsible
        )
        account.set_unusable_password()
        account.save()
        made = _insert(
            project=project,
            service_account=account,
            name=name,
            scopes=scope_list,
            channels=channel_list,
            prompts=pattern_list,
            rate_fetch=rate_fetch,
            created_by=by.user if by else responsible,
            expires_at=expires_at,
        )
        record(
            EventKind.KEY_CREATED,
            project_id=project.pk,
            actor=by.actor if by else SYSTEM,
            subject=("key", made.key.pk),
            scopes=scope_list,
        )
    return made


def rotate_key(*, key: ApiKey, overlap_hours: int, by: Principal | None) -> NewKey:
    """Make the successor of a key, with the same reach and expiry; the old one ends after the overlap."""
    if by is not None:
        require(by.may(Permission.ADMINISTER))
    if not 0 <= overlap_hours <= LONGEST_OVERLAP_HOURS:
        raise wrong("overlap_hours", f"The overlap is 0 to {LONGEST_OVERLAP_HOURS} hours (7 days).")
    with refusals(), transaction.atomic():
        locked = ApiKey.objects.select_for_update().get(pk=key.pk)
        if locked.revoked_at is not None:
            raise DomainError("key_revoked", f"The key {key.public_id} was revoked. Make a new one instead.")
        if locked.has_expired(timezone.now()):
            raise DomainError("key_expired", f"The key {key.public_id} has expired. Make a new one instead.")
        require(_may_give(by, locked.scopes))
        # An earlier rotation may have shortened this key's life; the account's newest key was never rotated.
        newest = ApiKey.objects.filter(service_account=locked.service_account_id).latest("pk")
        made = _insert(
            project=locked.project,
            service_account=locked.service_account,
            name=locked.name,
            scopes=locked.scopes,
            channels=locked.channels,
            prompts=locked.prompts,
            rate_fetch=locked.rate_fetch,
            created_by=by.user if by else locked.created_by,
            expires_at=newest.expires_at,
        )
        ends = timezone.now() + timedelta(hours=overlap_hours)
        locked.expires_at = min(locked.expires_at or ends, ends)
        locked.save(update_fields=["expires_at"])
        record(
            EventKind.KEY_ROTATED,
            project_id=locked.project_id,
            actor=by.actor if by else SYSTEM,
            subject=("key", made.key.pk),
            overlap_hours=overlap_hours,
        )
    return made


def revoke_key(*, key: ApiKey, by: Principal | None) -> ApiKey:
    """End a key at once: the next request with it is refused. Revoking it again changes nothing."""
    if by is not None:
        require(by.may(Permission.ADMINISTER))
    with refusals(), transaction.atomic():
        locked = ApiKey.objects.select_for_update().get(pk=key.pk)
        if locked.revoked_at is None:
            locked.revoked_at = timezone.now()
            locked.save(update_fields=["revoked_at"])
            record(
                EventKind.KEY_REVOKED,
                project_id=key.project_id,
                actor=by.actor if by else SYSTEM,
                subject=("key", key.pk),
            )
    return locked


def recognise_key(text: str) -> ApiKey:
    """The live key that this text is, or a refusal that says what is wrong with it. Never writes."""
    public_id = public_id_of(text)
    if public_id is None:
        raise key_malformed()
    keys = ApiKey.objects.select_related("service_account", "project").annotate(database_now=Now())
    key = keys.filter(public_id=public_id).first()
    if key is None or not proves(text, key):
        raise key_unknown()
    moment: datetime = key.database_now
    check_standing(key, lambda: moment)
    return key


def proves(text: str, key: ApiKey) -> bool:
    """Whether this text is the key's."""
    secret = keyring.find("api-key", key.hash_key_id)
    return secret is not None and hmac.compare_digest(_hash(text, secret.secret), bytes(key.secret_hash))


def check_standing(key: ApiKey, now: Callable[[], datetime]) -> None:
    """Refuse a key that has ended: revoked, expired, or of a service account that was switched off."""
    if key.revoked_at is not None:
        raise DomainError("key_revoked", f"The key {key.public_id} was revoked. Make another.")
    if key.expires_at is not None and key.expires_at <= now():
        raise DomainError("key_expired", f"The key {key.public_id} has expired. Make another.")
    if not key.service_account.is_active:
        raise DomainError("key_revoked", f"The service account of the key {key.public_id} is switched off.")


def key_malformed() -> DomainError:
    return DomainError("key_malformed", "This is no API key: its checksum does not fit. Copy the whole key again.")


def key_unknown() -> DomainError:
    return DomainError("key_unknown", "This API key is not known here. It may belong to another installation.")


def _may_give(by: Principal | None, scopes: list[str]) -> Verdict:
    """A key gives no more than it has: otherwise `manage` alone would open everything."""
    if by is None or by.key is None or not (beyond := [scope for scope in scopes if scope not in by.key.scopes]):
        return ALLOWED
    return denied(
        "key_scope",
        f"The key {by.key.public_id} lacks {', '.join(beyond)}, and gives at most its own scopes. "
        "Ask an admin who signs in.",
    )


def _insert(**fields: Any) -> NewKey:
    """A fresh secret in a row of its own; only its keyed hash is stored."""
    token = new_token("live" if settings.PRODUCTION else "dev")
    hash_key = keyring.current("api-key")
    key = ApiKey.objects.create(
        public_id=token.public_id,
        hash_key_id=hash_key.id,
        secret_hash=_hash(token.text, hash_key.secret),
        **fields,
    )
    return NewKey(key, token.text)


def _hash(text: str, secret: bytes) -> bytes:
    return hmac.new(secret, text.encode(), hashlib.sha256).digest()


def _check(name: str, scopes: list[str], channels: list[str], prompts: list[str], expires_at: datetime | None) -> None:
    if not name.strip() or len(name) > 100:
        raise wrong("name", "A key has a name of 1 to 100 characters that says who uses it.")
    if not scopes:
        raise wrong("scopes", f"A key needs at least one scope: {', '.join(Scope.values)}.")
    for scope in scopes:
        if scope not in Scope.values:
            raise wrong("scopes", f"{shorten(scope)} is not a scope. Scopes: {', '.join(Scope.values)}.")
    _check_reach(scopes, channels, prompts)
    if expires_at is not None and expires_at <= timezone.now():
        raise wrong(
            "expires_at", "The key would have expired already. Choose an instant in the future.", "bad_timestamp"
        )


def _check_reach(scopes: list[str], channels: list[str], prompts: list[str]) -> None:
    if Scope.MANAGE in scopes and (channels or prompts):
        raise wrong(
            "channels" if channels else "prompts",
            "A key with the scope manage makes other keys, so channels and prompts would not narrow it. "
            "Leave them out, or make two keys.",
        )
    for channel in channels:
        if not CHANNEL_FORM.match(channel):
            raise wrong(
                "channels", f"{shorten(channel)} is not a channel's name, `latest` or `pinned`.", "bad_channel_name"
            )
    for pattern in prompts:
        if not PATTERN_FORM.match(pattern):
            raise wrong("prompts", f"{shorten(pattern)} is not a pattern of prompt names, such as support/*.")
