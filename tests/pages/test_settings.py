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
from prompts.models import Channel, FreezeWindow, PolicyChange
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
    session = SessionStore(page.context.cookies()[0]["value"])
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


# --- Channels --------------------------------------------------------------------------------------------------------
def test_two_people_change_the_policy_of_a_protected_channel(visit: Visit, demo: Demo) -> None:
    cleo, farah = visit("cleo", f"{SETTINGS}channels/"), visit("farah", f"{SETTINGS}channels/")
    cleo.get_by_role("link", name="Change the policy of stable").press("Enter")
    expect(cleo.get_by_label("Approvals")).to_be_focused()
    cleo.get_by_label("Approvals").fill("two")
    cleo.keyboard.press("Enter")
    expect(cleo.locator("#required_approvals-says")).to_contain_text("A whole number from 0 to 5.")
    cleo.get_by_label("Approvals").fill("2")
    cleo.get_by_label("Who must be among").fill("Release manager, ben@example.com")
    cleo.get_by_label("Why").fill("Refunds cost money.")
    cleo.get_by_role("button", name="Propose the change").press("Enter")
    expect(banner(cleo)).to_contain_text("waits for a second person")
    expect(cleo.get_by_text("You proposed it, so somebody else confirms it.")).to_be_visible()
    assert cleo.get_by_role("button", name="Confirm the change").count() == 0
    farah.reload()
    expect(farah.locator(".proposal")).to_contain_text("Refunds cost money.")
    expect(farah.locator(".proposal")).to_contain_text("a release manager or Ben Okafor")
    accessible(farah)
    stepped_to(farah, "Confirm the change")
    farah.keyboard.press("Enter")
    expect(banner(farah)).to_contain_text("The policy of stable is changed.")
    expect(farah.get_by_text("2 approvals, never the author’s.")).to_be_visible()
    policy = Channel.objects.get(project=demo.project, name="stable").policy
    assert policy is not None
    assert policy.approved_by == demo.people["farah"]
    assert policy.review_groups == [["role:release-manager", f"user:{demo.people['ben'].pk}"]]


def test_nobody_confirms_their_own_proposal_or_a_foreign_one(demo: Demo) -> None:
    proposed(demo)
    change = PolicyChange.objects.get(author=demo.people["cleo"])
    sent = {"act": "confirm", "policy_change": encode("pol", change.pk)}
    assert signed_in(demo.people["cleo"]).post(f"{SETTINGS}channels/", sent).status_code == 403
    other = make_team("other", preset="team")
    answer = signed_in(other.farah.user).post("/p/other/settings/channels/", sent)
    assert answer.status_code == 404
    assert Channel.objects.get(project=demo.project, name="stable").policy_id == change.base_id


def test_a_policy_that_changed_meanwhile_is_not_written_over(demo: Demo) -> None:
    cleo, path = signed_in(demo.people["cleo"]), f"{SETTINGS}channels/"
    sent = {"act": "change", "channel": "staging", "approval_ttl_days": "9", "evidence_ttl_days": "7"}
    first = cleo.post(path, sent | {"revision": "1", "required_approvals": "0"})
    assert first.status_code == 302
    second = cleo.post(path, sent | {"revision": "1", "required_approvals": "3"})
    assert second.status_code == 409
    assert "Look at it and decide again." in second.content.decode()


def test_a_channel_is_added_frozen_and_lifted_without_scripts(visit: Visit, demo: Demo) -> None:
    page = visit("cleo", f"{SETTINGS}channels/?act=add", scripts=False)
    page.get_by_label("Name").fill("latest")
    page.get_by_role("button", name="Add the channel").click()
    assert "latest and pinned are reserved" in page.locator("#name-says").inner_text()
    page.get_by_label("Name").fill("beta")
    page.get_by_role("button", name="Add the channel").click()
    page.get_by_role("link", name="Freeze beta").click()
    page.get_by_label("From").fill("2030-12-24T18:00")
    page.get_by_label("Until").fill("2030-12-24T12:00")
    page.get_by_label("Zone").fill("Europe/Vienna")
    page.get_by_label("Why").fill("Holidays")
    page.get_by_role("button", name="Freeze beta").click()
    assert "ends after it starts" in page.locator("#to-says").inner_text()
    assert page.get_by_label("Why").input_value() == "Holidays"
    page.get_by_label("Until").fill("2030-12-27T12:00")
    page.get_by_role("button", name="Freeze beta").click()
    freeze = FreezeWindow.objects.get(channel__name="beta")
    assert freeze.starts_at.isoformat() == "2030-12-24T17:00:00+00:00"
    page.get_by_role("link", name="Lift the freeze of beta").click()
    page.get_by_role("button", name="Lift the freeze").click()
    freeze.refresh_from_db()
    assert freeze.lifted_by == demo.people["cleo"]


