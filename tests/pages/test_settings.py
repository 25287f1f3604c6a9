"""Settings: each section's main path by keyboard, what is refused where it was typed, and what is shown once."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from playwright.sync_api import Page, expect

from accounts.actions.api_keys import create_key
from accounts.actions.members import create_user, set_roles
from accounts.models import ApiKey, Membership, User
from accounts.pages.keys import SCOPES_IN_WORDS
from accounts.pages.members import ROLES_IN_WORDS
from accounts.roles import Role, Scope
from accounts.sessions import SessionStore
from accounts.sign_in import SIGNED_IN_AT
from events.models import Delivery, EventSeal, WebhookEndpoint
from promptforge.lib.ids import encode
from promptforge.subscriptions import MAILED_TO
from prompts.actions.channels import add_channel, freeze_channel
from prompts.models import FreezeWindow
from prompts.models.channels import REQUIRABLE
from prompts.pages import notifications, policy_words
from tests.authorization.pages import PAGES
from tests.authorization.world import fill
from tests.pages.conftest import Demo, Visit, accessible, signed_in
from tests.pages.listed import hooked, proposed
from tests.pages.test_prompt import stepped_to
from tests.personas import make_team

SECTIONS = ("", "members/", "channels/", "keys/", "webhooks/", "notifications/")
SETTINGS = "/p/demo/settings/"
KEY = {
    "act": "make",
    "name": "kept",
    "scopes": ["prompts:read"],
    "prompts": "kept/*",
    "expires_at": "",
    "rate_fetch": "",
}


def banner(page: Page, kind: str = "passed") -> Any:
    shown = page.locator(f".banner.is-{kind}[data-arrived]")
    expect(shown).to_be_focused()
    return shown


def member(demo: Demo, name: str) -> str:
    return encode("mem", Membership.objects.get(project=demo.project, user=demo.people[name]).pk)


def roles(email: str) -> list[str]:
    return Membership.objects.get(project__name="demo", user__email=email).roles


# --- Members ---------------------------------------------------------------------------------------------------------
def test_members_by_keyboard_from_adding_to_removing(visit: Visit, demo: Demo) -> None:
    page = visit("farah", SETTINGS)
    stepped_to(page, "Members")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("6 people work in demo")
    stepped_to(page, "Add a member")
    page.keyboard.press("Enter")
    expect(page.get_by_label("E-mail")).to_be_focused()
    page.keyboard.type("gus@example.com")
    page.keyboard.press("Enter")
    expect(banner(page, "failed")).to_contain_text("A member has at least one role.")
    expect(page.get_by_label("E-mail")).to_have_value("gus@example.com")
    expect(page.locator("#roles-says")).to_contain_text("A member has at least one role.")
    accessible(page)
    page.get_by_label("Reviewer").press("Space")
    page.keyboard.press("Enter")
    expect(banner(page)).to_contain_text("gus@example.com is a member now.")
    assert roles("gus@example.com") == ["reviewer"]
    page.get_by_role("link", name="Roles of gus@example.com").press("Enter")
    expect(page.get_by_label("Reviewer")).to_be_checked()
    page.get_by_label("Editor").press("Space")
    page.keyboard.press("Enter")
    expect(banner(page)).to_contain_text("has other roles now")
    assert roles("gus@example.com") == ["editor", "reviewer"]
    page.get_by_role("link", name="Remove gus@example.com").press("Enter")
    expect(page.get_by_role("button", name="Remove gus@example.com")).to_be_focused()
    accessible(page)
    page.keyboard.press("Enter")
    expect(banner(page)).to_contain_text("no longer a member")
    assert not Membership.objects.filter(user__email="gus@example.com").exists()


def test_the_last_admin_is_told_what_to_do_first(demo: Demo) -> None:
    farah = signed_in(demo.people["farah"])
    for sent in ({"act": "remove"}, {"act": "change", "roles": "viewer"}):
        answer = farah.post(f"{SETTINGS}members/", sent | {"member": member(demo, "farah")})
        assert answer.status_code == 409
        assert "Make somebody else an admin first." in answer.content.decode()
    assert roles("farah@example.com") == ["admin"]


def test_a_foreign_member_is_an_absent_one(demo: Demo) -> None:
    other = make_team("other", preset="solo")
    farah, foreign = signed_in(demo.people["farah"]), encode("mem", other.project.membership_set.earliest("pk").pk)
    for act in ("change", "remove"):
        path = f"{SETTINGS}members/?act={act}&member="
        assert farah.get(path + foreign).status_code == farah.get(path + "mem_1").status_code == 404
        sent = {"act": act, "member": foreign, "roles": "viewer"}
        assert farah.post(f"{SETTINGS}members/", sent).status_code == 404
    assert other.project.membership_set.count() == 6


def test_an_admin_elsewhere_reads_no_members_here(demo: Demo) -> None:
    other = make_team("other", preset="solo")
    set_roles(project=demo.project, user=other.farah.user, roles=["viewer"], by=None)
    farah = signed_in(other.farah.user)
    for section in ("members/", "keys/", "webhooks/"):
        body = farah.get(SETTINGS + section).content.decode()
        assert "You read here, and do not change." in body
        assert "ada@example.com" not in body
    answer = farah.post(f"{SETTINGS}members/", {"act": "remove", "member": member(demo, "ada")})
    assert answer.status_code == 403
    assert roles("ada@example.com") == ["editor"]


# --- Keys ------------------------------------------------------------------------------------------------------------
def test_a_key_is_shown_once_and_in_no_other_answer(visit: Visit, demo: Demo) -> None:
    page = visit("farah", f"{SETTINGS}keys/")
    page.get_by_role("link", name="Make a key").press("Enter")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("checkout-web")
    page.get_by_label("Fetch prompts").press("Space")
    page.get_by_label("stable", exact=True).press("Space")
    page.get_by_label("Which prompts").fill("support/*\nshop/*")
    page.get_by_label("Last day").fill("2030-12-24")
    page.get_by_role("button", name="Make the key").press("Enter")
    text = page.locator("#once-text").inner_text()
    expect(page.locator("#once")).to_be_focused()
    accessible(page)
    key = ApiKey.objects.get(name="checkout-web")
    assert (key.scopes, key.channels, key.prompts) == (["prompts:read"], ["stable"], ["support/*", "shop/*"])
    assert key.expires_at is not None
    assert key.expires_at.isoformat() == "2030-12-25T00:00:00+00:00"
    answer = Client().get("/api/v1/prompts/support/greeting", headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 200
    page.reload()
    assert page.locator("#once-text").count() == 0
    assert ApiKey.objects.filter(name="checkout-web").count() == 1
    secret = text.split("_")[3]
    assert secret not in page.content()
    farah = signed_in(demo.people["farah"])
    for path in (f"{SETTINGS}keys/", f"{SETTINGS}keys/?act=rotate&key={encode('key', key.pk)}", "/p/demo/history/"):
        assert secret not in farah.get(path).content.decode()


def test_a_key_is_rotated_and_revoked(visit: Visit, demo: Demo) -> None:
    old = create_key(
        project=demo.project, name="till", scopes=["prompts:read"], responsible=demo.people["emil"], by=None
    )
    page = visit("farah", f"{SETTINGS}keys/")
    page.get_by_role("link", name=re.compile("^Rotate till")).press("Enter")
    page.get_by_label("The old key works").fill("999")
    page.keyboard.press("Enter")
    expect(page.locator("#overlap_hours-says")).to_contain_text("A whole number from 0 to 168.")
    page.get_by_label("The old key works").fill("0")
    page.keyboard.press("Enter")
    new = page.locator("#once-text").inner_text()
    said = [
        Client().get("/api/v1/prompts", headers={"Authorization": f"Bearer {text}"}).status_code
        for text in (old.text, new)
    ]
    assert said == [401, 200]
    page.get_by_role("link", name="I have kept it").press("Enter")
    page.get_by_role("link", name=re.compile("^Revoke till")).press("Enter")
    page.get_by_role("button", name="Revoke the key").press("Enter")
    expect(banner(page)).to_contain_text("The key till is revoked.")
    assert Client().get("/api/v1/prompts", headers={"Authorization": f"Bearer {new}"}).status_code == 401


def test_an_old_sign_in_leads_through_a_new_one_and_back_with_what_was_typed(visit: Visit, demo: Demo) -> None:
    farah = demo.people["farah"]
    farah.set_password("a long enough secret")
    farah.save()
    page = visit("farah", f"{SETTINGS}keys/?act=make")
    [key] = [cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "sessionid"]
    session = SessionStore(key)
    session[SIGNED_IN_AT] -= 600
    session.save()
    page.get_by_label("Name", exact=True).fill("from <before>")
    page.get_by_label("Read the audit trail").check()
    page.get_by_label("Which prompts").fill("a/*")
    page.get_by_role("button", name="Make the key").press("Enter")
    expect(page.locator("h1")).to_have_text("Confirm that it is you")
    assert not ApiKey.objects.filter(name="from <before>").exists()
    page.get_by_label("Password").fill("a long enough secret")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name", exact=True)).to_have_value("from <before>")
    expect(page.get_by_label("Read the audit trail")).to_be_checked()
    page.get_by_role("button", name="Make the key").press("Enter")
    expect(page.locator("#once-text")).to_be_visible()
    key = ApiKey.objects.get(name="from <before>")
    assert (key.scopes, key.prompts) == (["audit:read"], ["a/*"])


@pytest.mark.parametrize(
    ("sent", "field", "says"),
    [
        ({"name": ""}, "name", "1 to 100 characters"),
        ({"scopes": []}, "scopes", "at least one scope"),
        ({"channels": "No!"}, "channels", "is not a channel"),
        ({"prompts": "a b"}, "prompts", "is not a pattern"),
        ({"expires_at": "2001-01-01"}, "expires_at", "expired already"),
        ({"expires_at": "soon"}, "expires_at", "is no day"),
        ({"rate_fetch": "fast"}, "rate_fetch", "A whole number"),
    ],
)
def test_what_is_wrong_with_a_key_stands_at_its_field(demo: Demo, sent: dict[str, Any], field: str, says: str) -> None:
    answer = signed_in(demo.people["farah"]).post(f"{SETTINGS}keys/", KEY | sent)
    body = answer.content.decode()
    assert answer.status_code == 400
    assert re.search(rf'id="{field}-says" class="error">.*{says}', body)
    assert "kept" in body
    assert not ApiKey.objects.filter(name="kept").exists()


# --- Project, notifications ------------------------------------------------------------------------------------------
def test_the_project_goes_on_from_memory(visit: Visit, demo: Demo) -> None:
    page = visit("cleo", SETTINGS)
    page.get_by_label("Go on from memory").press("Space")
    page.keyboard.press("Enter")
    expect(banner(page)).to_contain_text("Saved.")
    demo.project.refresh_from_db()
    assert demo.project.serves_stale


def test_everything_has_its_words() -> None:
    assert set(notifications.KINDS_IN_WORDS) == set(MAILED_TO)
    assert set(MAILED_TO.values()) <= set(notifications.RECEIVERS_IN_WORDS)
    assert set(SCOPES_IN_WORDS) == set(Scope)
    assert set(ROLES_IN_WORDS) == set(Role)
    assert set(policy_words.CHECKS_IN_WORDS) == set(REQUIRABLE)


# --- All of them -----------------------------------------------------------------------------------------------------
def test_a_reader_is_told_who_can_change_it_and_gets_no_form(demo: Demo) -> None:
    noor = signed_in(demo.people["noor"])
    for section in SECTIONS[:-1]:
        body = noor.get(SETTINGS + section).content.decode()
        main = body[body.index("<main") : body.index("</main>")]
        assert "Farah Nasser" in main
        assert "<form" not in main
        assert "?act=" not in main


def test_forms_need_their_token(demo: Demo) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(demo.people["farah"], backend="django.contrib.auth.backends.ModelBackend")
    before = EventSeal.objects.count()
    for section in ("", "members/", "channels/", "keys/", "webhooks/"):
        assert client.post(SETTINGS + section, {"act": "add", "name": "x"}).status_code == 403
    assert EventSeal.objects.count() == before


def test_a_form_that_says_nothing_does_nothing(demo: Demo) -> None:
    farah = signed_in(demo.people["farah"])
    for section in ("", "members/", "channels/", "keys/", "webhooks/"):
        assert farah.post(SETTINGS + section, {"act": "get"}).status_code == 400


ODD = ("9" * 30, "ſ\0" * 200)
ODD_MOMENTS = ("0001-01-01T00:00", "9999-12-31T23:59", "9999-12-31", "soon")


def test_no_form_breaks_on_odd_input(demo: Demo) -> None:
    """Each field of each form, one after the other: refused or taken, and never a fault of the server."""
    proposed(demo)
    farah, freeze = signed_in(demo.people["farah"]), encode("frz", FreezeWindow.objects.latest("pk").pk)
    names = {"webhook": hooked(demo), "freeze": freeze, "channel": "staging", "member": "x", "key": "x"}
    names |= {"change": "x", "delivery": "x", "rule": "x", "connection": "x", "prompt": "x", "set": "x"}
    forms = [(name, form.sent) for name, page in PAGES.items() if name.startswith("settings") for form in page.forms]
    forms.append(("settings_keys", KEY))
    wrong = []
    for name, template in forms:
        sent = fill(dict(template), names)
        for field in set(sent) - {"act"}:
            for odd in ODD_MOMENTS if field in ("from", "to", "expires_at") else ODD:
                answer = farah.post(reverse(name, args=("demo",)), sent | {field: odd})
                if answer.status_code >= 500:
                    wrong.append((name, sent["act"], field, odd, answer.status_code))
    assert wrong == []


def test_the_number_of_queries_does_not_grow(demo: Demo) -> None:
    proposed(demo)
    create_key(project=demo.project, name="k", scopes=["prompts:read"], responsible=demo.people["emil"], by=None)
    ben = [f"user:{demo.people['ben'].pk}"]
    add_channel(by=demo.principal("farah"), name="a", policy={"required_approvals": 1, "review_groups": [ben]})
    farah = signed_in(demo.people["farah"])
    log = f"webhooks/?act=log&webhook={hooked(demo)}"

    def counts() -> dict[str, int]:
        found = {}
        for section in (*SECTIONS, log):
            with CaptureQueriesContext(connection) as asked:
                assert farah.get(SETTINGS + section).status_code == 200
            found[section] = len(asked)
        return found

    before, now = counts(), demo.principal("farah")
    freezes = FreezeWindow.objects.values_list("starts_at", "ends_at").first()
    assert freezes is not None
    for number in range(12):
        user = create_user(email=f"more{number}@example.com", name=f"More {number}")
        set_roles(project=demo.project, user=user, roles=["viewer"], by=None)
        create_key(project=demo.project, name=f"k{number}", scopes=["prompts:read"], responsible=user, by=None)
        channel = add_channel(by=now, name=f"c{number}", policy={"review_groups": [[f"user:{user.pk}"]]})
        freeze_channel(by=now, channel=channel, starts_at=freezes[0], ends_at=freezes[1], reason="More")
    hook = WebhookEndpoint.objects.get()
    newest = EventSeal.objects.filter(project_id=demo.project.pk).order_by("-seq").values_list("event", flat=True)
    Delivery.objects.bulk_create(Delivery(endpoint=hook, event_id=pk) for pk in newest[3:15])
    assert counts() == before
    assert max(before.values()) <= 20
    assert User.objects.filter(email__startswith="more").count() == 12
