"""Outputs: what models answered, found by what people have at hand, and where each answer came from."""

import json
from contextlib import suppress
from typing import Any

from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.pages.door import ProjectPage
from accounts.policies import Principal
from accounts.roles import Permission
from delivery import reading
from delivery.actions.cases import keep_as_case
from delivery.models import Feedback, Observation
from delivery.receipts import read_receipt
from evaluations.actions.sets import may_edit
from evaluations.models import EvaluationSet
from evaluations.set_reading import find_set, visible_sets
from promptforge.lib.errors import DomainError
from promptforge.lib.ids import encode
from promptforge.lib.json import canonical_json
from promptforge.lib.verdicts import require
from prompts.models import Release

MOST_SHOWN, MOST_FEEDBACK, MOST_SETS = 30, 50, 200
_SHOWN_WITH = ("prompt", "version", "channel")


class OutputsPage(ProjectPage):
    place = "outputs"

    def get(self, request: HttpRequest) -> HttpResponse:
        words = request.GET.get("q", "").strip()[:500]
        content = reading.content_prompts(self.principal)
        rows: list[Observation] = []
        try:
            with reading.bounded_search():
                rows = list(_found(self.principal, words, content))
        except DomainError as refusal:
            self.refusal = refusal
        return self.show(
            "delivery/outputs.html",
            {
                "words": words,
                "rows": [{"row": row, "is_readable": _may_read(row, content)} for row in rows],
                "is_everything_readable": content is None,
            },
            part="found",
            status=self.refusal.status if self.refusal else 200,
        )


class OutputPage(ProjectPage):
    """One answer: what was asked, which version answered, who made that live, and what was said of it."""

    place = "outputs"

    def get(self, request: HttpRequest, uid: str) -> HttpResponse:
        row = self._row(uid)
        is_readable = _may_read(row, reading.content_prompts(self.principal))
        release: Release | None = reading.release_behind(row)
        said = reading.feedback_about(Observation.objects.filter(pk=row.pk)).order_by("-at", "-id")[:MOST_FEEDBACK]
        return self.show(
            "delivery/output.html",
            {
                "row": row,
                "is_readable": is_readable,
                "asked": _asked(row) if is_readable else [],
                "variables": json.loads(row.variables) if is_readable and row.variables else {},
                "release": release,
                "approvals": reading.approvals(release.promotion_id) if release and release.promotion_id else [],
                "said": [_said(feedback) for feedback in said] if is_readable else [],
                "sets": self._sets(row) if is_readable else [],
            },
        )

    def post(self, request: HttpRequest, uid: str) -> HttpResponse:
        """The answer becomes a case of a set."""
        row, sent = self._row(uid), request.POST
        require(self.principal.may(Permission.READ_OBSERVATIONS, row.prompt))
        owner = find_set(self.principal, sent.get("set", ""))
        made = keep_as_case(
            by=self.principal,
            observation=row,
            owner=owner,
            expects=sent.get("expects") == "yes",
            critical=sent.get("critical") == "yes",
        )
        there = reverse("evaluation_set", args=(self.principal.project.name, encode("set", owner.pk)))
        return self.done(there, f"The output is the case {made}.", "Runs from now on ask it of every version.")

    def _row(self, uid: str) -> Observation:
        seen = reading.observations_of(self.principal).select_related(*_SHOWN_WITH, "key")
        row: Observation | None = seen.filter(uid=reading.uuid_of(uid)).first()
        if row is None:
            raise DomainError("not_found", "There is no such answer within reach.")
        return row

    def _sets(self, row: Observation) -> list[EvaluationSet]:
        """The sets that it may become a case of: those of its prompt first."""
        fitting = visible_sets(self.principal).filter(Q(prompt=row.prompt) | Q(prompt=None), archived_at=None)
        own, shared = may_edit(self.principal, row.prompt).allowed, may_edit(self.principal, None).allowed
        found = fitting.order_by(F("prompt").asc(nulls_last=True), "name")[:MOST_SETS]
        return [each for each in found if (own if each.prompt_id else shared)]


def _found(principal: Principal, words: str, content: frozenset[int] | None) -> QuerySet[Observation]:
    """By reference, receipt, trace, session or user, exactly; and if nothing has that name, by a part of the answer."""
    seen = reading.observations_of(principal).select_related(*_SHOWN_WITH).order_by("-at", "-id")
    if not words:
        return seen[:MOST_SHOWN]
    if (receipt := read_receipt(words)) is not None and receipt.project == principal.project.pk:
        return seen.filter(version=receipt.version, channel=receipt.channel, revision=receipt.revision)[:MOST_SHOWN]
    named = Q(trace_id=words) | Q(session_id=words) | Q(end_user=words)
    with suppress(DomainError):
        named |= Q(uid=reading.uuid_of(words))
    exact = seen.filter(named)
    if exact.exists() or content == frozenset():
        return exact[:MOST_SHOWN]
    return reading.saying(seen, words, principal, content)[:MOST_SHOWN]  # type: ignore[no-any-return]


def _may_read(row: Observation, content: frozenset[int] | None) -> bool:
    return content is None or row.prompt_id in content


def _asked(row: Observation) -> list[dict[str, Any]]:
    """The input as messages. A service may report any JSON: what is no list of messages is one, as it came."""
    given = json.loads(row.input) if row.input else []
    if isinstance(given, list) and all(isinstance(each, dict) and "content" in each for each in given):
        return [{"role": _in_words(each.get("role", "")), "content": _said_in(each)} for each in given]
    return [{"role": "", "content": _in_words(given)}]


def _said_in(message: dict[str, Any]) -> str:
    """What a message says; without a content, what else it holds: the tools that are called, say."""
    return _in_words(message if message["content"] is None else message["content"])


def _in_words(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _said(feedback: Feedback) -> dict[str, Any]:
    value = json.loads(feedback.value)
    words = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
    return {"name": feedback.name, "value": words, "comment": feedback.comment, "at": feedback.at}
