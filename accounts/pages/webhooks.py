"""Webhooks: where the project's events are sent, what became of each, testing, and sending again."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.actions.api_keys import LONGEST_OVERLAP_HOURS
from accounts.actions.webhooks import (
    NewSecret,
    change_webhook,
    check_webhook,
    create_webhook,
    remove_webhook,
    resend,
    rotate_webhook,
)
from accounts.pages.settings import ActingPage, whole
from accounts.roles import Permission
from events.kinds import OF_NO_PROJECT, EventKind
from events.models import ALL_KINDS, Delivery, WebhookEndpoint
from promptforge.lib.errors import DomainError, wrong
from promptforge.lib.ids import decode, encode

PER_PAGE = 25
FORMATS = (
    ("standard", "Signed JSON", "The event as the API shows it, signed as Standard Webhooks has it."),
    ("slack", "A message", "One sentence and a link, as Slack and its like take them."),
)
EVERY_KIND = (ALL_KINDS, "Every kind", "Those too that a later release adds.")


class WebhooksPage(ActingPage):
    section = "settings_webhooks"
    needs = Permission.CONFIGURE
    made: NewSecret | None = None

    def get(self, request: HttpRequest) -> HttpResponse:
        if not self.may_change:
            return self.draw("accounts/webhooks.html", {})
        needs_one = self.made is None and self.act in ("change", "rotate", "remove", "log")
        chosen = self._chosen() if needs_one else None
        context = {
            "endpoints": list(self._endpoints().order_by("-pk")),
            "chosen": chosen,
            "formats": FORMATS,
            "kinds": _kinds_by_noun(),
            "every_kind": EVERY_KIND,
            "filled": self.typed or chosen,
            "events_chosen": self.typed.getlist("events") if self.typed else chosen.events if chosen else [],
            **(self._log(chosen) if chosen is not None and self.act == "log" else {}),
        }
        if self.made is None:
            return self.draw("accounts/webhooks.html", context)
        return self.draw_once("accounts/webhooks.html", context | {"made": self.made})

    def _endpoints(self) -> Any:
        return WebhookEndpoint.objects.standing().filter(project_id=self.principal.project.pk)

    def _chosen(self) -> WebhookEndpoint:
        pk = decode("whk", self.given.get("webhook", ""), "not_found")
        endpoint: WebhookEndpoint | None = self._endpoints().filter(pk=pk).first()
        if endpoint is None:
            raise DomainError("not_found", "There is no such webhook within reach.")
        return endpoint

    def _log(self, endpoint: WebhookEndpoint) -> dict[str, Any]:
        rows = Delivery.objects.filter(endpoint=endpoint).select_related("event").prefetch_related("attempts")
        before = self.request.GET.get("before", "")
        if before:
            rows = rows.filter(pk__lt=decode("dlv", before, "not_found"))
        found = list(rows.order_by("-pk")[: PER_PAGE + 1])
        shown = found[:PER_PAGE]
        for row in shown:
            row.newest = max(row.attempts.all(), key=lambda attempt: attempt.pk, default=None)  # type: ignore[attr-defined]
        return {"log": shown, "further": encode("dlv", shown[-1].pk) if len(found) > PER_PAGE else ""}

    def add(self) -> HttpResponse:
        self.made = create_webhook(by=self.principal, enabled=True, secret=None, **self._fields())
        return self.get(self.request)

    def change(self) -> HttpResponse:
        changed = change_webhook(by=self.principal, endpoint=self._chosen(), fields=self._fields())
        return self._back(f"The webhook to {changed.host} is changed.", "The next event goes there.")

    def _fields(self) -> Mapping[str, Any]:
        sent = self.request.POST
        if sent.get("format") not in WebhookEndpoint.Format.values:
            raise wrong("format", "Choose what the receiver gets: signed JSON, or a message.")
        return {"url": sent.get("url", "").strip(), "events": sent.getlist("events"), "format": sent["format"]}

    def enable(self) -> HttpResponse:
        return self._switch(enabled=True, then="What happens from now on is sent. What happened meanwhile is not.")

    def disable(self) -> HttpResponse:
        return self._switch(enabled=False, then="Nothing is sent, and nothing is noted to be sent later.")

    def _switch(self, *, enabled: bool, then: str) -> HttpResponse:
        endpoint = change_webhook(by=self.principal, endpoint=self._chosen(), fields={"enabled": enabled})
        return self._back(f"The webhook to {endpoint.host} is {'on' if enabled else 'off'}.", then)

    def test(self) -> HttpResponse:
        endpoint = self._chosen()
        check_webhook(by=self.principal, endpoint=endpoint)
        return self._to_log(endpoint, f"A test is on its way to {endpoint.host}.")

    def rotate(self) -> HttpResponse:
        hours = whole(self.request.POST, "overlap_hours", 0, LONGEST_OVERLAP_HOURS)
        self.made = rotate_webhook(by=self.principal, endpoint=self._chosen(), overlap_hours=hours)
        return self.get(self.request)

    def remove(self) -> HttpResponse:
        endpoint = self._chosen()
        remove_webhook(by=self.principal, endpoint=endpoint)
        return self._back(f"The webhook to {endpoint.host} is removed.", "Nothing is sent there any more.")

    def again(self) -> HttpResponse:
        """Send one delivery again."""
        pk = decode("dlv", self.request.POST.get("delivery", ""), "not_found")
        mine = Delivery.objects.filter(endpoint__in=self._endpoints(), pk=pk).select_related("endpoint")
        if (delivery := mine.first()) is None:
            raise DomainError("not_found", "There is no such delivery within reach.")
        resend(by=self.principal, delivery=delivery)
        return self._to_log(delivery.endpoint, "It is sent again, under the same id.")

    def _back(self, sentence: str, then: str) -> HttpResponse:
        return self.done(self._here(), sentence, then)

    def _to_log(self, endpoint: WebhookEndpoint, sentence: str) -> HttpResponse:
        log = f"{self._here()}?act=log&webhook={encode('whk', endpoint.pk)}"
        return self.done(log, sentence, "Load the page again in a moment to see what came of it.")

    def _here(self) -> str:
        return reverse("settings_webhooks", args=(self.principal.project.name,))

    acts = {
        "add": add,
        "change": change,
        "enable": enable,
        "disable": disable,
        "test": test,
        "rotate": rotate,
        "remove": remove,
        "again": again,
    }


def _kinds_by_noun() -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Every kind of event of a project, by what it is about: `promotion`, its value and its verb."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for kind in (kind.value for kind in EventKind if kind not in OF_NO_PROJECT):
        noun, _, verb = kind.partition(".")
        found.setdefault(noun, []).append((kind, verb, ""))
    return list(found.items())
