"""Sessions: their key changes where rights change, their list is one's own, and an ended one is refused at once."""

import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.test import Client
from django.utils import timezone

from accounts.actions.sign_in import end_sessions, set_password
from accounts.models import Session
from accounts.sign_in import SIGNED_IN_AT
from accounts.tasks import forget_sessions
from events.models import Event
from tests.personas import Team
from tests.sign_in.conftest import (
    ACCOUNT,
    CONFIRM,
    PASSWORD,
    App,
    age,
    give_code,
    is_signed_in,
    kinds,
    sign_in,
    signed_in,
)

END = "/accounts/sessions/end/"


def key(client: Client) -> str:
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def planted() -> tuple[Client, str]:
    """A browser with a session whose key somebody else knows."""
    client = Client()
    session: Any = client.session
    session["x"] = 1
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    return client, session.session_key


def with_key(known: str) -> Client:
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = known
    return client


def test_a_planted_key_is_worth_nothing_after_the_password_and_after_the_code(app: App) -> None:
    client, known = planted()
    sign_in(client)
    after_password = key(client)
    assert after_password != known
    assert give_code(with_key(known), app.code())["Location"] == "/accounts/sign-in/"
    give_code(client, app.code())
    assert key(client) not in (known, after_password)
    for old in (known, after_password):
        assert not is_signed_in(with_key(old))
        assert not Session.objects.filter(pk=old).exists()
    assert is_signed_in(client)


def test_a_planted_key_is_worth_nothing_after_a_sign_in_without_a_second_factor(team: Team) -> None:
    client, known = planted()
    sign_in(client)
    assert is_signed_in(client)
    assert not is_signed_in(with_key(known))


def test_confirming_changes_the_key_and_makes_the_sign_in_recent(team: Team) -> None:
    client = signed_in()
    age(client, 301)
    old = key(client)
    assert client.post(CONFIRM, {"password": PASSWORD, "next": "/docs/errors"})["Location"] == "/docs/errors"
    assert key(client) != old
    assert not is_signed_in(with_key(old))
    assert is_signed_in(client)
    assert client.get("/accounts/second-factor/add/").status_code == 200


def test_the_list_shows_device_address_and_last_use_and_no_keys(team: Team) -> None:
    here, there = signed_in(), signed_in()
    other = signed_in("ada@shop.example")
    Session.objects.filter(pk=key(there)).update(seen_at=timezone.now() - timedelta(hours=3))
    shown = here.get(ACCOUNT)
    text = shown.content.decode()
    assert [is_this for _, _, is_this in shown.context["sessions"]] == [True, False]
    assert "Firefox on Linux" in text
    assert "127.0.0.1" in text
    assert shown.headers["Cache-Control"].startswith("max-age=0")
    for client in (here, there, other):
        assert key(client) not in text


def test_the_last_use_is_noted_once_a_minute(team: Team) -> None:
    client = signed_in()
    row = Session.objects.get(pk=key(client))
    is_signed_in(client)
    assert Session.objects.get(pk=row.pk).seen_at == row.seen_at
    Session.objects.filter(pk=row.pk).update(seen_at=timezone.now() - timedelta(minutes=2))
    is_signed_in(client)
    noted = Session.objects.get(pk=row.pk)
    assert noted.seen_at > row.seen_at
    assert (noted.began_at, noted.device, noted.address) == (row.began_at, row.device, row.address)


def test_ending_one_ends_that_one_at_its_next_request(team: Team) -> None:
    here, there, third = signed_in(), signed_in(), signed_in()
    listed = {row.pk: id_ for id_, row, _ in here.get(ACCOUNT).context["sessions"]}
    assert here.post(END, {"session": listed[key(there)]})["Location"] == ACCOUNT
    assert not is_signed_in(there)
    assert there.get("/admin/").status_code == 302
    assert is_signed_in(here)
    assert is_signed_in(third)
    event = Event.objects.filter(project_id=0).latest("pk")
    assert (event.kind, event.actor_id, event.data) == ("session.ended", team.emil.user.pk, '{"sessions":1}')


def test_ending_all_others(team: Team) -> None:
    here, others, ada = signed_in(), [signed_in() for _ in range(3)], signed_in("ada@shop.example")
    here.post(END)
    assert is_signed_in(here)
    assert is_signed_in(ada)
    assert not any(map(is_signed_in, others))
    assert "You are signed in here only" in here.get(ACCOUNT).content.decode()


