"""Members, keys, grants and projects: what about them cannot be changed, and what follows at once."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.actions.members import create_user, remove_member, set_roles
from accounts.models import ApiKey, BreakGlassGrant, Membership, Project, RoleGroup, User
from accounts.policies import holds
from accounts.roles import ROLE_PERMISSIONS, Permission, Role
from tests.guards.attacks import held, refused, run, value
from tests.personas import Team, make_team
from tests.races.conftest import at_once


def groups_of(user: User) -> set[str]:
    return set(RoleGroup.objects.filter(group__user=user).values_list("role", flat=True))


def test_a_new_project_has_its_serving_row(committed_db: str) -> None:
    project = Project.objects.create(name="fresh")
    rows = value("SELECT count(*) FROM public.events_serving WHERE project_id = %s", [project.pk])
    held(rows, 1, "a project is served from its beginning")


def test_a_service_account_is_no_member(team: Team) -> None:
    team.key()
    with refused("membership_of_person"):
        Membership.objects.create(
            project=team.project, user=ApiKey.objects.get().service_account, roles=["release-manager"]
        )


@pytest.mark.parametrize("field", ["user", "project"])
def test_a_membership_keeps_its_person_and_project(team: Team, field: str) -> None:
    forged = team.outsider if field == "user" else make_team("other", preset="solo").project
    Membership.objects.exclude(project=team.project).filter(user=team.cleo.user).delete()
    with refused("membership_of_person"):
        Membership.objects.filter(project=team.project, user=team.cleo.user).update(**{field: forged})


@pytest.mark.parametrize("roles", [[], ["king"], ["viewer", "king"]])
def test_a_membership_has_known_roles(team: Team, roles: list[str]) -> None:
    with refused("membership_roles_known"):
        Membership.objects.filter(project=team.project, user=team.ada.user).update(roles=roles)


@pytest.mark.parametrize("door", ["update", "sql", "delete", "raw delete"])
def test_groups_follow_the_membership_through_every_door(team: Team, door: str) -> None:
    membership = Membership.objects.filter(project=team.project, user=team.cleo.user)
    held(groups_of(team.cleo.user), {"release-manager"}, "a member is in the roles' groups")
    if door == "update":
        membership.update(roles=["viewer"])
    if door == "sql":
        run("UPDATE public.accounts_membership SET roles = '{viewer}' WHERE user_id = %s", [team.cleo.user.pk])
    if door == "delete":
        membership.get().delete()
    if door == "raw delete":
        run("DELETE FROM public.accounts_membership WHERE user_id = %s", [team.cleo.user.pk])
    held(groups_of(team.cleo.user), set() if "delete" in door else {"viewer"}, "groups follow at once")
    held(holds(team.cleo.user, Permission.RELEASE, team.project), False, "so the right has gone")


@pytest.mark.parametrize("door", ["update", "sql", "delete", "raw delete"])
def test_the_last_admin_stays_one(team: Team, door: str) -> None:
    farah = Membership.objects.filter(project=team.project, user=team.farah.user)
    set_roles(project=team.project, user=team.emil.user, roles=["editor"], by=None)
    with refused("last_admin"):
        if door == "update":
            farah.update(roles=["viewer"])
        if door == "sql":
            run("UPDATE public.accounts_membership SET roles = '{viewer}' WHERE user_id = %s", [team.farah.user.pk])
        if door == "delete":
            farah.get().delete()
        if door == "raw delete":
            run("DELETE FROM public.accounts_membership WHERE user_id = %s", [team.farah.user.pk])
    farah.update(roles=["admin", "viewer"])
    set_roles(project=team.project, user=team.emil.user, roles=["admin"], by=None)
    farah.update(roles=["viewer"])


def test_of_two_last_admins_who_leave_at_once_one_stays(team: Team) -> None:
    admins = list(Membership.objects.filter(project=team.project, roles__contains=["admin"]))
    answers = at_once(2, lambda number: remove_member(membership=admins[number], by=None))
    assert sorted(str(getattr(answer, "code", answer)) for answer in answers) == ["None", "last_admin"]
    assert Membership.objects.filter(project=team.project, roles__contains=["admin"]).count() == 1


def test_an_admin_who_is_switched_off_does_not_count(team: Team) -> None:
    User.objects.filter(pk=team.emil.user.pk).update(is_active=False)
    with refused("last_admin"):
        Membership.objects.filter(project=team.project, user=team.farah.user).delete()


@pytest.mark.parametrize("door", ["insert", "update"])
def test_nobody_enters_a_role_s_group_past_the_membership(team: Team, door: str) -> None:
    group = RoleGroup.objects.get(project=team.project, role="release-manager").group
    with refused("role_group_follows_membership"):
        if door == "insert":
            team.outsider.groups.add(group)
        else:
            User.groups.through.objects.filter(user=team.ada.user).update(group=group)


def test_a_superuser_without_membership_holds_nothing(team: Team) -> None:
    chief = create_user(email="chief@shop.example", is_staff=True, is_superuser=True)
    assert [p for p in Permission if holds(chief, p, team.project)] == []


@pytest.mark.parametrize("role", Role)
def test_a_role_holds_exactly_what_the_table_says(team: Team, role: Role) -> None:
    set_roles(project=team.project, user=team.outsider, roles=[role], by=None)
    other = make_team("other", preset="solo").project
    assert {p for p in Permission if holds(team.outsider, p, team.project)} == ROLE_PERMISSIONS[role]
    assert [p for p in Permission if holds(team.outsider, p, other)] == []


KEPT: dict[str, Any] = {
    "public_id": "other",
    "hash_key_id": "other",
    "secret_hash": b"other",
    "scopes": ["prompts:read", "manage"],
    "channels": ["stable"],
    "prompts": ["*"],
    "created_at": timezone.now(),
}


def test_a_key_says_for_ever_what_it_said(team: Team) -> None:
    team.key()
    other = make_team("other", preset="solo").project
    forged = KEPT | {"service_account": team.noor.user, "created_by": team.noor.user, "project": other}
    for field, lie in forged.items():
        with refused("key_kept"):
            ApiKey.objects.update(**{field: lie})


@pytest.mark.parametrize("door", ["unrevoke", "redate", "prolong", "for ever"])
def test_a_key_ends_once(team: Team, door: str) -> None:
    now = timezone.now()
    team.key(expires_at=now + timedelta(days=1))
    ApiKey.objects.update(revoked_at=now)
    forged: dict[str, Any] = {
        "unrevoke": {"revoked_at": None},
        "redate": {"revoked_at": now + timedelta(days=1)},
        "prolong": {"expires_at": now + timedelta(days=2)},
        "for ever": {"expires_at": None},
    }[door]
    with refused("key_ends_once"):
        ApiKey.objects.update(**forged)


def test_a_key_may_end_sooner(team: Team) -> None:
    now = timezone.now()
    team.key(expires_at=now + timedelta(days=2))
    ApiKey.objects.update(expires_at=now + timedelta(days=1), name="renamed")
    assert ApiKey.objects.get().expires_at == now + timedelta(days=1)


def grant(team: Team, **fields: Any) -> BreakGlassGrant:
    row: dict[str, Any] = {
        "project": team.project,
        "user": team.noor.user,
        "granted_by": team.farah.user,
        "expires_at": timezone.now() + timedelta(hours=1),
    }
    return BreakGlassGrant.objects.create(**row | fields)


@pytest.mark.parametrize("at", [None, timezone.now() + timedelta(days=9)])
def test_a_grant_is_short(team: Team, at: Any) -> None:
    """Also when it claims to be given later."""
    fields = {"at": at} if at else {}
    with refused("grant_short"):
        grant(team, expires_at=timezone.now() + timedelta(hours=25), **fields)


def test_nobody_grants_to_themselves(team: Team) -> None:
    with refused("grant_not_to_oneself"):
        grant(team, user=team.farah.user, granted_by=team.farah.user)


def test_nobody_grants_to_themselves_through_a_key(team: Team) -> None:
    team.key("manage")
    with refused("grant_right"):
        grant(team, user=team.emil.user, granted_by=ApiKey.objects.get().service_account)


@pytest.mark.parametrize("giver", ["ada", "ben", "cleo"])
def test_only_an_admin_grants(team: Team, giver: str) -> None:
    with refused("grant_right"):
        grant(team, granted_by=getattr(team, giver).user)


def test_a_grant_is_dated_by_the_database(team: Team) -> None:
    given = grant(team, at=timezone.now() - timedelta(days=9))
    given.refresh_from_db()
    held(given.at > timezone.now() - timedelta(minutes=5), True, "the database says when it was given")


def test_a_project_keeps_its_number(team: Team) -> None:
    with refused("importing_closed"):
        Project.objects.filter(pk=team.project.pk).update(id=999)
