"""Pictures of every page in both themes, for people to look at: `script/test --screens` writes them to var/screens."""

import pytest

from tests.pages.conftest import Demo, Visit
from tests.pages.listed import PAGES, Shown
from tests.plugin import ROOT

SCREENS = ROOT / "var" / "screens"


@pytest.mark.screens
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("shown", PAGES, ids=lambda shown: shown.name)
def test_picture(look: Visit, standing_demo: Demo, shown: Shown, theme: str) -> None:
    SCREENS.mkdir(parents=True, exist_ok=True)
    page = look(shown.person, shown.address(standing_demo), theme=theme)
    for width in shown.widths:
        page.set_viewport_size({"width": width, "height": 900})
        picture = SCREENS / f"{shown.name}-{theme}-{width}.png"
        page.screenshot(path=picture, full_page=True)
        assert picture.stat().st_size > 5_000
