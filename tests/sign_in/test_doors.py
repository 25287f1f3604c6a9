"""The pages about signing in as somebody sees them who should not get in: every address, every trick."""

import io
import re
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, ClassVar

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts.actions.members import create_user
from accounts.hashing import TwoAtATime
from accounts.models import Membership, ResetLetter, User
from accounts.reset_letters import message, send_letters
from events.models import Event
from promptforge.lib.ids import encode
from prompts.actions.promotions import open_promotion
from tests.api.conftest import release
from tests.personas import Team
from tests.sign_in.conftest import (
    ACCOUNT,
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

FORGOTTEN = "/accounts/password/forgotten/"
NEW = "another long enough word"
# What each address answers to nobody, to whoever waits with a right password for the code, and to whoever signed in.
IN, OUT = "to the sign-in", "open"
ROUTES = {
    "": (IN, IN, 200),
    "sign-in/": (OUT, "to the code", 302),
    "sign-in/code/": (IN, OUT, 302),
    "sign-out/": (IN, IN, 200),
    "confirm/": (IN, IN, 200),
    "password/": (IN, IN, 200),
    "password/forgotten/": (OUT, OUT, 200),
    "password/forgotten/sent/": (OUT, OUT, 200),
    r"^password/new/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[-\w]+)/$": (OUT, OUT, 200),
    "second-factor/add/": (IN, IN, 302),
    "second-factor/remove/": (IN, IN, 200),
    "second-factor/codes/": (IN, IN, 200),
    "sessions/end/": (405, 405, 405),
}


def routes(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route


def test_every_address_is_listed_and_answers_as_listed(app: App) -> None:
    found = {route.removeprefix("accounts/") for route in routes(get_resolver().url_patterns) if "accounts/" in route}
    found -= {route for route in found if route.startswith("admin/")}
    assert found == set(ROUTES)
    waiting = Client()
    sign_in(waiting)
    for column, client in enumerate((Client(), waiting, signed_in(code=app.code()))):
        for route, expected in ROUTES.items():
            path = "/accounts/" + ("password/new/3-abc-def/" if route.startswith("^") else route)
            answer = client.get(path)
            wanted = expected[column]
            if wanted == IN:
                assert answer["Location"].startswith(SIGN_IN), (path, column)
            elif wanted == "to the code":
                assert answer["Location"] == "/accounts/sign-in/code/"
            else:
                assert answer.status_code == (200 if wanted == OUT else wanted), (path, column, answer)
                assert answer.status_code != 200 or "no-store" in answer["Cache-Control"]


def test_nobody_signs_up_and_nothing_else_of_allauth_is_there(team: Team) -> None:
    before = User.objects.count()
    client = Client()
    form = {"email": "mallory@evil.example", "password1": NEW, "password2": NEW}
    for path in ("signup", "email", "login", "2fa", "confirm-email", "login/code", "social/signup", "inactive"):
        for address in (f"/accounts/{path}", f"/accounts/{path}/"):
            assert client.get(address).status_code == client.post(address, form).status_code == 404, address
    assert User.objects.count() == before
    assert "sign up" not in client.get(SIGN_IN).content.decode().lower()


EVIL = (
    "//evil.example", "https://evil.example/", "http:evil.example", "/\\evil.example", "\\\\evil.example",
    "///evil.example", "javascript:alert(1)", "https:///evil.example", "\t//evil.example",
    "http://testserver@evil.example/", "//testserver.evil.example",
)  # fmt: skip


def test_nobody_is_led_elsewhere(app: App, team: Team) -> None:
    def leads_home(answer: Any) -> bool:
        # A browser takes a path for another host when it begins with two slashes of either kind.
        return answer.status_code == 302 and re.match(r"/(?![/\\\t\n\r])", answer["Location"]) is not None

    for url, code in zip(EVIL, [*app.recovery_codes, app.code()], strict=True):
        client = Client()
        assert leads_home(sign_in(client, "ada@shop.example", next=url)), url
        assert leads_home(client.get(SIGN_IN, {"next": url})), url
        assert leads_home(client.post(CONFIRM, {"password": PASSWORD, "next": url})), url
        assert leads_home(client.post("/accounts/sign-out/", {"next": url})), url
        assert leads_home(sign_in(client, next=url)), url
        assert leads_home(give_code(client, code)), url
        assert is_signed_in(client)
        for door in (client, Client()):
            assert leads_home(door.get("/admin/login/", {"next": url})), url


def test_a_path_of_this_server_is_led_to(app: App) -> None:
    client = Client()
    sign_in(client, next="/docs/errors?x=1#y")
    assert give_code(client, app.code())["Location"] == "/docs/errors?x=1#y"


def test_known_and_unknown_switched_off_and_passwordless_are_answered_alike(app: App, team: Team) -> None:
    User.objects.filter(email="ben@shop.example").update(is_active=False)
    team.cleo.user.set_unusable_password()
    team.cleo.user.save()
    told = set()
    for email in ("emil", "ada", "nobody", "ben", "cleo"):
        answer = sign_in(Client(), f"{email}@shop.example", "wrong")
        shown = re.sub(r'(value|nonce)="[^"]*"', "", answer.content.decode())
        told.add((answer.status_code, shown))
    assert len(told) == 1
    later = {
        re.sub(r'(value|nonce)="[^"]*"', "", [sign_in(Client(), email, "wrong") for _ in range(5)][-1].content.decode())
        for email in ("emil@shop.example", "nobody@shop.example")
    }
    assert len(later) == 1
    assert "4 tries are left before a pause." in later.pop()


class Tallied(TwoAtATime):
    """The real hasher, which tells how often it worked: that is nearly all of the time that a try takes."""

    work: ClassVar[list[str]] = []

    def encode(self, password: str, salt: str) -> str:
        self.work.append("encode")
        return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        self.work.append("verify")
        return super().verify(password, encoded)


def test_and_take_as_much_work(team: Team) -> None:
    with override_settings(PASSWORD_HASHERS=[f"{__name__}.Tallied"]):
        ada = create_user(email="ada@shop.example", password=PASSWORD)
        assert ada.password.startswith("argon2$argon2id$")
        User.objects.filter(email="ben@shop.example").update(password="!")
        User.objects.filter(email="cleo@shop.example").update(password=ada.password, is_active=False)
        for name in ("ada", "nobody", "ben", "cleo"):
            Tallied.work.clear()
            assert "do not match" in sign_in(Client(), f"{name}@shop.example", "wrong").content.decode()
            assert len(Tallied.work) == 1, (name, Tallied.work)


def test_every_form_needs_its_csrf_token(app: App) -> None:
    client = Client(enforce_csrf_checks=True)
    cookie = client.get(SIGN_IN).cookies["csrftoken"].value
    login = {"login": "emil@shop.example", "password": PASSWORD}
    assert client.post(SIGN_IN, login).status_code == 403
    assert client.post(SIGN_IN, login, headers={"X-Requested-With": "XMLHttpRequest"}).status_code == 403
    headers = {"X-CSRFToken": cookie}
    assert client.post(SIGN_IN, login, headers=headers).status_code == 302
    assert client.post("/accounts/sign-in/code/", {"code": app.code()}).status_code == 403
    assert client.post("/accounts/sign-in/code/", {"code": app.code()}, headers=headers).status_code == 302
    assert client.cookies["csrftoken"].value != cookie, "a sign-in takes a new token"
    for path in (
        "confirm",
        "sign-out",
        "password",
        "password/forgotten",
        "second-factor/remove",
        "second-factor/codes",
        "sessions/end",
    ):
        assert client.post(f"/accounts/{path}/").status_code == 403, path
    assert client.post("/admin/logout/").status_code == 403
    assert is_signed_in(client)
    assert factors(User.objects.get(email="emil@shop.example"))


def test_nothing_is_answered_as_json(team: Team) -> None:
    for headers in ({"X-Requested-With": "XMLHttpRequest"}, {"Accept": "application/json"}):
        answer = Client(headers=headers).post(SIGN_IN, {"login": "emil@shop.example", "password": "wrong"})
        assert answer["Content-Type"].startswith("text/html")


def test_odd_input_is_refused_without_a_fault(team: Team) -> None:
    with override_settings(SENDS_MAIL=True):
        for typed in ("\0", "x" * 100_000, "ada@shop.example\r\nBcc: all@shop.example", "é@shop.example", "'"):
            for path, field in ((SIGN_IN, "login"), (FORGOTTEN, "email")):
                answer = Client().post(path, {field: typed, "password": typed})
                assert answer.status_code in (200, 302), (path, typed[:20], answer)
    assert not ResetLetter.objects.exists()


def test_pages_run_under_the_strict_policy(app: App) -> None:
    client = signed_in(code=app.code())
    new = signed_in("ada@shop.example")
    pages = [
        *(Client().get(path) for path in (SIGN_IN, FORGOTTEN, "/accounts/password/new/3-abc-def/")),
        *(
            client.get(path)
            for path in (
                ACCOUNT,
                CONFIRM,
                "/accounts/password/",
                "/accounts/sign-out/",
                "/accounts/second-factor/remove/",
                "/accounts/second-factor/codes/",
            )
        ),
        client.post("/accounts/second-factor/codes/"),
        new.get("/accounts/second-factor/add/"),
        new.get("/admin/", follow=True),
    ]
    for answer in pages:
        text = answer.content.decode()
        policy = answer["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "data:" not in policy
        assert not re.search(r"\sstyle=|\son\w+=|<style|javascript:|src=\"data:", text), answer.request["PATH_INFO"]
        assert not re.search(r"<script(?![^>]*src=)", text)
        assert '<html lang="en">' in text
        assert len(re.findall("<h1", text)) == 1
        for name in re.findall(r'<input id="(\w+)"', text):
            assert f'<label for="{name}">' in text


# --- A new password --------------------------------------------------------------------------------------------------
def link(user: User) -> str:
    found = re.search(r"https?://[^/\s]+(\S+)", str(message(user).body))
    assert found
    return found[1]


def test_without_a_mail_server_the_page_says_who_helps(team: Team) -> None:
    for answer in (Client().get(FORGOTTEN), Client().post(FORGOTTEN, {"email": "ada@shop.example"})):
        assert "manage.py changepassword" in answer.content.decode()
    assert not ResetLetter.objects.exists()


def test_a_letter_goes_to_whoever_is_there_and_the_page_does_not_say(team: Team) -> None:
    User.objects.filter(email="ben@shop.example").update(is_active=False)
    backend = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    with override_settings(SENDS_MAIL=True, MAILERS=backend):
        told = set()
        for email in ("ADA@shop.example", "nobody@shop.example", "ben@shop.example", "Ada@Shop.example"):
            answer = Client().post(FORGOTTEN, {"email": email})
            told.add((answer.status_code, answer["Location"], answer.content))
        assert len(told) == 1
        send_letters()
        from django.core import mail

        assert [letter.to for letter in mail.outbox] == [["ada@shop.example"]]
        assert not ResetLetter.objects.exists()


def test_letters_cannot_be_asked_for_without_end(team: Team) -> None:
    asked = {"email": "ada@shop.example"}
    with override_settings(SENDS_MAIL=True):
        for _ in range(10):
            assert Client().post(FORGOTTEN, asked).status_code == 302
        move_waits(5)
        refused = Client().post(FORGOTTEN, asked)
        assert refused.status_code == 429
        assert "Too many letters were asked for. Wait" in refused.content.decode()
    assert is_signed_in(signed_in("ada@shop.example")), "and nobody waits for that when signing in"


def test_a_link_sets_one_password_and_then_none(app: App, team: Team) -> None:
    here = signed_in(code=app.code())
    team.emil.user.refresh_from_db()
    path = link(team.emil.user)
    client = Client()
    form = client.get(path)["Location"]
    assert path.split("-", 1)[1] not in form, "the key does not stay in the address"
    assert client.get(form).status_code == 200
    assert client.post(form, {"password1": "short", "password2": "short"}).status_code == 200
    assert client.post(form, {"password1": NEW, "password2": NEW})["Location"] == SIGN_IN
    assert not is_signed_in(client)
    assert not is_signed_in(here)
    assert kinds()[-2:] == ["password.changed", "session.ended"]
    for again in (client.post(form, {"password1": PASSWORD, "password2": PASSWORD}), Client().get(path)):
        assert "does not work any more" in again.content.decode()
    sign_in(client, password=NEW)
    assert not is_signed_in(client), "the second factor stands"
    assert give_code(client, app.code(1)).status_code == 302
    assert is_signed_in(client)


def test_a_link_ends_with_a_sign_in_with_time_and_with_another_address(team: Team) -> None:
    ada = team.ada.user
    path = link(ada)
    signed_in("ada@shop.example")
    assert Client().get(path).status_code == 200, "last_login moved"
    ada.refresh_from_db()
    path = link(ada)
    with override_settings(PASSWORD_RESET_TIMEOUT=-1):
        assert Client().get(path).status_code == 200
    User.objects.filter(pk=ada.pk).update(email="ada@elsewhere.example")
    assert Client().get(path).status_code == 200
    User.objects.filter(pk=ada.pk).update(email="ada@shop.example")
    assert Client().get(path).status_code == 302


# --- What an operator does -------------------------------------------------------------------------------------------
def test_an_operator_removes_a_lost_factor(app: App, team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    client = signed_in(code=app.code())
    call_command("remove_second_factor", "EMIL@shop.example")
    assert "password alone" in capsys.readouterr().out
    assert not is_signed_in(client)
    assert is_signed_in(signed_in())
    told = list(Event.objects.filter(project_id=0).order_by("pk").values_list("kind", "actor_kind", "subject_id"))
    emil = team.emil.user.pk
    assert told[2:4] == [("factor.removed", "system", emil), ("session.ended", "system", emil)]
    call_command("remove_second_factor", "emil@shop.example")
    assert "has no second factor" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        call_command("remove_second_factor", "nobody@shop.example")


def test_an_operator_s_new_password_is_told_and_ends_what_the_old_one_began(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in("ada@shop.example")
    ResetLetter.objects.create(user=team.ada.user)
    for typed in ("short", NEW):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{typed}\n"))
        arguments = ["create_user", "ADA@shop.example", "--project=shop", "--role=reviewer", "--password-stdin"]
        with pytest.raises(SystemExit) if typed == "short" else nullcontext():
            call_command(*arguments)
        assert is_signed_in(client) == ResetLetter.objects.exists() == (typed == "short")
    assert kinds() == ["session.begun", "password.changed", "session.ended"]
    sign_in(client, "ada@shop.example", NEW)
    assert is_signed_in(client)
    assert Membership.objects.get(project=team.project, user=team.ada.user).roles == ["editor", "reviewer"]


def test_the_chain_of_sign_ins_is_verified(app: App, team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    signed_in(code=app.code())
    call_command("verify")
    assert "accounts  ok      chain of events" in capsys.readouterr().out


def test_grave_acts_take_a_sign_in_through_the_pages(app: App, team: Team) -> None:
    """The whole way: refused with the address to go to, proved anew there by both, and then let through."""
    client, project = signed_in(code=app.code()), {"PromptForge-Project": "shop"}
    prompt = team.prompt(versions=2)
    release(team, prompt, 1)
    promotion = encode(
        "pro", open_promotion(by=team.ada, prompt=prompt, channel=team.stable, version=team.version(prompt, 2)).pk
    )
    glass = {"kind": "break_glass", "prompt": prompt.name, "version": 1, "reason": "The live answer is wrong"}
    acts: dict[str, tuple[dict[str, Any], int]] = {
        f"promotions/{promotion}/reviews": ({"decision": "approve", "diff_digest": "sha256:0"}, 12 * 3600),
        f"promotions/{promotion}/apply": ({}, 12 * 3600),
        "releases": (glass, 300),
        "api-keys": ({"name": "x", "scopes": ["prompts:read"]}, 300),
    }
    for code, (path, (body, seconds)) in zip(app.recovery_codes, acts.items(), strict=False):
        age(client, seconds + 1)
        refused = client.post(f"/api/v1/{path}", body, content_type="application/json", headers=project)
        assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication_required"), path
        assert client.post(refused.json()["url"], {"password": PASSWORD, "code": code}).status_code == 302
        let = client.post(f"/api/v1/{path}", body, content_type="application/json", headers=project)
        assert let.json().get("code") != "reauthentication_required", path
    assert let.status_code == 201


def test_all_steps_of_a_sign_in_are_among_what_a_turn_is_kept_for() -> None:
    """`tests/startup/test_asgi.py` shows that they get it."""
    steps = ("account_login", "mfa_authenticate", "account_reauthenticate")
    assert {reverse(name) for name in steps} == settings.SIGN_IN_PATHS