def test_nobody_ends_another_persons_session(team: Team) -> None:
    here, ada = signed_in(), signed_in("ada@shop.example")
    adas = ada.get(ACCOUNT).context["sessions"][0][0]
    mine = here.get(ACCOUNT).context["sessions"][0][0]
    for chosen in (adas, mine, key(ada), "", "x"):
        assert here.post(END, {"session": chosen}).status_code == 404
    assert is_signed_in(ada)
    assert is_signed_in(here)
    assert here.get(END).status_code == 405
    assert Client().post(END)["Location"].startswith("/accounts/sign-in/")


def test_another_process_sees_that_a_session_ended(team: Team, committed_db: str) -> None:
    """The very next thing that a process asks which knew the session and had it open."""
    client = signed_in()
    program = (
        "import sys, django; django.setup()\n"
        "from django.db import connections\n"
        "for c in connections.all(): c.settings_dict['NAME'] = sys.argv[1]\n"
        "from django.test import Client\n"
        "client = Client(SERVER_NAME='localhost'); client.cookies['sessionid'] = sys.argv[2]\n"
        "for line in sys.stdin: print(client.get('/api/v1/projects').status_code, flush=True)\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, committed_db, key(client)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "promptforge.settings"},
        text=True,
    )
    assert other.stdin is not None
    assert other.stdout is not None
    try:
        answers = []
        for _ in range(2):
            print("go", file=other.stdin, flush=True)
            answers.append(other.stdout.readline().strip())
            end_sessions(user=team.emil.user, by=team.emil.user)
        assert answers == ["200", "401"]
    finally:
        other.stdin.close()
        assert other.wait(20) == 0


def test_a_request_that_is_under_way_does_not_bring_an_ended_session_back(team: Team) -> None:
    client = signed_in()
    session: Any = client.session
    assert session[SIGNED_IN_AT], "loaded before it ends"
    end_sessions(user=team.emil.user, by=None)
    session["x"] = 1
    with pytest.raises(UpdateError):
        session.save()
    assert not Session.objects.filter(user=team.emil.user).exists()
    assert not is_signed_in(client)


def test_signing_out_takes_a_post_and_ends_the_session(team: Team) -> None:
    client = signed_in()
    assert client.get("/accounts/sign-out/").status_code == 200
    assert is_signed_in(client)
    known = key(client)
    assert client.post("/accounts/sign-out/")["Location"] == "/accounts/sign-in/"
    assert not is_signed_in(with_key(known))
    assert kinds() == ["session.begun", "session.ended"]
    admin = signed_in()
    admin.post("/admin/logout/")
    assert not is_signed_in(admin)
    assert kinds()[-1] == "session.ended"


def test_a_new_password_ends_the_sessions_that_the_old_one_began(team: Team) -> None:
    here, there = signed_in(), signed_in()
    new = "another long enough word"
    typed = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert here.post("/accounts/password/", typed | {"oldpassword": "wrong"}).status_code == 200
    assert here.post("/accounts/password/", typed | {"password1": "short", "password2": "short"}).status_code == 200
    assert here.post("/accounts/password/", typed)["Location"] == ACCOUNT
    assert is_signed_in(here)
    assert not is_signed_in(there)
    assert len(here.get(ACCOUNT).context["sessions"]) == 1
    assert not is_signed_in_by(PASSWORD)
    assert is_signed_in_by(new)
    assert kinds()[2:4] == ["password.changed", "session.ended"]
    set_password(user=team.emil.user, password=PASSWORD, by=None)
    assert not is_signed_in(here)


def is_signed_in_by(password: str) -> bool:
    client = Client()
    sign_in(client, password=password)
    return is_signed_in(client)


def test_whoever_is_switched_off_is_out_at_once_and_stays_out(team: Team) -> None:
    client = signed_in()
    team.emil.user.is_active = False
    team.emil.user.save()
    assert not is_signed_in(client)
    refused = sign_in(Client()).content.decode()
    assert "E-mail and password do not match." in refused


def test_sessions_that_are_over_are_forgotten(team: Team) -> None:
    client = signed_in()
    Session.objects.create(session_key="old", expire_date=timezone.now() - timedelta(seconds=1))
    forget_sessions()
    assert [row.pk for row in Session.objects.all()] == [key(client)]
    left = Session.objects.get().expire_date - timezone.now()
    assert timedelta(hours=11) < left <= timedelta(hours=12)
