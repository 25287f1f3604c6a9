"""Who may do what on which page: the table that the generated tests hold every address below `p/<project>/` to.

Every member sees every page, unless `sees` names who does. `forms` are what a page takes by POST: what is sent, and
whose form is taken; everybody else's is refused and changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.authorization.table import EDITORS, PEOPLE

RELEASERS = "release-manager"


@dataclass(frozen=True)
class Form:
    may: str
    sent: Mapping[str, Any]


@dataclass(frozen=True)
class PageOf:
    """`{…}` in path and forms stand for things of the project: see `World.own`."""

    path: str
    sees: str = PEOPLE
    forms: tuple[Form, ...] = ()


_PROMOTE = {"act": "promote", "channel": "stable", "version": "2"}

_APPROVE = {"act": "review", "decision": "approve", "diff_digest": "{digest}"}
_GLASS = {"act": "glass", "revision": "0", "reason": "The live answer is dangerous"}
_ASK = {"prompt": "{prompt}", "version": "2", "channel": "stable", "title": "Shorter"}

PAGES: Mapping[str, PageOf] = {
    "inbox": PageOf("", forms=(Form(RELEASERS, {"act": "ratify", "release": "{release}"}),)),
    "new_promotion": PageOf("promotions/new/?prompt={prompt}&version=2", forms=(Form(f"{EDITORS} owner", _ASK),)),
    "promotion": PageOf(
        "promotions/{promotion}/",
        forms=(
            Form(f"reviewer {RELEASERS}", _APPROVE),
            Form(PEOPLE, {"act": "review", "decision": "comment", "body": "Nice"}),
            Form(RELEASERS, {"act": "promote"}),
            Form(RELEASERS, {"act": "unschedule"}),
            Form(f"{EDITORS} owner", {"act": "withdraw"}),
            Form(f"reviewer {RELEASERS}", {"act": "reject", "reason": "Too long"}),
            Form(RELEASERS, {"act": "dismiss", "review": "{review}", "reason": "A mistake"}),
            Form("", _GLASS),
        ),
    ),
    "promotion-news": PageOf("promotions/{promotion}/news/"),
    "prompts": PageOf("prompts/"),
    "prompt": PageOf("prompts/{prompt}/", forms=(Form(RELEASERS, _PROMOTE),)),
    "history": PageOf("history/"),
    "history-file": PageOf("history/ledger.csv"),
    "evaluations": PageOf("evaluations/"),
    "rollouts": PageOf("rollouts/"),
    "outputs": PageOf("outputs/"),
    "output": PageOf("outputs/{observation}/"),
}
