"""Model connections: which models evaluations may call, with whose key, and what a day of it may cost."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone

from accounts.policies import Principal
from accounts.roles import Permission
from evaluations.connecting import opened, pricing
from evaluations.local_model import MODEL
from evaluations.models import Budget, ModelConnection
from evaluations.prices import cost, most
from evaluations.providers import FREE, MOST_TOKENS, CallFailed, Completion, Message, complete, most_tokens
from evaluations.spending import Refused, reserve, settle
from events.actions import record
from events.kinds import EventKind
from promptforge.lib import http
from promptforge.lib.errors import DomainError, about, shorten, wrong
from promptforge.lib.json import canonical_json
from promptforge.lib.refusals import refusals
from promptforge.lib.sealing import seal
from promptforge.lib.verdicts import require

LARGEST_PARAMETERS = 4096  # bytes
TEST_SECONDS = 20.0
_KEY = re.compile(r"[\x21-\x7e]{1,500}")
# What each call says itself.
_OURS = frozenset(
    {"model", "messages", "contents", "system", "systemInstruction", "stream", "n", "candidateCount", "candidate_count",
     "seed", "tools"}
)  # fmt: skip
_QUESTION: list[Message] = [{"role": "user", "content": "Answer with the word OK."}]


class Tested(NamedTuple):
    """What came of one call: the answer, or the failure."""

    answer: Completion | None
    failed: CallFailed | None


def create_connection(
    *,
    by: Principal,
    name: str,
    kind: str,
    base_url: str = "",
    model: str = "",
    api_key: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    max_concurrency: int = 8,
    price: Mapping[str, Any] | None = None,
) -> ModelConnection:
    """Let the project's evaluations call this model. Blank `base_url`: the provider's own address."""
    require(by.may(Permission.CONFIGURE))
    row = ModelConnection(project_id=by.project.pk, kind=kind)
    fields = {
        "name": name, "base_url": base_url, "model": model or (MODEL if kind == "local" else ""),
        "parameters": parameters or {}, "max_concurrency": max_concurrency, "price": price,
    }  # fmt: skip
    _set(row, fields)
    _check_key(row, api_key)
    with refusals(), transaction.atomic():
        row.save()
        _keep_key(row, api_key)
        _record(EventKind.CONNECTION_CREATED, row, by, model=row.model)
    return row


def change_connection(*, by: Principal, connection: ModelConnection, fields: Mapping[str, Any]) -> ModelConnection:
    """Change what is named. A key never follows to another address: whoever changes that gives the key again."""
    require(by.may(Permission.CONFIGURE))
    changes = {name: value for name, value in fields.items() if name != "api_key"}
    key = fields.get("api_key")
    with refusals(), transaction.atomic():
        row = _locked(connection)
        before = {name: getattr(row, name) for name in changes}
        _set(row, changes)
        _check_key(row, key, moved=row.base_url != before.get("base_url", row.base_url))
        changed = sorted(name for name, value in before.items() if getattr(row, name) != value)
        if changed:
            row.save(update_fields=changed)
            _record(EventKind.CONNECTION_CHANGED, row, by, changed=changed)
        if key is not None:
            _keep_key(row, key)
            _record(EventKind.CONNECTION_ROTATED, row, by)
    return row


def remove_connection(*, by: Principal, connection: ModelConnection) -> None:
    """Call it no more, and forget its key. Runs that used it stay evidence."""
    require(by.may(Permission.CONFIGURE))
    with refusals(), transaction.atomic():
        row = _locked(connection)
        row.removed_at, row.key = timezone.now(), None
        row.save(update_fields=["removed_at", "key"])
        _record(EventKind.CONNECTION_REMOVED, row, by)


def check_connection(*, by: Principal, connection: ModelConnection) -> Tested:
    """Make one call, which counts like any other, and tell what came of it."""
    require(by.may(Permission.CONFIGURE))
    prices = pricing(connection)
    limit = {"max_tokens": min(64, most_tokens(connection.parameter_values))}
    taken = reserve(project_id=connection.project_id, usd=most(prices, _QUESTION, limit["max_tokens"]))
    if isinstance(taken, Refused):
        raise DomainError("budget_used_up", taken.sentence)
    answer = failed = spent = None
    try:
        answer = complete(opened(connection, parameters=limit, timeout=TEST_SECONDS), _QUESTION)
        spent = cost(prices, input_tokens=answer.input_tokens, output_tokens=answer.output_tokens)
    except CallFailed as failure:
        failed = failure
    with transaction.atomic():
        if failed is None:
            settle(taken, spent)
        elif failed.kind in FREE:
            settle(taken, Decimal(0))
        _record(
            EventKind.CONNECTION_TESTED, connection, by, outcome="answered" if failed is None else failed.kind.value
        )
    return Tested(answer, failed)


def set_budget(*, by: Principal, fields: Mapping[str, Any]) -> Budget:
    """What the project's evaluations may cost in a day (UTC): `calls_per_day`, and `usd_per_day` as a Decimal.

    What is not named stays, and None is no ceiling. It holds from the next call on.
    """
    require(by.may(Permission.CONFIGURE))
    calls_per_day, usd_per_day = (fields.get(name) for name in ("calls_per_day", "usd_per_day"))
    if usd_per_day is not None and not 0 <= usd_per_day < 1_000_000:
        raise wrong("usd_per_day", "Name an amount from 0 to 999,999 dollars, or none.")
    if calls_per_day is not None and not 0 <= calls_per_day <= 1_000_000_000:
        raise wrong("calls_per_day", "Name a number of calls from 0 to 1,000,000,000, or none.")
    with refusals(), transaction.atomic():
        Budget.objects.get_or_create(project_id=by.project.pk)
        budget = Budget.objects.select_for_update(no_key=True).get(project_id=by.project.pk)
        before = budget.calls_per_day, budget.usd_per_day
        budget.calls_per_day = fields.get("calls_per_day", budget.calls_per_day)
        budget.usd_per_day = fields.get("usd_per_day", budget.usd_per_day)
        if (budget.calls_per_day, budget.usd_per_day) != before:
            budget.save()
            usd = budget.usd_per_day
            told = {"calls_per_day": budget.calls_per_day, "usd_per_day": None if usd is None else f"{usd:f}"}
            record(
                EventKind.BUDGET_CHANGED,
                project_id=by.project.pk,
                actor=by.actor,
                subject=("project", by.project.pk),
                **told,
            )
    return budget


# --- What a connection says ------------------------------------------------------------------------------------------
def _set(row: ModelConnection, fields: Mapping[str, Any]) -> None:
    """Put what was sent into the row, or refuse it by its field."""
    values = dict(fields)
    for name in ("name", "model"):
        if name in values and not 0 < len(values[name].strip()) <= (100 if name == "name" else 200):
            raise wrong(name, f"Write the {name}, in at most {100 if name == 'name' else 200} characters.")
    if "parameters" in values:
        values["parameters"] = _parameters(values["parameters"])
    if "price" in values:
        values["price"] = _price(values["price"])
    if not 1 <= values.get("max_concurrency", 1) <= 200:
        raise wrong("max_concurrency", "Name how many calls may be under way at once, from 1 to 200.")
    if row.kind == ModelConnection.Kind.LOCAL and values.get("base_url"):
        raise wrong("base_url", "The local model runs on this machine and has no address. Leave it blank.")
    if values.get("base_url"):
        with about("base_url"):
            http.check(values["base_url"])
    for name, value in values.items():
        setattr(row, name, value)


def _parameters(given: Mapping[str, Any]) -> str:
    for name in given:
        if name in _OURS:
            raise wrong("parameters", f"{name} is set by each call. Leave it out.")
        if name in ("max_output_tokens", "maxOutputTokens"):
            raise wrong("parameters", f"Write max_tokens for {name}: each provider is told it by its own name.")
    limits = ("max_tokens", "max_completion_tokens")
    if all(name in given for name in limits):
        raise wrong("parameters", "max_tokens and max_completion_tokens mean the same. Leave one of them out.")
    for name in limits:
        limit = given.get(name, 1)
        if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MOST_TOKENS:
            raise wrong("parameters", f"{name} is a whole number from 1 to {MOST_TOKENS:,}.")
    text = canonical_json(dict(given))
    if len(text.encode()) > LARGEST_PARAMETERS:
        raise wrong("parameters", f"The parameters have {len(text.encode()):,} bytes; at most {LARGEST_PARAMETERS:,}.")
    return text


def _price(given: Mapping[str, Any] | None) -> str:
    if given is None:
        return "null"
    if set(given) != {"input", "output"} or not all(
        isinstance(rate, int | float) and not isinstance(rate, bool) and 0 <= rate <= 100_000 for rate in given.values()
    ):
        raise wrong("price", "Write the price as input and output, in dollars for a million tokens, 0 to 100,000 each.")
    return canonical_json({"input": given["input"], "output": given["output"]})


def _check_key(row: ModelConnection, key: str | None, *, moved: bool = False) -> None:
    if row.kind == ModelConnection.Kind.LOCAL:
        if key is not None:
            raise wrong("api_key", "The local model takes no key. Leave it out.")
    elif key is not None and not _KEY.fullmatch(key):
        raise wrong("api_key", "A key has 1 to 500 letters, digits and signs, without blanks. Copy it once more.")
    elif key is None and moved and row.key is not None:
        raise wrong("api_key", "The key was given for the address before. Give the one for this address with it.")


def _keep_key(row: ModelConnection, key: str | None) -> None:
    if key is not None:
        # By its own statement: what is sealed is bound to the row's id, which is known only now.
        row.key = seal(key, row.place)
        ModelConnection.objects.filter(pk=row.pk).update(key=row.key)


def _locked(connection: ModelConnection) -> ModelConnection:
    row = ModelConnection.objects.standing().select_for_update(no_key=True).filter(pk=connection.pk).first()
    if row is None:
        raise DomainError("not_found", f"The connection {shorten(connection.name)} is removed.")
    return row


def _record(kind: EventKind, row: ModelConnection, by: Principal, **data: Any) -> None:
    record(kind, project_id=row.project_id, actor=by.actor, subject=("connection", row.pk), **data)
