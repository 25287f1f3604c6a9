"""History: what was live at an instant, the ledger, and the audit trail, each also as a file."""

from collections.abc import Iterator
from datetime import UTC
from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from accounts.pages.door import ProjectPage
from events.kinds import EventKind
from events.models import EventSeal
from events.telling import tell
from promptforge.lib.csv_answers import csv_answer
from promptforge.lib.errors import DomainError
from promptforge.lib.instants import format_instant
from prompts.models import Channel, Prompt, Release
from prompts.pages import listing, past
from prompts.pages.timeline import move
from prompts.verification import releases_hold, seals_hold

PER_PAGE, ROWS_AFTER, AT_ONCE = 25, 5, 500


class HistoryPage(ProjectPage):
    place = "history"

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            asked = past.read(request.GET)
            prompts = past.prompts_of(self.principal, asked.of)
            answer = self._answer(prompts, asked) if asked.at else {}
        except DomainError as refusal:
            if not refusal.faults and refusal.code != "channel_not_found":
                raise
            # Everything that was asked stands in the form again, beside what is wrong with it.
            self.refusal, self.typed = refusal, request.GET
            asked, answer = past.read({}), {}
            prompts = past.prompts_of(self.principal, "")
        tab = "trail" if request.GET.get("show") == "trail" else "ledger"
        return self.show(
            "prompts/history.html",
            {
                "asked": asked,
                "given": request.GET,
                "channels": Channel.objects.filter(project=self.principal.project).order_by("position", "pk"),
                "folders": sorted(listing.folders(Prompt.objects.visible_to(self.principal))),
                "tab": tab,
                "tabs": [("ledger", "Ledger"), ("trail", "Audit trail")],
                "kinds": EventKind.choices,
                **answer,
                **(self._trail(request) if tab == "trail" else self._ledger(request, prompts, asked)),
            },
            part="rows",
            status=self.refusal.status if self.refusal else 200,
        )

    def _answer(self, prompts: QuerySet[Prompt], asked: past.Asked) -> dict[str, Any]:
        page = Paginator(past.live_at(self.principal, prompts, asked), PER_PAGE).get_page(self.request.GET.get("page"))
        page.object_list = past.told(list(page.object_list))
        return {"answer": page, "instant": f"{asked.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if asked.at else ""}

    @staticmethod
    def _ledger(request: HttpRequest, prompts: QuerySet[Prompt], asked: past.Asked) -> dict[str, Any]:
        rows = past.ledger(prompts, asked)
        if (before := _number(request.GET.get("before"))) is not None:
            rows = rows.filter(pk__lt=before)
        found = past.whole(rows[: PER_PAGE + 1])
        shown = found[:PER_PAGE]
        after: list[Release] = []
        if asked.at is not None and before is None:
            everything = past.ledger(prompts, past.read({})).filter(at__gt=asked.at)
            after = past.whole(everything.order_by("pk")[:ROWS_AFTER])
        return {
            "ledger": [*after, *shown],
            "is_after": {row.pk for row in after},
            "further": shown[-1].pk if len(found) > PER_PAGE else None,
            "fault": releases_hold([*after, *shown]),
            "checked": len(after) + len(shown),
        }

    def _trail(self, request: HttpRequest) -> dict[str, Any]:
        seals = _seals(self.principal.project.pk, request.GET.get("kind", ""))
        if (before := _number(request.GET.get("before"))) is not None:
            seals = seals.filter(seq__lt=before)
        found = list(seals[: PER_PAGE + 1])
        shown = found[:PER_PAGE]
        suffix = f" ({self.principal.project})."
        return {
            "trail": [
                {"seal": seal, "sentence": told.sentence.removesuffix(suffix)}
                for seal, told in zip(shown, tell(shown), strict=True)
            ],
            "kind": request.GET.get("kind", ""),
            "further": shown[-1].seq if len(found) > PER_PAGE else None,
            "fault": seals_hold(shown),
            "checked": len(shown),
        }


class HistoryFile(ProjectPage):
    """The same three tables whole, as CSV."""

    def get(self, request: HttpRequest, what: str) -> HttpResponseBase:
        asked = past.read(request.GET)
        if what == "trail":
            head: tuple[str, ...] = ("number", "at", "kind", "what happened", "digest")
            return csv_answer(what, head, self._trail(request.GET.get("kind", "")))
        prompts = past.prompts_of(self.principal, asked.of)
        if what == "ledger":
            head = ("at", "channel", "what", "prompt", "version", "why", "who", "revision", "digest")
            return csv_answer(what, head, map(_line, past.with_all(past.ledger(prompts, asked)).iterator(AT_ONCE)))
        if asked.at is None:
            raise DomainError("field_required", "Say of which moment: ?date=2026-11-17&time=10:00.")
        head = ("prompt", "channel", "version", "since", "until", "by", "why")
        return csv_answer("live", head, self._live(past.live_at(self.principal, prompts, asked)))

    @staticmethod
    def _live(ids: list[int]) -> Iterator[tuple[Any, ...]]:
        for begin in range(0, len(ids), AT_ONCE):
            for row in past.told(ids[begin : begin + AT_ONCE]):
                until = format_instant(row.until) if row.until else ""
                since = format_instant(row.at)
                yield row.prompt.name, row.channel.name, row.version.number, since, until, row.actor, row.reason

    def _trail(self, kind: str) -> Iterator[tuple[Any, ...]]:
        seals, before = _seals(self.principal.project.pk, kind), None
        while some := list((seals if before is None else seals.filter(seq__lt=before))[:AT_ONCE]):
            for seal, told in zip(some, tell(some), strict=True):
                digest = bytes(seal.digest).hex()
                yield seal.seq, format_instant(seal.event.at), seal.event.kind, told.sentence, digest
            before = some[-1].seq


def _seals(project: int, kind: str) -> QuerySet[EventSeal]:
    seals = EventSeal.objects.filter(project_id=project).select_related("event").order_by("-seq")
    return seals.filter(event__kind=kind) if kind in EventKind.values else seals


def _line(row: Release) -> tuple[Any, ...]:
    return (
        format_instant(row.at),
        row.channel.name,
        move(row),
        row.prompt.name,
        row.version.number,
        row.reason,
        row.actor,
        row.revision,
        bytes(row.digest).hex(),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 19 else None
