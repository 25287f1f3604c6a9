"""Whoever has a second factor gets in by it alone: through no door, by no replay, and by no burst of guesses."""

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.db import connections
from django.test import Client

from accounts.models import SignInFailures
from accounts.second_factor import use_code
from events.models import Event
from tests.personas import Team
from tests.sign_in.conftest import (
    ACCOUNT,
    CODE,
    CONFIRM,
    PASSWORD,
    SIGN_IN,
    App,
    age,
    factors,
    give_code,
    is_signed_in,
    kinds,
    move_waits,
    sign_in,
    signed_in,
)

ADD, REMOVE, CODES = (f"/accounts/second-factor/{word}/" for word in ("add", "remove", "codes"))


def test_the_password_alone_opens_nothing(app: App) -> None:
    client = Client()
    assert sign_in(client)["Location"] == CODE
    assert not is_signed_in(client)
    assert client.get("/admin/").status_code == 302
    assert client.get(ACCOUNT)["Location"].startswith(SIGN_IN)
    for page in (CONFIRM, ADD, REMOVE, CODES, "/accounts/password/", "/accounts/sessions/end/"):
        assert client.post(page, {"password": PASSWORD}).status_code in (302, 403)
    assert not is_signed_in(client)
    assert client.post("/api/v1/projects", {"name": "x"}, content_type="application/json").status_code == 401
    assert give_code(client, app.code())["Location"] == "/"
    assert is_signed_in(client)
    assert client.get("/admin/").status_code == 200


def test_the_admin_has_no_sign_in_of_its_own(app: App) -> None:
    client = Client()
    answer = client.post("/admin/login/", {"username": "emil@shop.example", "password": PASSWORD, "next": "/admin/"})
    assert answer["Location"] == f"{SIGN_IN}?next=%2Fadmin%2F"
    assert not is_signed_in(client)
    assert client.get("/admin/", follow=True).redirect_chain[-1][0].startswith(SIGN_IN)


def test_whoever_may_not_open_the_admin_is_told_and_not_sent_in_a_circle(team: Team) -> None:
    client = signed_in("ada@shop.example")
    answer = client.get("/admin/", follow=True)
    assert answer.status_code == 403
    assert "ada@shop.example" in answer.content.decode()
    assert len(answer.redirect_chain) == 1


def test_a_form_without_a_code_is_no_way_round(app: App) -> None:
    client = Client()
    sign_in(client)
    for typed in ({}, {"credential": "{}"}, {"code": ""}, {"code": "\0"}, {"code": "١٢٣٤٥٦"}, {"code": "1" * 5000}):
        assert client.post(CODE, typed).status_code == 200
        assert not is_signed_in(client)


def test_a_code_is_good_once(app: App, team: Team) -> None:
    code = app.code()
    signed_in(code=code)
    again = Client()
    sign_in(again)
    assert "used already" in give_code(again, code).content.decode()
    assert not is_signed_in(again)
    assert use_code(team.emil.user, app.code(-1)) is None, "an older one, after a newer one was used"
    assert give_code(again, app.code(1)).status_code == 302
    assert is_signed_in(again)


@pytest.mark.parametrize("kind", ["totp", "recovery"])
def test_a_code_is_good_once_when_many_come_at_once(app: App, kind: str) -> None:
    code = app.code() if kind == "totp" else app.recovery_codes[3]
    clients = [Client() for _ in range(6)]
    for client in clients:
        sign_in(client)

    def attempt(client: Client) -> int:
        try:
            return int(give_code(client, code).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(attempt, clients))
    assert sorted(answers) == [200] * 5 + [302]
    assert sum(map(is_signed_in, clients)) == 1


def test_codes_of_other_times_people_and_secrets_are_wrong(app: App, team: Team) -> None:
    other = App(team.cleo.user)
    emil = team.emil.user
    for code in (app.code(-3), app.code(2), other.code(), other.recovery_codes[0], "000000", "", app.secret):
        assert use_code(emil, code) is None, code
    spoken = f"{app.code()[:3]} {app.code()[3:]}"
    assert use_code(emil, spoken) is not None


def test_the_code_that_enrolled_is_used(team: Team) -> None:
    client = signed_in()
    secret = "".join(client.get(ADD).context["secret"])
    app = App.__new__(App)
    app.secret = secret
    code = app.code()
    assert client.post(ADD, {"code": code}).status_code == 200
    assert factors(team.emil.user) == ["recovery_codes", "totp"]
    again = Client()
    sign_in(again)
    give_code(again, code)
    assert not is_signed_in(again)


