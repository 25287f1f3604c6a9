"""Every page that is shown, once: what the tests of all pages and the screenshots go through. A new page adds a row."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from prompts.demo.loader import moment
from tests.pages.conftest import Demo


@dataclass(frozen=True)
class Shown:
    """`person` is who looks ("" is nobody); a path that needs an id is a function of the demo."""

    name: str
    person: str
    path: str | Callable[[Demo], str]
    widths: tuple[int, ...] = (390, 1280)

    def address(self, demo: Demo) -> str:
        return self.path if isinstance(self.path, str) else self.path(demo)


def tuesday() -> str:
    """10:00 on the newest Tuesday of the demo's story, as an address asks for it."""
    return f"date={moment('-1 Tue 10:00', today=date.today()):%Y-%m-%d}&time=10:00"


PAGES = [
    Shown("styleguide", "", "/styleguide/"),
    Shown("start", "", "/"),
    Shown("refusals", "", "/docs/errors"),
    Shown("not-found", "ada", "/p/demo/prompts/nothing/here/"),
    Shown("prompts", "ada", "/p/demo/prompts/"),
    Shown("prompts-none", "ada", "/p/demo/prompts/?q=xyzzy"),
    Shown("prompt", "cleo", "/p/demo/prompts/support/greeting/"),
    Shown("prompt-variables", "ada", "/p/demo/prompts/support/order-status/?show=variables"),
    Shown("prompt-config", "ada", "/p/demo/prompts/support/order-status/?show=config"),
    Shown("prompt-use", "ada", "/p/demo/prompts/support/greeting/?show=use"),
    Shown("prompt-activity", "ada", "/p/demo/prompts/support/refund-answer/?show=activity"),
    Shown("roll-back", "cleo", "/p/demo/prompts/support/greeting/?act=roll-back&channel=stable"),
    Shown("history", "ada", "/p/demo/history/"),
    Shown("history-answer", "ada", lambda demo: f"/p/demo/history/?{tuesday()}&zone=Europe/Vienna"),
    Shown("history-trail", "farah", "/p/demo/history/?show=trail"),
    Shown("evaluations", "ada", "/p/demo/evaluations/"),
    Shown("rollouts", "ada", "/p/demo/rollouts/"),
]
