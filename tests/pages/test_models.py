"""Models in the settings: connected, tested, given a budget and removed by keyboard; the key is shown nowhere."""

from pathlib import Path

from django.conf import LazySettings
from playwright.sync_api import expect

from accounts.models import Session
from accounts.pages.door import TYPED
from evaluations.models import Budget, ModelConnection
from tests.evaluations.stub_provider import providing
from tests.pages.conftest import Demo, Visit, signed_in
from tests.pages.test_settings import banner

MODELS = "/p/demo/settings/models/"
KEY = "sk-never-shown-2481"


def test_by_keyboard_from_connecting_a_model_to_removing_it(
    visit: Visit, demo: Demo, tmp_path: Path, settings: LazySettings
) -> None:
    with providing(tmp_path / "provider") as provider:
        settings.ALLOWED_PRIVATE_HOSTS = [provider.host]
        page = visit("cleo", MODELS)
        page.get_by_role("link", name="Connect a model").press("Enter")
        expect(page.get_by_label("Name", exact=True)).to_be_focused()
        page.keyboard.type("house model")
        page.get_by_label("OpenAI or compatible").press("Space")
        page.locator("#model").fill("stub-1")
        page.locator("#base_url").fill(provider.url("openai"))
        page.locator("#api_key").fill(KEY)
        page.get_by_label("Parameters").fill('{"temperature": }')
        page.get_by_role("button", name="Connect the model").press("Enter")
        expect(page.locator("#parameters-says.error")).to_be_visible()
        assert KEY not in page.content()
        page.get_by_label("Parameters").fill('{"temperature": 0}')
        page.locator("#api_key").fill(KEY)
        page.get_by_label("tokens in").fill("2.5")
        page.get_by_label("tokens out").fill("10")
        page.get_by_role("button", name="Connect the model").press("Enter")
        expect(banner(page)).to_contain_text("house model is connected.")
        expect(page.get_by_text("$2.5 in, $10 out")).to_be_visible()
        page.get_by_role("button", name="Test house model").press("Enter")
        expect(page.get_by_role("heading", name="house model answers")).to_be_visible()
        assert [call["key"] for call in provider.calls()] == [KEY]
        page.get_by_label("Calls a day").fill("1")
        page.get_by_role("button", name="Set the budget").press("Enter")
        expect(banner(page)).to_contain_text("The budget is set.")
        assert Budget.objects.get(project=demo.project).calls_per_day == 1
        page.get_by_role("button", name="Test house model").press("Enter")
        expect(banner(page, "failed")).to_contain_text("The project's 1 calls of today are made.")
        assert KEY not in page.content()
        page.get_by_role("link", name="Remove house model").press("Enter")
        page.get_by_role("button", name="Remove the model").press("Enter")
        expect(banner(page)).to_contain_text("house model is removed.")
        row = ModelConnection.objects.get(name="house model")
        assert (row.key, row.removed_at is None) == (None, False)


def test_a_key_does_not_wait_in_the_session_of_who_must_sign_in_again(demo: Demo) -> None:
    client = signed_in(demo.people["farah"])
    client.get(MODELS)
    Session.objects.all().delete()
    sent = {"act": "add", "name": "new", "kind": "openai", "model": "gpt-4o", "max_concurrency": "8", "api_key": KEY}
    assert client.post(MODELS, sent).status_code == 302
    assert "name=new" in client.session[TYPED]["text"]
    assert KEY not in client.session[TYPED]["text"]
