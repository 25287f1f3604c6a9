"""Who may do what on which page: the table that the generated tests hold every address below `p/<project>/` to.

Every member sees every page, unless `sees` names who does. `forms` are what a page takes by POST: what is sent, and
whose form is taken; everybody else's is refused and changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.authorization.table import PEOPLE

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

PAGES: Mapping[str, PageOf] = {
    "prompts": PageOf("prompts/"),
    "prompt": PageOf("prompts/{prompt}/", forms=(Form(RELEASERS, _PROMOTE),)),
    "history": PageOf("history/"),
    "history-file": PageOf("history/ledger.csv"),
    "evaluations": PageOf("evaluations/"),
    "rollouts": PageOf("rollouts/"),
    "outputs": PageOf("outputs/"),
    "output": PageOf("outputs/{observation}/"),
}
