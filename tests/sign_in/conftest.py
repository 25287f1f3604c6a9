"""People with passwords and second factors, the browsers they sign in with, and the app that shows their codes."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, generate_totp_secret, hotp_value
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.test import Client, override_settings

from accounts.actions.sign_in import add_second_factor
from accounts.models import User
from accounts.sign_in import SIGNED_IN_AT
from events.models import Event
from tests.personas import Team

PASSWORD = "a long enough word"
SIGN_IN, CODE, CONFIRM, ACCOUNT = (
    "/accounts/sign-in/",
    "/accounts/sign-in/code/",
    "/accounts/confirm/",
    "/accounts/",
)


@pytest.fixture(autouse=True)
def passwords(team: Team) -> Iterator[None]:
    """Everybody has the same password, hashed by what takes no time here. Emil may open the admin."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        User.objects.filter(kind="person").update(password=make_password(PASSWORD))
        User.objects.filter(email="emil@shop.example").update(is_staff=True)
        for principal in (team.ada, team.ben, team.cleo, team.emil, team.farah, team.noor):
            principal.user.refresh_from_db()
        yield


class App:
    """An authenticator app that belongs to a person."""

    def __init__(self, user: User) -> None:
        self.secret = generate_totp_secret()
        codes = add_second_factor(user=user, secret=self.secret, counter=self.now - 2, session=None)
        assert codes is not None
        self.recovery_codes = codes

    @property
    def now(self) -> int:
        return int(time.time()) // 30

    def code(self, step: int = 0) -> str:
        """The code of now, or of some steps later or earlier."""
        return format_hotp_value(hotp_value(self.secret, self.now + step))


@pytest.fixture
def app(team: Team) -> App:
    """Emil's."""
    return App(team.emil.user)


def sign_in(client: Client, email: str = "emil@shop.example", password: str = PASSWORD, **more: Any) -> Any:
    return client.post(SIGN_IN, {"login": email, "password": password} | more)


def give_code(client: Client, code: str) -> Any:
    return client.post(CODE, {"code": code})


def signed_in(email: str = "emil@shop.example", code: str | None = None) -> Client:
    """A browser in which this person signed in through the pages."""
    client = Client(headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"})
    answer = sign_in(client, email)
    if code is not None:
        answer = give_code(client, code)
    assert answer.status_code == 302
    assert is_signed_in(client)
    return client


def is_signed_in(client: Client) -> bool:
    """As the API sees it: somebody who is nobody gets 401."""
    status = client.get("/api/v1/projects").status_code
    assert status in (200, 401)
    return bool(status == 200)


def age(client: Client, seconds: float) -> None:
    """Let the sign-in be older than it is."""
    session: Any = client.session
    session[SIGNED_IN_AT] = time.time() - seconds
    session.save()


def kinds() -> list[str]:
    """What was recorded in the chain of no project, in order."""
    return list(Event.objects.filter(project_id=0).order_by("pk").values_list("kind", flat=True))


def factors(user: User) -> list[str]:
    return list(Authenticator.objects.filter(user=user).order_by("type").values_list("type", flat=True))


def move_waits(minutes: int) -> None:
    """Let whoever has to wait since their failures wait longer, or no more."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_signinfailures SET until = coalesce(until, now()) + make_interval(mins => %s)", [minutes]
        )
