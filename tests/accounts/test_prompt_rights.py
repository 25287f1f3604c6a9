"""Rights on one prompt: by an admin, for members, and never without an event."""

import json
from threading import Event as Signal

import pytest
from django.db import connection, transaction
from guardian.shortcuts import assign_perm

from accounts.actions.members import remove_member, set_roles
from accounts.models import Membership
from accounts.policies import holds
from accounts.roles import Permission
from events.models import Event
from promptforge.lib.errors import DomainError
from prompts.actions.rights import set_prompt_rights
from tests.personas import Team, make_team
from tests.races.conftest import meanwhile


def test_rights_are_set_with_an_event(team: Team) -> None:
    prompt = team.prompt()
    set_prompt_rights(by=team.farah, prompt=prompt, user=team.noor.user, rights=["release", "edit"])
    assert holds(team.noor.user, Permission.EDIT, team.project, prompt)
    event = Event.objects.get(kind="rights.changed")
    assert (event.subject_kind, event.subject_id, event.actor_id) == ("person", team.noor.user.pk, team.farah.user.pk)
    assert json.loads(event.data) == {"prompt": prompt.name, "rights": ["edit", "release"]}


def test_only_an_admin_sets_rights_and_only_of_members(team: Team) -> None:
    prompt = team.prompt()
    for by, user, rights in (
        (team.cleo, team.noor.user, ["edit"]),
        (team.farah, team.outsider, ["edit"]),
        (team.farah, team.noor.user, ["administer"]),
    ):
        with pytest.raises(DomainError):
            set_prompt_rights(by=by, prompt=prompt, user=user, rights=rights)
    assert not Event.objects.filter(kind="rights.changed").exists()


@pytest.mark.parametrize("door", ["verb", "queryset"])
def test_rights_end_with_the_membership(team: Team, door: str) -> None:
    noor, prompt = team.noor.user, team.prompt()
    other = make_team("other", preset="solo")
    set_roles(project=other.project, user=noor, roles=["viewer"], by=None)
    elsewhere = other.prompt()
    set_prompt_rights(by=team.farah, prompt=prompt, user=noor, rights=["review", "release"])
    set_prompt_rights(by=other.farah, prompt=elsewhere, user=noor, rights=["release"])
    assign_perm("configure", noor, team.project)
    membership = Membership.objects.get(project=team.project, user=noor)
    if door == "verb":
        remove_member(membership=membership, by=team.farah)
    else:
        Membership.objects.filter(pk=membership.pk).delete()
    set_roles(project=team.project, user=noor, roles=["viewer"], by=team.farah)
    assert [right for right in Permission if holds(noor, right, team.project, prompt)] == [Permission.READ]
    assert holds(noor, Permission.RELEASE, other.project, elsewhere)


def test_a_membership_does_not_end_while_a_right_is_given(team: Team) -> None:
    noor, prompt = team.noor.user, team.prompt()
    membership = Membership.objects.get(project=team.project, user=noor)

    def give(given: Signal, go_on: Signal) -> None:
        with transaction.atomic():
            set_prompt_rights(by=team.farah, prompt=prompt, user=noor, rights=["release"])
            given.set()
            assert go_on.wait(30)

    with meanwhile(give) as outcome:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        with pytest.raises(DomainError) as caught:
            remove_member(membership=membership, by=team.farah)
    assert (caught.value.code, outcome) == ("unavailable", [None])
    remove_member(membership=membership, by=team.farah)
    assert not holds(noor, Permission.RELEASE, team.project, prompt)