def test_guesses_are_counted_across_password_and_code(app: App) -> None:
    """Whoever has the password does not begin anew by typing it: ten guesses in all, and then the waits."""
    for _ in range(3):
        client = Client()
        sign_in(client)
        assert [give_code(client, "000000").status_code for _ in range(3)] == [200] * 3
    assert SignInFailures.objects.get().failures == 9
    sign_in(client)
    assert SignInFailures.objects.get().failures == 9
    give_code(client, app.recovery_codes[0][:-1])
    move_waits(5)
    for refused in (give_code(client, app.code()), sign_in(Client()), sign_in(Client(), password="wrong")):
        assert refused.status_code == 429
        assert int(refused["Retry-After"]) > 290
        assert "Too many sign-ins failed. Wait" in refused.content.decode()
    assert not is_signed_in(client)
    move_waits(-15)
    assert give_code(client, app.code()).status_code == 302
    assert not SignInFailures.objects.exists()


def test_twenty_guesses_of_a_code_at_once(app: App) -> None:
    clients = [Client() for _ in range(20)]
    for client in clients:
        assert sign_in(client).status_code == 302

    def attempt(client: Client) -> int:
        try:
            return int(give_code(client, "000000").status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(attempt, clients))
    assert SignInFailures.objects.get().failures == 20
    assert answers.count(429) >= 5, answers
    move_waits(5)
    assert give_code(clients[0], app.code()).status_code == 429
    assert not is_signed_in(clients[0])


def test_the_code_page_forgets_a_sign_in_that_waits_too_long_or_whose_password_was_replaced(
    app: App, team: Team
) -> None:
    client = Client()
    sign_in(client)
    emil = team.emil.user
    emil.set_password("another long enough word")
    emil.save()
    give_code(client, app.code())
    assert not is_signed_in(client)
    emil.set_password(PASSWORD)
    emil.save()
    late = Client()
    sign_in(late)
    session: Any = late.session
    session["account_login"]["initiated_at"] = time.time() - 16 * 60
    session.save()
    assert give_code(late, app.code(1))["Location"] == SIGN_IN
    assert not is_signed_in(late)


def test_a_factor_that_was_removed_meanwhile_ends_the_waiting_sign_in(app: App, team: Team) -> None:
    client = Client()
    sign_in(client)
    Authenticator.objects.all().delete()
    assert client.get(CODE, follow=True).status_code == 200
    assert not is_signed_in(client)
    sign_in(client)
    assert is_signed_in(client)


# --- Proving anew ----------------------------------------------------------------------------------------------------
def test_confirming_takes_the_code_as_well(app: App) -> None:
    client = signed_in(code=app.code())
    age(client, 301)
    for typed in ({"password": PASSWORD}, {"code": app.code(1)}, {"password": "wrong", "code": app.code(1)}):
        assert client.post(CONFIRM, typed).status_code == 200
        assert client.get(CODES).status_code == 302
    assert "used already" in client.post(CONFIRM, {"password": PASSWORD, "code": app.code()}).content.decode()
    assert client.post(CONFIRM, {"password": PASSWORD, "code": app.code(1)}).status_code == 302
    assert client.get(CODES).status_code == 200
    assert client.get("/accounts/2fa/reauthenticate/").status_code == 404


def test_a_wrong_password_does_not_use_the_code_up(app: App, team: Team) -> None:
    client = signed_in(code=app.code())
    client.post(CONFIRM, {"password": "wrong", "code": app.code(1)})
    assert use_code(team.emil.user, app.code(1)) is not None


def test_guesses_while_confirming_are_counted_too(app: App) -> None:
    client = signed_in(code=app.code())
    for _ in range(10):
        assert client.post(CONFIRM, {"password": "wrong", "code": "1"}).status_code == 200
    move_waits(5)
    assert client.post(CONFIRM, {"password": PASSWORD, "code": app.code(1)}).status_code == 429
    assert sign_in(Client()).status_code == 429


def test_the_form_for_another_password_does_not_give_guesses_of_codes_back(app: App) -> None:
    client = signed_in(code=app.code())
    for _ in range(9):
        client.post(CONFIRM, {"password": PASSWORD, "code": "000000"})
    client.post("/accounts/password/", {"oldpassword": PASSWORD, "password1": "short", "password2": "short"})
    assert SignInFailures.objects.get().failures == 9