# --- Webhooks --------------------------------------------------------------------------------------------------------
def test_a_webhook_from_its_refusal_to_its_log(visit: Visit, demo: Demo) -> None:
    page = visit("cleo", f"{SETTINGS}webhooks/")
    stepped_to(page, "Add a webhook")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Address")).to_be_focused()
    page.keyboard.type("http://127.0.0.1:8000/hook")
    page.get_by_label("Signed JSON").press("Space")
    page.get_by_label("Every kind").press("Space")
    page.keyboard.press("Enter")
    expect(page.locator("#url-says")).to_contain_text("PROMPTFORGE_ALLOWED_PRIVATE_HOSTS")
    expect(page.get_by_label("Address")).to_have_value("http://127.0.0.1:8000/hook")
    assert not WebhookEndpoint.objects.exists()
    page.get_by_label("Address").fill("https://93.184.215.14/hook")
    page.keyboard.press("Enter")
    secret = page.locator("#once-text").inner_text()
    assert secret.startswith("whsec_")
    page.get_by_role("link", name="I have kept it").press("Enter")
    page.get_by_role("button", name="Send a test").press("Enter")
    expect(banner(page)).to_contain_text("A test is on its way")
    expect(page.locator("tbody tr")).to_contain_text("webhook.tested")
    assert secret not in page.content()
    Delivery.objects.update(next_at=None)
    page.reload()
    page.get_by_role("button", name="Send again").press("Enter")
    expect(banner(page)).to_contain_text("sent again")
    assert Delivery.objects.get().state == "waiting"
    page.get_by_role("button", name="Turn off").press("Enter")
    expect(banner(page)).to_contain_text("is off.")
    assert not WebhookEndpoint.objects.get().enabled
    page.get_by_role("link", name="Remove 93.184.215.14").press("Enter")
    page.get_by_role("button", name="Remove the webhook").press("Enter")
    expect(page.locator("h1")).to_have_text("No events are sent elsewhere")


def test_a_new_secret_of_a_webhook_is_shown_once(demo: Demo) -> None:
    cleo, hook, path = signed_in(demo.people["cleo"]), hooked(demo), f"{SETTINGS}webhooks/"
    answer = cleo.post(path, {"act": "rotate", "webhook": hook, "overlap_hours": "1"})
    [secret] = re.findall(r"whsec_[A-Za-z0-9+/=]+", answer.content.decode())
    assert answer["Cache-Control"] == "no-store"
    for query in ("", f"?act=change&webhook={hook}", f"?act=log&webhook={hook}"):
        assert secret not in cleo.get(path + query).content.decode()


def test_foreign_webhooks_and_deliveries_are_absent(demo: Demo) -> None:
    hook, other = hooked(demo), make_team("other", preset="solo")
    farah, path = signed_in(other.farah.user), "/p/other/settings/webhooks/"
    assert farah.get(f"{path}?act=log&webhook={hook}").status_code == 404
    for act in ("change", "rotate", "remove", "test", "enable", "disable"):
        assert farah.post(path, {"act": act, "webhook": hook, "overlap_hours": "1"}).status_code == 404
    again = {"act": "again", "delivery": encode("dlv", Delivery.objects.earliest("pk").pk)}
    assert farah.post(path, again).status_code == 404


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
    names |= {"change": "x", "delivery": "x"}
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
