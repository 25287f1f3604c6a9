"""What holds for every page that is listed: in both themes, on a phone, and without JavaScript."""

import pytest

from tests.pages.conftest import Demo, Visit, accessible, fits
from tests.pages.listed import PAGES, Shown

# Each page as it mostly is; its other states (`page-state`) take their turn in the full run.
every_page = pytest.mark.parametrize(
    "shown",
    [pytest.param(each, id=each.name, marks=[pytest.mark.full] if "-" in each.name else []) for each in PAGES],
)


@every_page
def test_anybody_can_use_it(look: Visit, standing_demo: Demo, shown: Shown) -> None:
    page = look(shown.person, shown.address(standing_demo))
    assert page.locator("h1").count() == 1
    accessible(page)
    page.emulate_media(color_scheme="dark")
    accessible(page, "color-contrast")
    for width in (360, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        fits(page)


@every_page
def test_it_reads_without_scripts(look: Visit, standing_demo: Demo, shown: Shown) -> None:
    page = look(shown.person, shown.address(standing_demo), scripts=False, width=360)
    assert page.locator("h1").is_visible()
    fits(page)
