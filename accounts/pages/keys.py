"""API keys: which there are, what each opens, making one, its successor, and its end."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date

from accounts.actions.api_keys import LONGEST_OVERLAP_HOURS, NewKey, create_key, revoke_key, rotate_key
from accounts.models import ApiKey
from accounts.pages.settings import ActingPage, lines, whole
from accounts.roles import Permission, Scope
from accounts.sign_in import require_recent_sign_in
from promptforge.lib.errors import DomainError, shorten, wrong
from promptforge.lib.ids import decode

PER_PAGE, MOST_ENDED = 50, 20
MOST_FETCHES = 1_000_000
SCOPES_IN_WORDS = {
    Scope.PROMPTS_READ: ("Fetch prompts", "Fetches and renders them; reads versions, differences and ledgers."),
    Scope.VERSIONS_WRITE: ("Save versions", "Makes prompts and saves versions of them."),
    Scope.PROMOTIONS_WRITE: ("Ask for promotions", "Opens and withdraws them. A key never reviews."),
    Scope.RELEASES_WRITE: ("Release", "Promotes where it may, applies approved promotions, rolls back."),
    Scope.EVALUATIONS_RUN: ("Run evaluations", "Keeps sets and starts runs."),
    Scope.OBSERVATIONS_WRITE: ("Report answers", "Sends what a model answered."),
    Scope.OBSERVATIONS_READ: ("Read answers", "Reads what models answered, word for word."),
    Scope.FEEDBACK_WRITE: ("Report feedback", "Sends what people said of an answer."),
    Scope.AUDIT_READ: ("Read the audit trail", "Reads who did what, and when."),
    Scope.MANAGE: ("Manage the project", "Sets channels, policies, members, webhooks and other keys."),
}


class KeysPage(ActingPage):
    section = "settings_keys"
    needs = Permission.ADMINISTER
    made: NewKey | None = None

    def get(self, request: HttpRequest) -> HttpResponse:
        context = self._keys(request) if self.may_change else {}
        if self.made is None:
            return self.draw("accounts/keys.html", context)
        return self.draw_once("accounts/keys.html", context | {"made": self.made, "address": self._address()})

    def _keys(self, request: HttpRequest) -> dict[str, Any]:
        now = timezone.now()
        has_ended = Q(revoked_at__isnull=False) | Q(expires_at__lte=now) | Q(service_account__is_active=False)
        mine = ApiKey.objects.filter(project=self.principal.project).select_related("created_by").order_by("-pk")
        ended = list(mine.filter(has_ended)[: MOST_ENDED + 1])
        return {
            "page": Paginator(mine.exclude(has_ended), PER_PAGE).get_page(request.GET.get("page")),
            "ended": ended[:MOST_ENDED],
            "more_ended": len(ended) > MOST_ENDED,
            "scope_choices": [(scope.value, *words) for scope, words in SCOPES_IN_WORDS.items()],
            "scope_words": {scope.value: words[0] for scope, words in SCOPES_IN_WORDS.items()},
            "channel_choices": [*self._channels(), "latest", "pinned"],
            "scopes_chosen": self.typed.getlist("scopes"),
            "channels_chosen": self.typed.getlist("channels"),
            "chosen": self._chosen() if self.act in ("rotate", "revoke") and self.made is None else None,
            "today": now.date().isoformat(),
        }

    def _channels(self) -> list[str]:
        return list(self.principal.project.channel_set.order_by("position", "pk").values_list("name", flat=True))

    def _address(self) -> str:
        return f"{self.request.scheme}://{self.request.get_host()}"

    def _chosen(self) -> ApiKey:
        pk = decode("key", self.given.get("key", ""), "not_found")
        if (key := ApiKey.objects.filter(project=self.principal.project, pk=pk).first()) is None:
            raise DomainError("not_found", "There is no such key within reach.")
        return key

    def make(self) -> HttpResponse:
        require_recent_sign_in(self.request)
        sent = self.request.POST
        self.made = create_key(
            project=self.principal.project,
            name=sent.get("name", "").strip(),
            scopes=sent.getlist("scopes"),
            channels=sent.getlist("channels"),
            prompts=lines(sent.get("prompts", "")),
            expires_at=_end_of(sent.get("expires_at", "")),
            rate_fetch=whole(sent, "rate_fetch", 1, MOST_FETCHES) if sent.get("rate_fetch", "").strip() else None,
            responsible=self.principal.user,
            by=self.principal,
        )
        return self.get(self.request)

    def rotate(self) -> HttpResponse:
        require_recent_sign_in(self.request)
        hours = whole(self.request.POST, "overlap_hours", 0, LONGEST_OVERLAP_HOURS)
        self.made = rotate_key(key=self._chosen(), overlap_hours=hours, by=self.principal)
        return self.get(self.request)

    def revoke(self) -> HttpResponse:
        key = revoke_key(key=self._chosen(), by=self.principal)
        here = reverse("settings_keys", args=(self.principal.project.name,))
        return self.done(here, f"The key {key.name} is revoked.", "The next request with it is refused.")

    acts = {"make": make, "rotate": rotate, "revoke": revoke}


def _end_of(text: str) -> datetime | None:
    """The end of the day that a field names, in UTC; nothing for an empty field."""
    if not text.strip():
        return None
    try:
        day: date | None = parse_date(text.strip())
    except ValueError:
        day = None
    if day is None or day == date.max:
        raise wrong("expires_at", f"{shorten(text)} is no day. Write it as 2027-01-31.")
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=UTC)
