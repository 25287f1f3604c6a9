"""/api/v1/members: who belongs to a project, with which roles, and the right to break glass."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from accounts.actions.members import remove_member
from accounts.models import BreakGlassGrant, Membership, User
from promptforge.lib.ids import encode
from tests.api.conftest import Caller, body_of, problem_of, written
from tests.api.people import events_of, last_event, person, refused, signed_in
from tests.personas import Team
from tests.races.conftest import at_once


def member_id(team: Team, name: str) -> str:
    return encode("mem", Membership.objects.get(project=team.project, user=getattr(team, name).user).pk)


def test_a_person_is_made_a_member(team: Team, api: Caller) -> None:
    newest = last_event()
    asked = {"email": "gus@shop.example", "name": "Gus", "roles": ["viewer", "editor", "viewer"]}
    made = body_of(api.post("members", asked), 201)
    membership = Membership.objects.get(user__email="gus@shop.example")
    assert made == {
        "id": encode("mem", membership.pk),
        "email": "gus@shop.example",
        "name": "Gus",
        "roles": ["editor", "viewer"],
    }
    assert events_of(team, newest) == ["member.added"]
    assert not membership.user.has_usable_password()
    gus = signed_in(membership.user)
    body_of(gus.post("prompts", {"name": "a", "content": "b"}), 201)
    problem_of(gus.get("members"), 403, "forbidden")


def test_who_is_a_member_already_gets_exactly_these_roles(team: Team, api: Caller) -> None:
    newest = last_event()
    asked = {"email": "NOOR@shop.example", "name": "Somebody else", "roles": ["admin"]}
    made = body_of(api.post("members", asked), 201)
    assert made == {"id": member_id(team, "noor"), "email": "noor@shop.example", "name": "Noor", "roles": ["admin"]}
    assert events_of(team, newest) == ["member.changed"]
    assert User.objects.filter(name="Noor").count() == 1


def test_an_address_does_not_tell_a_strangers_name(team: Team, foreign: Team, api: Caller) -> None:
    for name, given in (("noor", {}), ("ada", {"name": "A colleague"})):
        made = body_of(api.post("members", {"email": f"{name}@rival.example", "roles": ["viewer"]} | given), 201)
        assert made["name"] == given.get("name", "")
    assert set(User.objects.filter(email__endswith="@rival.example").values_list("name", flat=True)) >= {"Noor", "Ada"}


def test_roles_bite_on_the_next_request(team: Team, api: Caller) -> None:
    noor = person(team, "noor")
    problem_of(noor.post("prompts", {"name": "a", "content": "b"}), 403, "forbidden")
    changed = body_of(api.send("PATCH", f"members/{member_id(team, 'noor')}", {"roles": ["editor"]}))
    assert changed == {
        "id": member_id(team, "noor"),
        "email": "noor@shop.example",
        "name": "Noor",
        "roles": ["editor"],
    }
    body_of(noor.post("prompts", {"name": "a", "content": "b"}), 201)
    body_of(api.send("PATCH", f"members/{member_id(team, 'noor')}", {"roles": ["viewer"]}))
    problem_of(noor.post("prompts", {"name": "c", "content": "d"}), 403, "forbidden")
    body_of(noor.get("prompts"))
    assert api.send("DELETE", f"members/{member_id(team, 'noor')}").status_code == 204
    problem_of(noor.get("prompts"), 404, "project_not_found")


def test_of_two_removals_at_once_one_is_told(team: Team) -> None:
    newest, noor = last_event(), Membership.objects.get(project=team.project, user=team.noor.user)
    answers = at_once(2, lambda _: remove_member(membership=Membership.objects.get(pk=noor.pk), by=team.farah))
    assert sorted(str(getattr(answer, "code", answer)) for answer in answers) == ["None", "not_found"]
    assert events_of(team, newest) == ["member.removed"]


def test_members_are_listed_in_pages(team: Team, foreign: Team, api: Caller) -> None:
    first = body_of(api.get("members", {"limit": 4}))
    second = body_of(api.get("members", {"limit": 4, "cursor": first["next"]}))
    people = {member["email"].partition("@")[0]: member["roles"] for member in first["data"] + second["data"]}
    assert people == {
        "ada": ["editor"],
        "ben": ["reviewer"],
        "cleo": ["release-manager"],
        "emil": ["admin", "editor", "release-manager", "reviewer"],
        "farah": ["admin"],
        "noor": ["viewer"],
    }
    assert second["next"] is None
    assert {member["email"].partition("@")[2] for member in first["data"]} == {"shop.example"}
    problem_of(api.get("members", {"email": "ada@shop.example"}), 400, "unknown_parameter")


def test_members_that_cannot_be(team: Team, api: Caller) -> None:
    before, people = written(), (User.objects.count(), Membership.objects.count())
    good = {"email": "gus@shop.example", "roles": ["viewer"]}
    for field, value, code in (
        ("email", "gus", "bad_value"),
        ("email", "", "bad_value"),
        ("email", "gus@", "bad_value"),
        ("email", "gus@shop.example\n", "bad_value"),
        ("email", "g" * 60 + "@" + "shop." * 40 + "example", "bad_value"),
        ("email", "g" * 300 + "@shop.example", "bad_value"),
        ("email", 5, "string_expected"),
        ("name", "n" * 201, "bad_value"),
        ("name", None, "bad_value"),
        ("roles", [], "bad_value"),
        ("roles", ["owner"], "bad_value"),
        ("roles", ["viewer", "owner"], "bad_value"),
        ("roles", "viewer", "list_expected"),
        ("roles", [7], "string_expected"),
        ("id", "mem_x", "read_only_field"),
        ("is_superuser", True, "unknown_field"),
        ("is_staff", True, "unknown_field"),
        ("password", "x" * 20, "unknown_field"),
    ):
        refused(api.post("members", good | {field: value}), 400, code, before)
        assert (User.objects.count(), Membership.objects.count()) == people, (field, value)
    noor = f"members/{member_id(team, 'noor')}"
    for body, code in (
        ({"roles": []}, "bad_value"),
        ({"roles": ["owner"]}, "bad_value"),
        ({"roles": ["viewer"], "email": "x@y.example"}, "read_only_field"),
        ({}, "field_required"),
    ):
        refused(api.send("PATCH", noor, body), 400, code, before)
    assert body_of(api.get("members"))["data"][-1]["roles"] == ["viewer"]


def test_a_service_account_is_never_a_member(team: Team, api: Caller) -> None:
    address = User.objects.get(kind=User.Kind.SERVICE).email
    before = written()
    answer = api.post("members", {"email": address, "roles": ["admin"]})
    assert answer.status_code in (400, 403, 409), answer.content
    assert written() == before


def test_ids_out_of_reach(team: Team, foreign: Team, api: Caller) -> None:
    before = written()
    for wrong in (member_id(foreign, "noor"), encode("mem", 2**40), encode("key", 1), "x", "mem_"):
        refused(api.send("PATCH", f"members/{wrong}", {"roles": ["admin"]}), 404, "not_found", before)
        refused(api.send("DELETE", f"members/{wrong}"), 404, "not_found", before)
        grant = {"permission": "break_glass", "minutes": 5}
        refused(api.post(f"members/{wrong}/grants", grant), 404, "not_found", before)


def test_who_may_manage_members(team: Team, reader: Caller) -> None:
    noor, before = member_id(team, "noor"), written()
    for caller, code in [
        (reader, "key_scope"),
        *((person(team, name), "forbidden") for name in ("ada", "ben", "cleo", "noor")),
    ]:
        for method, path, body in (
            ("GET", "members", None),
            ("POST", "members", {"email": "x@shop.example", "roles": ["admin"]}),
            ("PATCH", f"members/{noor}", {"roles": ["admin"]}),
            ("DELETE", f"members/{noor}", None),
            ("POST", f"members/{noor}/grants", {"permission": "break_glass", "minutes": 5}),
        ):
            refused(caller.send(method, path, body), 403, code, before)
    body_of(person(team, "farah").get("members"))


# --- Grants ----------------------------------------------------------------------------------------------------------
def test_a_grant_lets_another_person_break_glass_for_some_minutes(team: Team) -> None:
    newest, begun = last_event(), timezone.now()
    grant = {"permission": "break_glass", "minutes": 15}
    made = body_of(person(team, "farah").post(f"members/{member_id(team, 'cleo')}/grants", grant), 201)
    ends = datetime.fromisoformat(made.pop("expires_at")).astimezone(UTC)
    assert 14 * 60 < (ends - begun).total_seconds() < 16 * 60
    assert made == {
        "permission": "break_glass",
        "member": {"email": "cleo@shop.example", "name": "Cleo"},
        "granted_by": {"email": "farah@shop.example", "name": "Farah"},
    }
    assert events_of(team, newest) == ["grant.given"]
    assert BreakGlassGrant.objects.get().user == team.cleo.user


def test_nobody_grants_it_to_themselves(team: Team) -> None:
    before = written()
    grant = {"permission": "break_glass", "minutes": 15}
    for name in ("farah", "emil"):
        answer = person(team, name).post(f"members/{member_id(team, name)}/grants", grant)
        refused(answer, 403, "four_eyes", before)
    key = Caller(team.key("manage"))
    before = written()
    for name in ("emil", "cleo"):  # a key never gives the right, least of all to whoever answers for it
        refused(key.post(f"members/{member_id(team, name)}/grants", grant), 403, "forbidden", before)
    assert BreakGlassGrant.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"permission": "break_glass"}, "field_required"),
        ({"minutes": 5}, "field_required"),
        ({"permission": "release", "minutes": 5}, "bad_value"),
        ({"permission": "break_glass", "minutes": 0}, "bad_value"),
        ({"permission": "break_glass", "minutes": 1441}, "bad_value"),
        ({"permission": "break_glass", "minutes": "5"}, "bad_value"),
        ({"permission": "break_glass", "minutes": 2.5}, "bad_value"),
        ({"permission": "break_glass", "minutes": 5, "user": 1}, "unknown_field"),
    ],
)
def test_grants_that_cannot_be(team: Team, body: object, code: str) -> None:
    before = written()
    refused(person(team, "farah").post(f"members/{member_id(team, 'cleo')}/grants", body), 400, code, before)
    assert BreakGlassGrant.objects.count() == 0
