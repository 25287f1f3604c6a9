"""Every page that is shown, once: what the tests of all pages and the screenshots go through. A new page adds a row."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from accounts.actions.api_keys import create_key
from accounts.models import ApiKey
from delivery.actions.observations import read_observations, store_observations
from delivery.intake import Reach
from promptforge.lib.ids import encode
from prompts.demo.loader import moment
from prompts.models import Promotion
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


def reported(demo: Demo) -> str:
    """The reference of an answer that a service of the demo reported."""
    key = create_key(
        project=demo.project,
        name="checkout-web",
        scopes=["observations:write"],
        responsible=demo.people["emil"],
        by=None,
    )
    row = ApiKey.objects.get(public_id=key.text.split("_")[2])
    observation = {
        "id": "0198c0de-1111-7000-8000-00000000a11c",
        "prompt": "support/refund-answer",
        "version": 8,
        "channel": "stable",
        "user": "customer-48213",
        "trace_id": "trace-77",
        "input": [{"role": "user", "content": "Both my orders came broken. Refund them please."}],
        "output": "I’m so sorry about both orders. They qualify for a refund; could you send me a photo of each?",
        "model": "small-chat-4",
        "latency_ms": 812,
    }
    body = json.dumps({"observations": [observation]}).encode()
    batch = read_observations(body=body, reach=Reach(demo.project.pk, row.pk, row.reaches_prompt))
    assert batch.rejected == []
    store_observations(rows=batch.rows)
    return str(observation["id"])


def promotion(reference: str) -> Callable[[Demo], str]:
    """The address of the demo's newest promotion of a version to stable."""
    name, _, number = reference.partition("@")

    def address(demo: Demo) -> str:
        found = Promotion.objects.filter(prompt__project=demo.project, prompt__name=name, version__number=number)
        return f"/p/demo/promotions/{encode('pro', found.latest('pk').pk)}/"

    return address


PAGES = [
    Shown("styleguide", "", "/styleguide/"),
    Shown("start", "", "/"),
    Shown("refusals", "", "/docs/errors"),
    Shown("sign-in", "", "/accounts/sign-in/"),
    Shown("password-forgotten", "", "/accounts/password/forgotten/"),
    Shown("account", "ada", "/accounts/"),
    Shown("account-password", "ada", "/accounts/password/"),
    Shown("account-factor", "ada", "/accounts/second-factor/add/"),
    Shown("confirm", "ada", "/accounts/confirm/"),
    Shown("not-found", "ada", "/p/demo/prompts/nothing/here/"),
    Shown("prompts", "ada", "/p/demo/prompts/"),
    Shown("prompts-none", "ada", "/p/demo/prompts/?q=xyzzy"),
    Shown("prompt", "cleo", "/p/demo/prompts/support/greeting/"),
    Shown("prompt-variables", "ada", "/p/demo/prompts/support/order-status/?show=variables"),
    Shown("prompt-config", "ada", "/p/demo/prompts/support/order-status/?show=config"),
    Shown("prompt-use", "ada", "/p/demo/prompts/support/greeting/?show=use"),
    Shown("prompt-activity", "ada", "/p/demo/prompts/support/refund-answer/?show=activity"),
    Shown("roll-back", "cleo", "/p/demo/prompts/support/greeting/?act=roll-back&channel=stable"),
    Shown("inbox", "ben", "/p/demo/"),
    Shown("inbox-editor", "ada", "/p/demo/"),
    Shown("inbox-quiet", "noor", "/p/demo/"),
    Shown("new_promotion", "ada", "/p/demo/promotions/new/?prompt=docs/summariser&version=5&channel=stable"),
    Shown("promotion", "ben", promotion("support/order-status@7"), widths=(320, 390, 1280, 1920)),
    Shown("promotion-ready", "cleo", promotion("docs/return-details@4")),
    Shown("promotion-stale", "emil", promotion("support/triage@7")),
    Shown("promotion-applied", "ben", promotion("support/triage@6")),
    Shown("promotion-schedule", "cleo", lambda demo: f"{promotion('docs/return-details@4')(demo)}?act=schedule"),
    Shown("history", "ada", "/p/demo/history/"),
    Shown("history-answer", "ada", lambda demo: f"/p/demo/history/?{tuesday()}&zone=Europe/Vienna"),
    Shown("history-trail", "farah", "/p/demo/history/?show=trail"),
    Shown("outputs-none", "ada", "/p/demo/outputs/"),
    Shown("outputs", "ben", lambda demo: reported(demo) and "/p/demo/outputs/"),
    Shown("output", "ben", lambda demo: f"/p/demo/outputs/{reported(demo)}/"),
    Shown("evaluations", "ada", "/p/demo/evaluations/"),
    Shown("rollouts", "ada", "/p/demo/rollouts/"),
]
