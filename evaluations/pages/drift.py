"""The drift watch: for each watched prompt what its model answers since the reference, drawn and in figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.pages.door import ProjectPage
from evaluations.actions.watches import change_watch, take_reference
from evaluations.drift_reading import newest_findings, nights_of, paused_nights, visible_watches, watch_to_set
from evaluations.models import DriftFinding, DriftNight, DriftWatch, EvaluationRun
from promptforge.lib.errors import DomainError, wrong

WATCHES, NIGHTS, LISTED = 50, 30, 8
WIDTH, HEIGHT, PAD = 320, 72, 6
_HOURS = ("24", "168")


class Dot(NamedTuple):
    """One night on the drawing, in its units."""

    x: float
    y: float
    level: str


@dataclass(frozen=True)
class Line:
    """One night in the table: each figure then and now."""

    night: DriftNight
    level: str
    score: str
    refusals: str
    length: str


@dataclass(frozen=True)
class Watched:
    watch: DriftWatch
    newest: DriftFinding | None
    lines: Sequence[Line]
    dots: Sequence[Dot]
    level_y: float | None
    says: str

    @property
    def path(self) -> str:
        return " ".join(f"{dot.x:g},{dot.y:g}" for dot in self.dots)


class DriftPage(ProjectPage):
    place = "evaluations"

    def get(self, request: HttpRequest, **_: Any) -> HttpResponse:
        watches = list(visible_watches(self.principal).order_by("-state", "prompt__name", "pk")[:WATCHES])
        watches.sort(key=lambda watch: ["drifted", "suspected", "quiet"].index(watch.state))
        newest, nights = newest_findings(watches), nights_of(watches, NIGHTS)
        paused = paused_nights(watches)
        asked = request.GET.get("ask", "") if self.may["configure"] else ""
        return self.show(
            "evaluations/drift.html",
            {
                "rows": [
                    _watched(watch, newest.get(watch.pk), nights.get(watch.pk, []), paused.get(watch.pk, ""))
                    for watch in watches
                ],
                "asked": asked or self.typed.get("watch", ""),
                "width": WIDTH,
                "height": HEIGHT,
                "title": _title(watches),
            },
        )

    def post(self, request: HttpRequest, **_: Any) -> HttpResponse:
        given = request.POST
        watch = watch_to_set(self.principal, given.get("watch", ""))
        act = given.get("act")
        here = reverse("drift", args=(self.principal.project.name,))
        if act == "bless":
            take_reference(by=self.principal, watch=watch, reason=given.get("reason", ""))
            return self.done(here, f"A new reference of {watch} is being taken.", "The old one stays in the history.")
        if act != "set":
            raise DomainError("bad_value", "The form does not say what to do.")
        if given.get("every_hours") not in _HOURS:
            raise wrong("every_hours", "Each night or each week.", "bad_value")
        wanted = {"enabled": "enabled" in given, "freezes_channel": "freezes_channel" in given}
        change_watch(by=self.principal, watch=watch, fields=wanted | {"every_hours": int(given["every_hours"])})
        return self.done(here, f"{watch} is watched as you said.", "")


def _title(watches: Sequence[DriftWatch]) -> str:
    drifted = sum(watch.state == DriftWatch.State.DRIFTED for watch in watches)
    if drifted:
        return f"{drifted} of {len(watches)} watched models drifted"
    return f"No drift in {len(watches)} watched prompts" if watches else "Nothing is watched yet"


def _watched(watch: DriftWatch, newest: DriftFinding | None, nights: Sequence[DriftNight], paused: str) -> Watched:
    current = [night for night in nights if night.reference_id == watch.reference_id]
    lines = [_line(night) for night in current]
    means = [(night.figures_object or {}).get("means", {}).get("score") for night in current]
    drawn = [(line, mean) for line, mean in zip(lines, means, strict=True) if mean]
    step = (WIDTH - 2 * PAD) / max(1, len(drawn) - 1)
    dots = [Dot(round(PAD + number * step, 1), _y(mean[1]), line.level) for number, (line, mean) in enumerate(drawn)]
    says = "Nothing was measured since the reference yet."
    if drawn:
        now, then = drawn[-1][1][1], drawn[0][1][0]
        says = f"The score of {len(drawn)} runs: {now:.0%} in the newest, {then:.0%} in the reference."
    level_y = _y(drawn[0][1][0]) if drawn else None
    return Watched(watch, newest, lines[::-1][:LISTED], dots, level_y, _state_says(watch, paused) or says)


def _state_says(watch: DriftWatch, paused: str) -> str:
    """Why nothing is measured, if so; `paused` is why the night under way waits."""
    reference = watch.reference
    if watch.why_not:
        return watch.why_not
    if reference is None or reference.status in ("queued", "running"):
        return "The reference is being taken."
    if reference.status == EvaluationRun.Status.PAUSED:
        return f"The reference waits: {reference.pause_reason}"
    if reference.outcome not in ("PASS", "FAIL"):
        return "The reference could not be measured. Take another one."
    if paused:
        return f"The newest run waits: {paused} The next one takes its place when it is due."
    return ""


def _y(share: float) -> float:
    return round(PAD + (1 - share) * (HEIGHT - 2 * PAD), 1)


def _line(night: DriftNight) -> Line:
    figures = night.figures_object or {}
    means = figures.get("means", {})
    levels = figures.get("levels", [])
    level = next((each for each in ("drift", "suspect", "cleared", "notice") if each in levels), "")
    score, refusals = (_share(means.get(name)) for name in ("score", "refusals"))
    return Line(night, level, score, refusals, _longer(means.get("length")))


def _share(mean: Sequence[float] | None) -> str:
    return "–" if mean is None else f"{mean[1]:.0%}"


def _longer(mean: Sequence[float] | None) -> str:
    """How much longer or shorter answers are than in the reference."""
    if mean is None:
        return "–"
    change = 100 * math.expm1(mean[1] - mean[0])
    return "as then" if abs(change) < 1 else f"{change:+.0f} %".replace("-", "−")
