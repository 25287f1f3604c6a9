"""Models: which models evaluations may call, whether they answer, and what a day of it may cost."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.pages.settings import ActingPage, whole
from accounts.roles import Permission
from evaluations.actions.connections import (
    Tested,
    change_connection,
    check_connection,
    create_connection,
    remove_connection,
    set_budget,
)
from evaluations.connecting import pricing
from evaluations.models import ModelConnection
from evaluations.prices import cost
from evaluations.providers import Failure
from evaluations.spending import today
from promptforge.lib.errors import DomainError, about, wrong
from promptforge.lib.ids import decode
from promptforge.lib.json import parse_object

KINDS = (
    ("openai", "OpenAI or compatible", "OpenAI, and every server that speaks its protocol: name the server’s address."),
    ("anthropic", "Anthropic", "Claude, by the Messages API."),
    ("gemini", "Gemini", "Google’s models, by generateContent."),
    ("local", "The local model", "Runs on this machine. It takes no key, no address and costs nothing."),
)
MENDS = {
    Failure.RATE_LIMITED: "Wait a while and test again; fewer calls at once help too.",
    Failure.SERVER_ERROR: "The trouble is the provider’s. Test again later.",
    Failure.TIMEOUT: "Test again later, or look whether the server at the address is busy.",
    Failure.UNREACHABLE: "Look at the address, and whether this server may reach it.",
    Failure.BAD_KEY: "Give the connection a new key.",
    Failure.BAD_REQUEST: "Look at the model’s name and the parameters.",
    Failure.BAD_ANSWER: "Look whether the address and the kind belong together.",
    Failure.TOO_LARGE: "Ask for fewer tokens in the parameters.",
    Failure.WRONG_MODEL: "Write the model’s name exactly as the provider does.",
    Failure.URL_NOT_ALLOWED: "Name another address, or have the operator allow this one.",
}
MOST_AT_ONCE = 200
MOST_CALLS = 999_999_999
DEAREST = 100_000
_AMOUNT = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")


class ModelsPage(ActingPage):
    section = "settings_models"
    needs = Permission.CONFIGURE
    never_kept = ("api_key",)
    tested: Tested | None = None

    def get(self, request: HttpRequest) -> HttpResponse:
        if not self.may_change:
            return self.draw("evaluations/connections.html", {})
        needs_one = self.act in ("change", "key", "remove", "test") and (self.typed or self.act != "test")
        chosen = self._chosen() if needs_one else None
        rows = [_told(row) for row in self._connections().order_by("name")]
        context = {
            "rows": rows,
            "chosen": chosen,
            "kinds": KINDS,
            "filled": self.typed or (_filled(chosen) if chosen is not None else {"max_concurrency": "8"}),
            "tested": self.tested,
            "mend": MENDS[self.tested.failed.kind] if self.tested and self.tested.failed else "",
            **self._budget(),
        }
        return self.draw("evaluations/connections.html", context)

    def _connections(self) -> Any:
        return ModelConnection.objects.standing().filter(project_id=self.principal.project.pk)

    def _chosen(self) -> ModelConnection:
        pk = decode("con", self.given.get("connection", ""), "not_found")
        row: ModelConnection | None = self._connections().filter(pk=pk).first()
        if row is None:
            raise DomainError("not_found", "There is no such model connection within reach.")
        return row

    def _budget(self) -> dict[str, Any]:
        budget, spent = today(self.principal.project)
        stood = {
            "calls_per_day": "" if budget.calls_per_day is None else str(budget.calls_per_day),
            "usd_per_day": "" if budget.usd_per_day is None else _plain(budget.usd_per_day),
        }
        return {
            "spent_calls": spent.calls,
            "spent_usd": _plain(Decimal(spent.usd)),
            "most_calls": budget.calls_per_day,
            "most_usd": stood["usd_per_day"],
            "budget_filled": self.typed if self.typed and self.act == "budget" else stood,
        }

    def add(self) -> HttpResponse:
        sent = self.request.POST
        if sent.get("kind") not in ModelConnection.Kind.values:
            raise wrong("kind", "Choose whose model it is.", "field_required")
        made = create_connection(by=self.principal, kind=sent["kind"], api_key=_key(sent), **_fields(sent))
        return self._back(f"{made.name} is connected.", "Test it: one short call tells whether it answers.")

    def change(self) -> HttpResponse:
        sent = self.request.POST
        fields = _fields(sent)
        if (key := _key(sent)) is not None:
            fields["api_key"] = key
        changed = change_connection(by=self.principal, connection=self._chosen(), fields=fields)
        return self._back(f"{changed.name} is changed.", "It holds from the next run on.")

    def key(self) -> HttpResponse:
        if (key := _key(self.request.POST)) is None:
            raise wrong("api_key", "Paste the new key.", "field_required")
        row = change_connection(by=self.principal, connection=self._chosen(), fields={"api_key": key})
        return self._back(f"{row.name} has a new key.", "The next call uses it. It is shown to nobody.")

    def remove(self) -> HttpResponse:
        row = self._chosen()
        remove_connection(by=self.principal, connection=row)
        return self._back(f"{row.name} is removed.", "Its key is forgotten. Runs that used it stay.")

    def test(self) -> HttpResponse:
        self.tested = check_connection(by=self.principal, connection=self._chosen())
        return self.get(self.request)

    def budget(self) -> HttpResponse:
        sent = self.request.POST
        calls = whole(sent, "calls_per_day", 0, MOST_CALLS) if sent.get("calls_per_day", "").strip() else None
        fields = {"calls_per_day": calls, "usd_per_day": _amount(sent, "usd_per_day")}
        set_budget(by=self.principal, fields=fields)
        return self._back("The budget is set.", "It holds from the next call on.")

    def _back(self, sentence: str, then: str) -> HttpResponse:
        return self.done(reverse("settings_models", args=(self.principal.project.name,)), sentence, then)

    acts = {"add": add, "change": change, "key": key, "remove": remove, "test": test, "budget": budget}


# --- As a form has it ------------------------------------------------------------------------------------------------
def _fields(sent: Mapping[str, str]) -> dict[str, Any]:
    with about("parameters"):
        parameters = parse_object((sent.get("parameters", "").strip() or "{}").encode())
    return {
        "name": sent.get("name", "").strip(),
        "model": sent.get("model", "").strip(),
        "base_url": sent.get("base_url", "").strip(),
        "parameters": parameters,
        "max_concurrency": whole(sent, "max_concurrency", 1, MOST_AT_ONCE),
        "price": _price(sent),
    }


def _key(sent: Mapping[str, str]) -> str | None:
    return sent.get("api_key", "").strip() or None


def _price(sent: Mapping[str, str]) -> dict[str, float] | None:
    rates = {name: _amount(sent, f"price_{name}") for name in ("input", "output")}
    for name, rate in rates.items():
        if rate is None and any(other is not None for other in rates.values()):
            raise wrong(f"price_{name}", "Write both prices, or neither.", "field_required")
        if rate is not None and rate > DEAREST:
            raise wrong(f"price_{name}", f"At most {DEAREST:,} dollars for a million tokens.")
    return {name: float(rate) for name, rate in rates.items() if rate is not None} or None


def _amount(sent: Mapping[str, str], field: str) -> Decimal | None:
    text = sent.get(field, "").strip()
    if text and not _AMOUNT.fullmatch(text):
        raise wrong(field, "An amount in dollars from 0 to 999,999, such as 2.50.")
    return Decimal(text) if text else None


def _filled(row: ModelConnection) -> dict[str, str]:
    price = row.price_values or {}
    return {
        "name": row.name,
        "kind": row.kind,
        "model": row.model,
        "base_url": row.base_url,
        "parameters": "" if row.parameters == "{}" else row.parameters,
        "max_concurrency": str(row.max_concurrency),
        **{f"price_{name}": _plain(Decimal(str(rate))) for name, rate in price.items()},
    }


def _told(row: ModelConnection) -> dict[str, Any]:
    kind = next(label for value, label, _ in KINDS if value == row.kind)
    price = _price_in_words(row)
    host = urlsplit(row.base_url).netloc.rpartition("@")[2]
    return {"row": row, "kind": kind, "price": price, "host": host or "the provider’s own address"}


def _price_in_words(row: ModelConnection) -> str:
    price = row.price_values
    if price is not None:
        rates = (_plain(Decimal(str(price[name]))) for name in ("input", "output"))
        return "${} in, ${} out for a million tokens".format(*rates)
    if row.kind == ModelConnection.Kind.LOCAL:
        return "free"
    return "unknown" if cost(pricing(row), input_tokens=1, output_tokens=1) is None else "looked up"


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
