"""The admin in a browser: the same policy, and nothing grave for axe, in both themes."""

import pytest

from prompts.models import Promotion, Prompt, PromptVersion
from tests.pages.conftest import Demo, Visit, accessible


@pytest.fixture
def demo(standing_demo: Demo) -> Demo:
    return standing_demo


def paths() -> list[str]:
    prompt = Prompt.objects.get(name="support/greeting")
    version = PromptVersion.objects.filter(prompt=prompt).latest("pk")
    promotion = Promotion.objects.filter(prompt=prompt).latest("pk")
    return [
        "/admin/",
        "/admin/prompts/prompt/",
        f"/admin/prompts/prompt/{prompt.pk}/change/",
        f"/admin/prompts/prompt/{prompt.pk}/history/",
        f"/admin/prompts/promptversion/{version.pk}/change/",
        f"/admin/prompts/promotion/{promotion.pk}/change/",
        "/admin/events/event/",
    ]


@pytest.mark.full
def test_the_admin_keeps_the_policy_and_can_be_used_by_all(visit: Visit, demo: Demo) -> None:
    page = visit("root", "/admin/")
    for path in paths():
        page.goto(path)
        assert page.locator("h1").count() >= 1
        accessible(page)
        page.emulate_media(color_scheme="dark")
        accessible(page, "color-contrast")
        page.emulate_media(color_scheme="light")
