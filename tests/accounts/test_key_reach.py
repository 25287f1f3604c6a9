"""How far a key's own keys reach, and how long a rotated key lives."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.actions.api_keys import create_key, recognise_key, rotate_key
from accounts.models import ApiKey
from accounts.policies import Principal
from promptforge.lib.errors import DomainError
from tests.personas import Team


def by_key(team: Team, *scopes: str) -> Principal:
    key = recognise_key(team.key(*scopes))
    return Principal(key.service_account, team.project, key)


def test_a_successor_keeps_the_expiry_that_was_chosen(team: Team) -> None:
    chosen = timezone.now() + timedelta(days=30)
    first = recognise_key(team.key(expires_at=chosen))
    second = rotate_key(key=first, overlap_hours=1, by=team.farah).key
    first.refresh_from_db()
    assert second.expires_at == chosen
    assert first.expires_at < timezone.now() + timedelta(hours=2)
    again = rotate_key(key=first, overlap_hours=1, by=team.farah).key
    third = rotate_key(key=second, overlap_hours=0, by=team.farah).key
    assert (again.expires_at, third.expires_at) == (chosen, chosen)


def test_a_key_that_never_ends_has_a_successor_that_never_ends(team: Team) -> None:
    key = recognise_key(team.key())
    assert rotate_key(key=key, overlap_hours=1, by=team.farah).key.expires_at is None
    assert rotate_key(key=key, overlap_hours=1, by=team.farah).key.expires_at is None


def test_an_expired_key_is_not_rotated(team: Team) -> None:
    key = recognise_key(team.key())
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(DomainError, match=f"The key {key.public_id} has expired") as refusal:
        rotate_key(key=key, overlap_hours=1, by=team.farah)
    assert refusal.value.code == "key_expired"
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("narrowing", [{"channels": ["stable"]}, {"prompts": ["support/*"]}])
def test_a_key_that_manages_is_not_narrowed(team: Team, narrowing: dict[str, list[str]]) -> None:
    with pytest.raises(DomainError, match="would not narrow it") as refusal:
        team.key("prompts:read", "manage", **narrowing)
    assert refusal.value.code == "bad_value"
    assert not ApiKey.objects.exists()


def test_a_key_gives_at_most_its_own_scopes(team: Team) -> None:
    by = by_key(team, "manage", "prompts:read")
    asked = {"project": team.project, "name": "child", "responsible": team.emil.user, "by": by}
    assert create_key(scopes=["prompts:read"], **asked).key.scopes == ["prompts:read"]  # type: ignore[arg-type]
    with pytest.raises(DomainError, match="lacks releases:write, audit:read") as refusal:
        create_key(scopes=["manage", "releases:write", "audit:read"], **asked)  # type: ignore[arg-type]
    assert refusal.value.code == "key_scope"


def test_a_key_does_not_rotate_one_that_reaches_further(team: Team) -> None:
    further = recognise_key(team.key("releases:write"))
    with pytest.raises(DomainError) as refusal:
        rotate_key(key=further, overlap_hours=1, by=by_key(team, "manage"))
    assert refusal.value.code == "key_scope"
