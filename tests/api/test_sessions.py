"""People who are signed in in the browser use the same API: with a project and the CSRF token."""

import pytest
from django.test import Client

from accounts.actions.members import create_user, remove_member, set_roles
from accounts.models import Membership, User
from accounts.policies import Principal
from tests.api.conftest import Caller, body_of, problem_of, release, written
from tests.personas import Team

NAME = "support/greeting"
NEW = {"prompt": NAME, "content": "New"}


def signed_in(user: User | Principal, *, project: str | None = None, csrf: bool = False) -> Caller:
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(
        user.user if isinstance(user, Principal) else user, backend="django.contrib.auth.backends.ModelBackend"
    )
    return Caller(None, headers={} if project is None else {"PromptForge-Project": project}, client=client)


@pytest.fixture(autouse=True)
def prompt(team: Team) -> None:
    release(team, team.prompt(), 1)


def test_a_member_of_one_project_needs_to_name_none(team: Team) -> None:
    assert body_of(signed_in(team.noor).fetch(NAME))["version"] == 1
    assert body_of(signed_in(team.noor, project="shop").fetch(NAME))["version"] == 1
    saved = body_of(signed_in(team.ada).post("versions", NEW), 201)
    assert saved["author"] == {"email": "ada@shop.example", "name": "Ada"}


def test_a_member_of_two_projects_names_one(team: Team, foreign: Team) -> None:
    set_roles(project=foreign.project, user=team.noor.user, roles=["viewer"], by=None)
    problem_of(signed_in(team.noor).fetch(NAME), 400, "project_required")
    assert body_of(signed_in(team.noor, project="shop").fetch(NAME))["version"] == 1
    assert body_of(signed_in(team.noor, project="rival").fetch("secret/plan"))["version"] == 1
    problem_of(signed_in(team.noor, project="rival").fetch(NAME), 404, "prompt_not_found")


def test_foreign_and_absent_projects_answer_alike(team: Team, foreign: Team) -> None:
    details = []
    for name in ("rival", "nowhere"):
        body = problem_of(signed_in(team.noor, project=name).fetch("secret/plan"), 404, "project_not_found")
        details.append(body["detail"].replace(name, "P"))
    assert details[0] == details[1]
    problem_of(signed_in(team.noor, project="").fetch(NAME), 404, "project_not_found")


def test_a_key_names_its_own_project_or_none(team: Team, foreign: Team) -> None:
    key = team.key()
    body_of(Caller(key, headers={"PromptForge-Project": "shop"}).fetch(NAME))
    problem_of(Caller(key, headers={"PromptForge-Project": "rival"}).fetch(NAME), 404, "project_not_found")


def test_nobodys_member_sees_nothing(team: Team) -> None:
    problem_of(signed_in(team.outsider).fetch(NAME), 400, "project_required")
    problem_of(signed_in(team.outsider, project="shop").fetch(NAME), 404, "project_not_found")


def test_a_superuser_sees_and_decides_nothing(team: Team) -> None:
    root = create_user(email="root@shop.example", name="Root", is_staff=True, is_superuser=True)
    before = written()
    problem_of(signed_in(root).get("prompts"), 400, "project_required")
    for answer in (
        signed_in(root, project="shop").get("prompts"),
        signed_in(root, project="shop").fetch(NAME),
        signed_in(root, project="shop").post("versions", NEW),
        signed_in(root, project="shop").post("releases", {"kind": "promote", "prompt": NAME, "version": 1}),
    ):
        problem_of(answer, 404, "project_not_found")
    assert written() == before


def test_a_superuser_who_is_a_viewer_is_a_viewer(team: Team) -> None:
    root = create_user(email="root@shop.example", name="Root", is_staff=True, is_superuser=True)
    set_roles(project=team.project, user=root, roles=["viewer"], by=None)
    caller = signed_in(root)
    body_of(caller.fetch(NAME))
    before = written()
    problem_of(caller.post("versions", NEW), 403, "forbidden")
    problem_of(caller.post("releases", {"kind": "rollback", "prompt": NAME, "reason": "x"}), 403, "forbidden")
    problem_of(caller.get("api-keys"), 403, "forbidden")
    assert written() == before


def test_roles_decide_what_a_session_may(team: Team) -> None:
    promote = {"kind": "promote", "prompt": NAME, "version": 2}
    team.prompt("other")
    body_of(signed_in(team.ada).post("versions", NEW), 201)
    before = written()
    for person in (team.noor, team.ben):
        problem_of(signed_in(person).post("versions", NEW | {"content": "Mine"}), 403, "forbidden")
    for person in (team.noor, team.ben, team.ada, team.farah):
        problem_of(signed_in(person).post("releases", promote), 403, "forbidden")
    for person in (team.noor, team.ben, team.ada, team.cleo):
        problem_of(signed_in(person).get("api-keys"), 403, "forbidden")
    assert written() == before
    body_of(signed_in(team.cleo).post("releases", promote), 201)
    body_of(signed_in(team.farah).get("api-keys"))


def test_what_changes_something_needs_the_csrf_token(team: Team) -> None:
    caller = signed_in(team.ada, csrf=True)
    body_of(caller.fetch(NAME))  # what only reads needs none
    before = written()
    problem_of(caller.post("versions", NEW), 403, "csrf_failed")
    problem_of(caller.post("versions", NEW, X_CSRFToken="x" * 32), 403, "csrf_failed")
    problem_of(caller.post(f"prompts/{NAME}", {}), 403, "csrf_failed")
    assert written() == before
    caller.client.cookies["csrftoken"] = "a" * 32
    body_of(caller.post("versions", NEW, X_CSRFToken="a" * 32), 201)


def test_a_key_needs_no_csrf_token(team: Team) -> None:
    caller = Caller(team.key("versions:write"), client=Client(enforce_csrf_checks=True))
    body_of(caller.post("versions", NEW), 201)


def test_a_bad_key_is_not_saved_by_a_good_session(team: Team) -> None:
    caller = signed_in(team.ada)
    caller.key = "pf_dev_x"
    problem_of(caller.fetch(NAME), 401, "key_malformed")


def test_what_is_taken_away_is_gone_on_the_next_request(team: Team) -> None:
    caller = signed_in(team.ada)
    body_of(caller.fetch(NAME))
    set_roles(project=team.project, user=team.ada.user, roles=["viewer"], by=None)
    problem_of(caller.post("versions", NEW), 403, "forbidden")
    remove_member(membership=Membership.objects.get(user=team.ada.user), by=None)
    problem_of(caller.fetch(NAME), 400, "project_required")
    other = signed_in(team.noor)
    body_of(other.fetch(NAME))
    User.objects.filter(pk=team.noor.user.pk).update(is_active=False)
    problem_of(other.fetch(NAME), 401, "not_authenticated")
