"""Grave acts in the admin take a sign-in within the last minutes, as they do by REST."""

import time
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import reverse

from accounts.actions.members import grant_break_glass
from accounts.models import ApiKey, BreakGlassGrant, User
from accounts.sign_in import SIGNED_IN_AT
from prompts.models import Head, Release
from tests.admin.conftest import Browser
from tests.personas import Team

TOO_OLD = "This takes a sign-in within the last 5 minutes. Sign in again and repeat."


def signed_in_long_ago(client: Client) -> Client:
    session: Any = client.session
    session[SIGNED_IN_AT] = time.time() - 301
    session.save()
    return client


def acts(team: Team) -> dict[str, tuple[User, str, dict[str, Any]]]:
    """What takes a recent sign-in: who does it, on which page, and what they type."""
    prompt = team.prompt()
    grant_break_glass(project=team.project, user=team.cleo.user, minutes=30, by=team.farah)
    head = Head.objects.get(prompt=prompt, channel=team.stable)
    reason = "The shop says nothing at all."
    return {
        "key": (
            team.farah.user,
            reverse("admin:accounts_apikey_add"),
            {"project": team.project.pk, "name": "typed by hand", "scopes": ["prompts:read"]},
        ),
        "grant": (
            team.farah.user,
            reverse("admin:accounts_breakglassgrant_add"),
            {"project": team.project.pk, "email": "emil@shop.example", "minutes": 17},
        ),
        "glass": (
            team.cleo.user,
            reverse("admin:prompts_head_break-glass", args=[head.pk]),
            {"version": 1, "reason": reason, "expected_revision": head.revision},
        ),
    }


def counts() -> list[int]:
    return [model.objects.count() for model in (ApiKey, BreakGlassGrant, Release)]


@pytest.mark.parametrize("act", ["key", "grant", "glass"])
def test_an_old_sign_in_is_refused_and_what_was_typed_is_kept(careful_team: Team, browser: Browser, act: str) -> None:
    user, page, typed = acts(careful_team)[act]
    client, before = signed_in_long_ago(browser(user)), counts()
    answer = client.post(page, typed)
    form, shown = answer.context["form"], answer.content.decode()
    assert form.non_field_errors() == [TOO_OLD]
    assert f'href="{reverse("account_reauthenticate")}?next={quote(page, safe="")}"' in shown
    kept = typed.get("name") or typed.get("email") or typed.get("reason")
    assert str(kept) in shown
    assert counts() == before
    browser_now = browser(user)
    assert browser_now.post(page, typed).status_code in (200, 302)
    assert sum(counts()) == sum(before) + 1


def test_signing_in_again_in_another_page_lets_the_open_form_be_sent(team: Team, browser: Browser) -> None:
    user, page, typed = acts(team)["key"]
    user.set_password("a long enough word")
    user.save()
    User.objects.filter(pk=user.pk).update(is_staff=True)
    client = Client(enforce_csrf_checks=True)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    token = client.get(page).context["csrf_token"]
    typed["csrfmiddlewaretoken"] = str(token)
    assert TOO_OLD in client.post(page, typed).content.decode()
    confirm = reverse("account_reauthenticate")
    asked = {"password": "a long enough word"}
    asked["csrfmiddlewaretoken"] = str(client.get(confirm).context["csrf_token"])
    assert client.post(confirm, asked).status_code == 302
    assert "The key was made" in client.post(page, typed).content.decode()
