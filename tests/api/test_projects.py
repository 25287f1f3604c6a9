"""/api/v1/projects: the projects within reach, and making one."""

from accounts.models import Project
from promptforge.lib.instants import format_instant
from prompts.models import Channel
from tests.api.conftest import Caller, body_of, problem_of, written
from tests.api.people import events_of, person, refused, signed_in
from tests.personas import Team, make_team


def test_whoever_makes_a_project_manages_it(team: Team) -> None:
    oda = signed_in(team.outsider)
    assert body_of(oda.get("projects")) == {"data": [], "next": None}
    made = body_of(oda.post("projects", {"name": "garden", "preset": "solo"}), 201)
    project = Project.objects.get(name="garden")
    assert made == {
        "name": "garden",
        "created_at": format_instant(project.created_at),
        "importing": True,
        "serves_stale": False,
    }
    assert body_of(oda.get("projects"))["data"] == [made]
    assert body_of(oda.get("members"))["data"][0]["roles"] == ["admin", "release-manager"]
    body_of(oda.post("prompts", {"name": "a", "content": "b"}), 201)
    body_of(oda.post("releases", {"kind": "promote", "prompt": "a", "version": 1}), 201)
    assert body_of(oda.get("projects"))["data"][0]["importing"] is False


def test_presets_say_what_stable_demands(team: Team) -> None:
    for name, asked, approvals in (("one", {"preset": "solo"}, 0), ("two", {}, 1), ("three", {"preset": "strict"}, 2)):
        body_of(signed_in(team.outsider).post("projects", {"name": name} | asked), 201)
        assert Channel.objects.get(project__name=name).policy.required_approvals == approvals


def test_a_project_is_listed_for_its_members_only(team: Team, foreign: Team, reader: Caller) -> None:
    other = make_team("bakery", preset="team")
    assert [p["name"] for p in body_of(person(team, "noor").get("projects"))["data"]] == ["shop"]
    assert [p["name"] for p in body_of(reader.get("projects"))["data"]] == ["shop"]
    assert [p["name"] for p in body_of(signed_in(other.ada.user).get("projects"))["data"]] == ["bakery"]
    problem_of(Caller(None).get("projects"), 401, "not_authenticated")
    problem_of(reader.get("projects", {"name": "shop"}), 400, "unknown_parameter")


def test_projects_are_listed_by_name_in_pages(team: Team) -> None:
    oda = signed_in(team.outsider)
    for name in ("delta", "alpha", "gamma", "beta"):
        body_of(oda.post("projects", {"name": name}), 201)
    first = body_of(oda.get("projects", {"limit": 3}))
    second = body_of(oda.get("projects", {"limit": 3, "cursor": first["next"]}))
    assert [p["name"] for p in first["data"] + second["data"]] == ["alpha", "beta", "delta", "gamma"]
    assert second["next"] is None


def test_the_project_is_named_by_header_where_there_are_two(team: Team) -> None:
    oda = signed_in(team.outsider)
    problem_of(oda.get("prompts"), 400, "project_required")
    for name in ("one", "two"):
        body_of(oda.post("projects", {"name": name}), 201)
    problem_of(oda.get("prompts"), 400, "project_required")
    for name in ("one", "two"):
        body_of(oda.get("prompts", PromptForge_Project=name))
    for name in ("shop", "none", "", "One", "one "):
        problem_of(oda.get("prompts", PromptForge_Project=name), 404, "project_not_found")


def test_a_key_acts_in_its_own_project(team: Team, foreign: Team, reader: Caller) -> None:
    body_of(reader.get("prompts", PromptForge_Project="shop"))
    for name in ("rival", "none"):
        problem_of(reader.get("prompts", PromptForge_Project=name), 404, "project_not_found")


def test_a_superuser_who_is_no_member_sees_nothing(team: Team) -> None:
    team.outsider.is_superuser = team.outsider.is_staff = True
    team.outsider.save()
    root = signed_in(team.outsider)
    assert body_of(root.get("projects"))["data"] == []
    problem_of(root.get("prompts", PromptForge_Project="shop"), 404, "project_not_found")


def test_projects_that_cannot_be(team: Team, api: Caller) -> None:
    before, projects = written(), Project.objects.count()
    oda = signed_in(team.outsider)
    for name in ("", "Garden", "-a", "a" * 64, "a b", "a_b", "é", "a\n", "a/b", "%"):
        refused(oda.post("projects", {"name": name}), 400, "bad_name", before)
    refused(oda.post("projects", {"name": "shop"}), 409, "name_taken", before)
    for body, code in (
        ({}, "field_required"),
        ({"name": 5}, "string_expected"),
        ({"name": "a", "preset": "loose"}, "bad_value"),
        ({"name": "a", "preset": None}, "bad_value"),
        ({"name": "a", "importing": True}, "read_only_field"),
        ({"name": "a", "owner": "oda"}, "unknown_field"),
    ):
        refused(oda.post("projects", body), 400, code, before)
    refused(api.post("projects", {"name": "garden"}), 403, "forbidden", before)  # a key never makes projects
    assert Project.objects.count() == projects
    assert "project.created" not in events_of(team)[1:]


def test_whether_memory_may_answer_is_a_projects_own_decision(team: Team, foreign: Team) -> None:
    cleo = person(team, "cleo")
    changed = body_of(cleo.send("PATCH", "projects/shop", {"serves_stale": True}))
    assert changed["serves_stale"] is True
    assert Project.objects.get(name="shop").serves_stale
    assert body_of(cleo.send("PATCH", "projects/shop", {"serves_stale": True})) == changed
    assert events_of(team).count("project.changed") == 1
    before = written()
    problem_of(cleo.send("PATCH", "projects/rival", {"serves_stale": True}), 404, "project_not_found")
    problem_of(cleo.send("PATCH", "projects/shop", {"serves_stale": "yes"}), 400, "bad_value")
    problem_of(cleo.send("PATCH", "projects/shop", {"name": "other"}), 400, "read_only_field")
    problem_of(person(team, "ada").send("PATCH", "projects/shop", {"serves_stale": False}), 403, "forbidden")
    assert written() == before
    assert not Project.objects.get(name="rival").serves_stale
