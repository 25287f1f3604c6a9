"""Who may do what on which page: the table that the generated tests hold every address below `p/<project>/` to.

Every member sees every page, unless `sees` names who does. `forms` are what a page takes by POST: what is sent, and
whose form is taken; everybody else's is refused and changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.authorization.table import EDITORS, PEOPLE

RELEASERS = "release-manager"
CONFIGURERS = "release-manager admin"
ADMINS = "admin"
RELEASED_SETS = "release-manager admin"  # who reads answers and edits sets
SET_EDITORS = f"{EDITORS} owner"


@dataclass(frozen=True)
class Form:
    may: str
    sent: Mapping[str, Any]
    answer: int = 302  # 200 where something is shown once


@dataclass(frozen=True)
class PageOf:
    """`{…}` in path and forms stand for things of the project: see `World.own`."""

    path: str
    sees: str = PEOPLE
    forms: tuple[Form, ...] = ()


_PROMOTE = {"act": "promote", "channel": "stable", "version": "2"}
_POLICY = {
    "act": "change",
    "revision": "1",
    "required_approvals": "2",
    "approval_ttl_days": "14",
    "evidence_ttl_days": "7",
}
_FREEZE = {"act": "freeze", "from": "2030-01-01T00:00", "to": "2030-01-02T00:00", "reason": "Holidays"}
_WEBHOOK = {"url": "https://93.184.215.14/", "format": "standard", "events": "release.made"}

_TEXT = {"type": "text", "role": "text", "text": "Another text", "ends": "", "config": "{{}}", "message": ""}
_VALUES = {"s-name": "customer_name", "s-value": "Ada"}
_APPROVE = {"act": "review", "decision": "approve", "diff_digest": "{digest}"}
_GLASS = {"act": "glass", "revision": "0", "reason": "The live answer is dangerous"}
_RULE = {"act": "add", "channel": "{channel}", "set": "core", "connection": "gpt", "margin": "10"}
_MODEL = {"name": "new", "kind": "openai", "model": "gpt-4o", "max_concurrency": "8"}
_ASK = {"prompt": "{prompt}", "version": "2", "channel": "stable", "title": "Shorter"}

_RUN = {"prompt": "{prompt}", "version": "2", "against": "stable", "set": "{set_name}", "connection": "gpt"}

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
    "new_prompt": PageOf(
        "prompts/new/", sees=EDITORS, forms=(Form(EDITORS, _TEXT | {"act": "save", "name": "support/new"}),)
    ),
    "edit": PageOf(
        "edit/{prompt}/",
        sees=f"{EDITORS} owner",
        forms=tuple(Form(f"{EDITORS} owner", _TEXT | {"act": act, "base": "2"}) for act in ("draft", "save")),
    ),
    # The first form of each world is taken; the draft is there then, and no worker asks.
    "edit-try": PageOf(
        "try/{prompt}/",
        sees=f"{EDITORS} owner",
        forms=(Form(f"{EDITORS} owner", _TEXT | {"act": "try", "base": "2", "connection": "gpt", **_VALUES}),),
    ),
    "edit-tried": PageOf("tried/{prompt}/", sees=f"{EDITORS} owner"),
    "compare": PageOf("compare/{prompt}/?from=1&to=2"),
    "prompt": PageOf("prompts/{prompt}/", forms=(Form(RELEASERS, _PROMOTE),)),
    "history": PageOf("history/"),
    "history-file": PageOf("history/ledger.csv"),
    "evaluations": PageOf("evaluations/"),
    "new_set": PageOf(
        "evaluations/new/",
        sees=SET_EDITORS,
        forms=(Form(SET_EDITORS, {"name": "new", "prompt": "{prompt}"}), Form(EDITORS, {"name": "new"})),
    ),
    "evaluation_set": PageOf(
        "evaluations/sets/{set}/",
        forms=(
            Form(SET_EDITORS, {"act": "add", "v-name": "customer_name", "v-value": "Ada"}),
            Form(SET_EDITORS, {"act": "change", "case": "one", "expected": "x"}),
            Form(SET_EDITORS, {"act": "remove", "case": "one"}),
            Form(SET_EDITORS, {"act": "ask", "type": "contains", "value": "x"}),
            Form(SET_EDITORS, {"act": "ask-other", "of": "contain “Hello”", "type": "contains", "value": "x"}),
            Form(SET_EDITORS, {"act": "unask", "of": "contain “Hello”"}),
            Form(SET_EDITORS, {"act": "rename", "name": "other"}),
            Form(SET_EDITORS, {"act": "archive"}),
            Form(SET_EDITORS, {"act": "restore"}),
        ),
    ),
    "import_cases": PageOf(
        "evaluations/sets/{set}/import/",
        sees=SET_EDITORS,
        forms=(Form(SET_EDITORS, {"act": "drop"}),),
    ),
    "evaluation_set-file": PageOf("evaluations/sets/{set}/export/?format=csv"),
    "drift": PageOf(
        "evaluations/drift/",
        forms=(
            Form(CONFIGURERS, {"act": "set", "watch": "{watch}", "every_hours": "168", "enabled": "on"}),
            Form(CONFIGURERS, {"act": "bless", "watch": "{watch}", "reason": "It is right"}),
        ),
    ),
    "runs": PageOf("evaluations/runs/"),
    "new_run": PageOf(
        "evaluations/runs/new/?prompt={prompt}", sees=f"{EDITORS} owner", forms=(Form(f"{EDITORS} owner", _RUN),)
    ),
    "run": PageOf(
        "evaluations/runs/{paused_run}/",
        forms=(
            Form(f"{EDITORS} owner", {"act": "cancel"}),
            Form(f"{EDITORS} owner", {"act": "again", "promotion": "{promotion}"}),
        ),
    ),
    "run-progress": PageOf("evaluations/runs/{run}/progress/"),
    "run-file": PageOf("evaluations/runs/{run}/junit"),
    "rollouts": PageOf("rollouts/"),
    "settings": PageOf("settings/", forms=(Form(CONFIGURERS, {"act": "save", "serves_stale": "yes"}),)),
    "settings_members": PageOf(
        "settings/members/",
        forms=(
            Form(ADMINS, {"act": "add", "email": "gus@shop.example", "roles": "admin"}),
            Form(ADMINS, {"act": "change", "member": "{member}", "roles": "admin"}),
            Form(ADMINS, {"act": "remove", "member": "{member}"}),
        ),
    ),
    "settings_channels": PageOf(
        "settings/channels/",
        forms=(
            Form(CONFIGURERS, {"act": "add", "name": "delta"}),
            Form(CONFIGURERS, _POLICY | {"channel": "{channel}"}),
            Form(CONFIGURERS, _POLICY | {"channel": "guarded"}),
            Form(CONFIGURERS, {"act": "confirm", "policy_change": "{change}"}),
            Form(CONFIGURERS, _FREEZE | {"channel": "{channel}"}),
            Form(CONFIGURERS, {"act": "lift", "channel": "{channel}", "freeze": "{freeze}"}),
        ),
    ),
    "settings_rules": PageOf(
        "settings/rules/",
        forms=(
            Form(CONFIGURERS, _RULE),
            Form(CONFIGURERS, {"act": "remove", "rule": "{rule}"}),
            Form(CONFIGURERS, {"act": "agree", "rule": "{rule}"}),
        ),
    ),
    "settings_models": PageOf(
        "settings/models/",
        forms=(
            Form(CONFIGURERS, _MODEL | {"act": "add"}),
            Form(CONFIGURERS, _MODEL | {"act": "change", "connection": "{connection}"}),
            Form(CONFIGURERS, {"act": "key", "connection": "{connection}", "api_key": "sk-other"}),
            Form(CONFIGURERS, {"act": "budget", "calls_per_day": "0", "usd_per_day": "0.50"}),
            # No budget is left: nothing is called, and whoever may ask is told so.
            Form(CONFIGURERS, {"act": "test", "connection": "{connection}"}, answer=409),
            Form(CONFIGURERS, {"act": "remove", "connection": "{connection}"}),
        ),
    ),
    "settings_keys": PageOf(
        "settings/keys/",
        forms=(
            Form(ADMINS, {"act": "make", "name": "new", "scopes": "manage"}, answer=200),
            Form(ADMINS, {"act": "rotate", "key": "{key}", "overlap_hours": "0"}, answer=200),
            Form(ADMINS, {"act": "revoke", "key": "{key}"}),
        ),
    ),
    "settings_webhooks": PageOf(
        "settings/webhooks/",
        forms=(
            Form(CONFIGURERS, _WEBHOOK | {"act": "add"}, answer=200),
            Form(CONFIGURERS, _WEBHOOK | {"act": "change", "webhook": "{webhook}"}),
            *(Form(CONFIGURERS, {"act": act, "webhook": "{webhook}"}) for act in ("disable", "enable", "test")),
            Form(CONFIGURERS, {"act": "rotate", "webhook": "{webhook}", "overlap_hours": "1"}, answer=200),
            Form(CONFIGURERS, {"act": "again", "delivery": "{delivery}"}),
            Form(CONFIGURERS, {"act": "remove", "webhook": "{webhook}"}),
        ),
    ),
    "settings_notifications": PageOf("settings/notifications/"),
    "outputs": PageOf("outputs/"),
    "output": PageOf("outputs/{observation}/", forms=(Form(RELEASED_SETS, {"set": "{set}"}),)),
}
