"""Settings of channels and webhooks: two people for a policy, freezes, and where events are sent."""

import re

from playwright.sync_api import expect

from events.models import Delivery, WebhookEndpoint
from promptforge.lib.ids import encode
from prompts.models import Channel, FreezeWindow, PolicyChange
from tests.pages.conftest import Demo, Visit, accessible, signed_in
from tests.pages.listed import hooked, proposed
from tests.pages.test_prompt import stepped_to
from tests.pages.test_settings import SETTINGS, banner
from tests.personas import make_team


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