# --- Adding, renewing, removing --------------------------------------------------------------------------------------
def test_adding_and_removing_takes_a_recent_sign_in(app: App, team: Team) -> None:
    client = signed_in(code=app.code())
    age(client, 301)
    for page in (CODES, REMOVE):
        assert client.get(page)["Location"].startswith(f"{CONFIRM}?next=")
        assert client.post(page)["Location"].startswith(f"{CONFIRM}?next=")
    cleo = signed_in("cleo@shop.example")
    age(cleo, 301)
    assert cleo.get(ADD)["Location"].startswith(f"{CONFIRM}?next=")
    assert factors(team.emil.user) == ["recovery_codes", "totp"]
    assert len(kinds()) == 3


def test_a_suspended_removal_goes_on_after_confirming(app: App, team: Team) -> None:
    client = signed_in(code=app.code())
    age(client, 301)
    onward = client.post(REMOVE)["Location"]
    assert factors(team.emil.user)
    client.post(onward, {"password": PASSWORD, "code": app.code(1), "next": REMOVE})
    assert factors(team.emil.user) == []


def test_adding_a_factor_ends_the_sessions_that_began_without_it(team: Team) -> None:
    here, there = signed_in(), signed_in()
    secret = "".join(here.get(ADD).context["secret"])
    stored = here.session["new_factor"]
    assert secret not in stored
    app = App.__new__(App)
    app.secret = secret
    assert "another code" in here.post(ADD, {"code": "000000"}).content.decode()
    shown = here.post(ADD, {"code": app.code()})
    codes = shown.context["codes"]
    assert len(set(codes)) == 10
    assert is_signed_in(here)
    assert not is_signed_in(there)
    assert "new_factor" not in here.session
    assert kinds() == ["session.begun", "session.begun", "factor.added", "session.ended"]
    kept = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in kept
    assert not [code for code in codes if code.replace(" ", "") in kept]
    assert here.get(ADD)["Location"] == REMOVE


def test_recovery_codes_are_shown_once_and_end_with_new_ones(app: App, team: Team) -> None:
    client = signed_in(code=app.code())
    assert not any(
        code[:5] in client.get(page).content.decode() for page in (ACCOUNT, CODES) for code in app.recovery_codes
    )
    new = client.post(CODES).context["codes"]
    assert new[0][:5] not in client.get(CODES).content.decode()
    assert use_code(team.emil.user, app.recovery_codes[0]) is None
    assert use_code(team.emil.user, new[0]) is not None
    assert use_code(team.emil.user, new[0]) is None
    assert "9 of 10 recovery codes" in client.get(ACCOUNT).content.decode()
    assert kinds()[-1] == "codes.renewed"
    cleo = signed_in("cleo@shop.example")
    assert "codes" not in (cleo.post(CODES).context or {}), "no recovery codes without a factor"


def test_a_sign_in_tells_by_which_factor(app: App) -> None:
    signed_in(code=app.code())
    signed_in(code=app.recovery_codes[0])
    signed_in("ada@shop.example")
    told = Event.objects.filter(kind="session.begun").order_by("pk").values_list("data", flat=True)
    assert list(told) == ['{"factor":"totp"}', '{"factor":"recovery_codes"}', '{"factor":"password"}']


def test_the_account_s_pages_say_that_the_key_of_a_factor_is_gone(app: App) -> None:
    client = signed_in(code=app.code())
    for factor in Authenticator.objects.all():
        sealed = base64.b64encode(b"gone." + base64.b64decode(factor.data.get("secret") or factor.data["seed"]))
        factor.data["secret" if "secret" in factor.data else "seed"] = sealed.decode()
        factor.save()
    for page, count in ((ACCOUNT, "0 of 10 recovery codes are left."), (CODES, "0 of them unused.")):
        told = client.get(page).content.decode()
        assert f"{count} A stored secret was sealed with a key that the ring does not have any more. Ask your" in told
    assert len(client.post(CODES).context["codes"]) == 10
    assert "10 of 10 recovery codes are left.</span>" in client.get(ACCOUNT).content.decode()


def test_a_secret_that_was_altered_lets_nobody_in_and_says_who_helps(app: App) -> None:
    stored = Authenticator.objects.get(type="totp").data["secret"]
    assert app.secret not in stored
    Authenticator.objects.filter(type="totp").update(data={"secret": stored[:-8] + "AAAAAAA=", "last_counter": 0})
    client = Client()
    sign_in(client)
    assert "Ask your operator" in give_code(client, app.code()).content.decode()
    assert not is_signed_in(client)
