"""The whole story, a browser each: a change regresses, the page says how, it is mended, and goes live."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from evaluations import local_model
from evaluations.actions.gate import start_what_is_demanded
from evaluations.actions.rules import add_rule
from evaluations.demo import story
from evaluations.demo.scenes import Stage, write
from evaluations.models import EvaluationRun, EvaluationSet, ModelConnection
from evaluations.running.engine import work
from tests.evaluations.stub_provider import providing
from tests.pages.conftest import Demo, Visit, accessible
from tests.pages.test_journeys import decide, follow, propose
from tests.pages.test_promotion import live
from tests.pages.test_screens import SCREENS

PRAISE, SECONDS = "What a great question! ", 1200
SINGLE = "You answer customers of a homeware shop in a single short sentence."
EXAMPLES = (2, 4, 6)  # the places of the model's example answers among the messages


@pytest.fixture(params=["stub", pytest.param("model", marks=pytest.mark.full)])
def model(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The local model itself, or a stub in its place that praises when it is told to."""
    monkeypatch.setenv("PROMPTFORGE_VAR", str(tmp_path))
    if request.param == "model":
        if missing := local_model.missing():
            pytest.skip(missing)
        yield request.param
        local_model.stop()
        return
    with providing(tmp_path / "stub") as provider:
        provider.behave(texts={PRAISE.strip(): f"{PRAISE}Yes.", "": ["Yes, we do.", "No, we do not."]})
        monkeypatch.setattr(local_model, "missing", lambda: None)
        monkeypatch.setattr(local_model, "serving", lambda _: local_model.Serving(provider.port, "sk-local"))
        yield request.param


@pytest.fixture
def short_answers(demo: Demo, model: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prompt that so small a model can follow, live in stable, which demands its evaluation."""
    about = story.PROMPTS[story.SHORT]
    monkeypatch.setattr(story, "PROMPTS", {story.SHORT: about | {"versions": about["versions"][:1]}})
    monkeypatch.setattr(story, "SETS", {story.EVERYDAY: story.SETS[story.EVERYDAY]})
    monkeypatch.setattr(story, "CONNECTIONS", {story.LOCAL: story.CONNECTIONS[story.LOCAL]})
    stage = Stage(demo.project)
    assert write(stage)
    add_rule(
        by=demo.principal("farah"),
        channel=stage.channel("stable"),
        prompt=stage.prompt(story.SHORT),
        evaluation_set=EvaluationSet.objects.get(name=story.EVERYDAY),
        connection=ModelConnection.objects.get(name=story.LOCAL),
    )
    return story.SHORT


def rewrite(page: Page, why: str, texts: dict[int, str]) -> None:
    """In the editor: these messages anew, and why; then saved as a version."""
    expect(page.locator(".cm-content").nth(max(texts))).to_be_visible()
    for place, text in texts.items():
        page.locator(".cm-content").nth(place).click()
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(text)
    page.locator("[name=message]").fill(why)
    page.keyboard.press("Control+s")
    expect(page.locator("#kept")).to_contain_text("Draft saved")
    with page.expect_navigation():
        page.locator("button", has_text="Save version").first.click()
    expect(page.locator(".banner.is-passed")).to_contain_text("is saved.")


def what_it_says(page: Page) -> Locator:
    return page.locator("section", has=page.locator("#model"))


def evaluated() -> EvaluationRun:
    """What beat and a worker do meanwhile."""
    start_what_is_demanded()
    work(SECONDS)
    return EvaluationRun.objects.latest("pk")


@pytest.mark.timeout(3000)
def test_a_change_that_regresses_is_told_mended_and_promoted(
    visit: Visit, demo: Demo, short_answers: str, model: str
) -> None:
    def picture(page: Page, name: str) -> None:
        if model == "model":
            page.screenshot(path=SCREENS / f"story-{name}.png", full_page=True)

    answers: list[Any] = [answer for _, answer in story._ANSWERED]
    ada = visit("ada", f"/p/demo/edit/{short_answers}/")
    rewrite(ada, "Friendlier", {place: PRAISE + text for place, text in zip(EXAMPLES, answers, strict=True)})
    propose(ada, 2)
    promotion = ada.url
    assert evaluated().outcome == "FAIL"

    ben = visit("ben", promotion)
    said = what_it_says(ben)
    expect(said).to_contain_text("Failed")
    expect(said).to_contain_text("No praise of the question")
    expect(said).to_contain_text(PRAISE.strip())
    accessible(ben)
    picture(ben, "1-blocked")
    follow(ben, "how sure it is")
    expect(ben.locator("h1")).to_contain_text("worse")
    expect(ben.locator("main")).to_contain_text("It holds version 2 back from stable.")
    picture(ben, "2-result")
    ben.goto(promotion)
    decide(ben, 1, "It praises every question. Answer it instead.")
    expect(ben.locator(".banner.is-passed")).to_contain_text("You asked for changes.")

    ada.goto("/p/demo/")
    follow(ada, "Edit from version 2")
    rewrite(ada, "Answers at once again", dict(zip(EXAMPLES, answers, strict=True)) | {0: SINGLE})
    propose(ada, 3)
    promotion = ada.url
    assert evaluated().outcome == "PASS"

    ben.goto(promotion)
    expect(what_it_says(ben)).to_contain_text("Passed")
    decide(ben, 2, "No praise any more.")
    expect(ben.locator(".banner.is-passed")).to_contain_text("You approved it.")
    picture(ben, "3-mended")
    assert live(story.SHORT) == 1

    cleo = visit("cleo", "/p/demo/")
    follow(cleo, f"Promote {short_answers} version 3")
    cleo.keyboard.type("Passed, and Ben read it.")
    with cleo.expect_navigation():
        cleo.keyboard.press("Enter")
    expect(cleo.locator("h1")).to_have_text("Version 3 is live in stable")
    picture(cleo, "4-live")
    assert live(story.SHORT) == 3
