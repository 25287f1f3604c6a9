"""What a run says, in the words of its page: verdict, facts, plan, judge, and what happens now."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from evaluations import tone
from evaluations.asked_with import in_words, not_applied, sent_by_arm, versions_of
from evaluations.evidence import Evidence
from evaluations.models import Arm, EvaluationRun
from evaluations.pages.intervals import Plot, plot_of_length, plot_of_points
from evaluations.pages.numbers import counted, lasting, money, percent, points
from evaluations.planning import advisory_of, plan_of
from evaluations.run_reading import Progress
from evaluations.statistics import Plan

Status, Outcome = EvaluationRun.Status, EvaluationRun.Outcome
# Outcome or status -> the shape of its badge, and its word.
CHIPS: Mapping[str, tuple[str, str]] = {
    Outcome.PASS: ("passed", "Passed"),
    Outcome.FAIL: ("failed", "Failed"),
    Outcome.INCONCLUSIVE: ("advice", "Cannot tell yet"),
    Outcome.NOT_COMPARABLE: ("stale", "Not comparable"),
    Outcome.INCOMPLETE: ("stale", "Incomplete"),
    Status.QUEUED: ("waiting", "Waits to begin"),
    Status.RUNNING: ("running", "Running"),
    Status.PAUSED: ("waiting", "Paused"),
    Status.CANCELLED: ("not_required", "Cancelled"),
}
OPEN = (Status.QUEUED, Status.RUNNING, Status.PAUSED)
_ENDINGS: Mapping[str, str] = {
    "rate_limited": "turned away by the provider",
    "timeout": "no answer in time",
    "server_error": "an error of the provider",
    "unreachable": "the provider could not be reached",
    "bad_key": "the key was refused",
    "bad_request": "the provider refused the question",
    "bad_answer": "an answer that could not be read",
    "too_large": "an answer that was too large",
    "url_not_allowed": "the address is not allowed",
    "wrong_model": "answered by another model",
    "judge": "the judge gave no verdict",
    "unmeasured": "a criterion could not be measured",
    "not_called": "never asked, the calls were used up",
}


class Fact(NamedTuple):
    name: str
    value: str
    says: str


class Held(NamedTuple):
    """One thing that must hold, as `parts/checks.html` shows it."""

    conclusion: str
    title: str
    word: str
    summary: str
    href: str = ""
    action: str = ""


@dataclass(frozen=True)
class Moved:
    """A feature of tone that moved: `Warmer`, `sentiment 0.10 → 0.51`, with sentences that show it."""

    title: str
    figures: str
    examples: Sequence[str]
    is_of_old: bool


@dataclass(frozen=True)
class Told:
    """Everything of a verdict that the page shows, in words and places."""

    heading: str
    rest: str
    points: Plot | None
    length: Plot | None
    guards: Sequence[Held]
    tone: Sequence[Moved]
    advice: str


def chip(run: EvaluationRun) -> tuple[str, str]:
    return CHIPS[run.outcome or run.status]


def told(run: EvaluationRun) -> Told:
    verdict = run.verdict_object or {}
    heading, rest = _split(str(verdict.get("sentence", "")))
    plan = plan_of(run)
    return Told(
        heading=heading or _unfinished(run),
        rest=rest,
        points=plot_of_points(verdict),
        length=plot_of_length(verdict, plan.length_ratio),
        guards=[_guard(row) for row in verdict.get("guardrails", ())],
        tone=[_moved(row) for row in verdict.get("tone", ())],
        advice=str(verdict.get("advice", "")),
    )


def _split(sentence: str) -> tuple[str, str]:
    """The verdict as a heading, and the figures behind it: what stands after the first colon of its first sentence."""
    first, dot, more = sentence.partition(". ")
    head, colon, figures = first.partition(": ")
    if not colon:
        return first.removesuffix("."), more
    rest = f"{figures[:1].upper()}{figures[1:]}{dot}{more}"
    return head, rest


def _unfinished(run: EvaluationRun) -> str:
    if run.status == Status.CANCELLED:
        return "Cancelled before it could say anything"
    against = f" with version {run.baseline.number}" if run.baseline is not None else " with what is asked"
    verb = {Status.QUEUED: "is about to be", Status.RUNNING: "is being", Status.PAUSED: "was being"}
    return f"Version {run.candidate.number} {verb[Status(run.status)]} compared{against}"


# --- Facts ------------------------------------------------------------------------------------------------------------
def facts(run: EvaluationRun, progress: Progress, cases: int, whole: int) -> list[Fact]:
    """The row under the title. `whole` counts the cases of which every answer has a score."""
    verdict = run.verdict_object or {}
    repeats = int(verdict.get("repeats") or plan_of(run).looks[min(run.look, len(plan_of(run).looks) - 1)])
    arms = "case and version" if run.baseline_id is not None else "case"
    missing = "all scored" if whole == cases else f"{whole:,} scored, {cases - whole:,} not"
    cost, says = _cost(run)
    took = None
    if run.started_at is not None and run.finished_at is not None:
        took = run.finished_at - run.started_at
    found = [
        Fact("Cases", f"{cases:,}", missing if run.status == Status.DONE else run.set_revision.set.name),
        Fact("Answers", f"{progress.done:,}", f"{repeats} per {arms}" if repeats else ""),
    ]
    length = next((row for row in verdict.get("guardrails", ()) if row["kind"] == "length"), None)
    if length is not None and length["delta"] is not None:
        limit = f"limit {percent(plan_of(run).length_ratio - 1)} longer"
        found.append(Fact("Length", _length(length["delta"]), limit))
    found.append(Fact("Cost", cost, says))
    found.append(Fact("Calls", f"{run.calls:,}", f"at most {run.max_calls:,}"))
    if took is not None:
        found.append(Fact("Took", lasting(took), "from the first call"))
    return found


def _cost(run: EvaluationRun) -> tuple[str, str]:
    ceiling = "no ceiling of its own" if run.max_cost_usd is None else f"ceiling {money(run.max_cost_usd)}"
    if run.unpriced_calls:
        return "Unknown", f"{counted(run.unpriced_calls, 'call')} at a price that nobody knows"
    return money(run.cost_usd).capitalize(), ceiling


def _length(ratio: float) -> str:
    if 0.995 <= ratio <= 1.005:
        return "The same"
    return f"{percent(abs(ratio - 1))} {'longer' if ratio > 1 else 'shorter'}"


# --- What must hold, and how it sounds --------------------------------------------------------------------------------
_GUARDS = {"length": "Length", "refusals": "Refusals", "cases": "No case is broken"}
_HELD: Mapping[str, tuple[str, str]] = {
    "PASS": ("passed", "Holds"),
    "FAIL": ("failed", "Broken"),
    "INCONCLUSIVE": ("advice", "Cannot tell"),
}


def _guard(row: Mapping[str, Any]) -> Held:
    shape, word = _HELD.get(row["outcome"], ("stale", "Not measured"))
    name = _GUARDS.get(row["kind"], row["name"])
    return Held(shape, name, word, row["sentence"])


def _moved(row: Mapping[str, Any]) -> Moved:
    feature, rose = tone.FEATURES.get(row["feature"]), row["delta"] > 0
    if feature is None:  # a feature that this version of PromptForge no longer measures
        return Moved(row["feature"], f"{row['baseline']:.2f} → {row['candidate']:.2f}", row.get("examples", ()), False)
    word = feature.more if rose else feature.less
    if feature.unit == "share of answers":
        figures = f"{percent(row['baseline'])} → {percent(row['candidate'])} of answers"
    else:
        figures = f"{_figure(row['baseline'])} → {_figure(row['candidate'])} {_unit(feature)}"
    is_of_old = not rose and not feature.shows_low
    return Moved(f"{word[:1].upper()}{word[1:]}", figures, row.get("examples", ()), is_of_old)


def _unit(feature: tone.Feature) -> str:
    return {"-1 to 1": "(−1 cold, 1 warm)", "ARI": "(school grade)"}.get(feature.unit, feature.unit)


def _figure(value: float) -> str:
    text = f"{value:.0f}" if abs(value) >= 20 else f"{value:.1f}" if abs(value) >= 1 else f"{value:.2f}"
    return text.replace("-", "−")


# --- How it was measured ----------------------------------------------------------------------------------------------
def measured(run: EvaluationRun) -> list[tuple[str, str]]:
    """What the verdict was agreed on before the first call, and who answered: each with its name."""
    plan, verdict = plan_of(run), run.verdict_object or {}
    model = json.loads(run.settings).get("model", "")
    rows = [
        ("Set", f"{run.set_revision.set.name}, revision {run.set_revision.number}"),
        ("Asked of", f"{run.connection.name}{f', {model}' if model else ''}"),
        ("Parameters", _parameters(run)),
        ("Looks", _looks(plan, run)),
        ("Margin", f"{points(plan.margin)}: more than that is too much worse"),
        ("It speaks of", _estimand(plan)),
        ("Judge", _judge(run, verdict)),
    ]
    if left := not_applied(run):
        rows.insert(3, ("Not applied", " ".join(left)))
    models = {name for counted in verdict.get("models", {}).values() for name in counted}
    if models and models != {model}:
        rows.append(("Answered by", ", ".join(sorted(models))))
    if verdict.get("cached"):
        rows.append(("From memory", f"{counted(verdict['cached'], 'answer')} that the same question got today"))
    rows.append(("Started by", str(run.created_by)))
    return rows


def _parameters(run: EvaluationRun) -> str:
    """`temperature 0.2, max_tokens 300`; of each version where they were asked differently."""
    sent, versions = sent_by_arm(run), versions_of(run)
    told = {arm: in_words(parameters) for arm, parameters in sent.items()}
    if len(set(told.values())) == 1:
        return told[Arm.CANDIDATE]
    return "; ".join(f"version {versions[arm].number}: {words}" for arm, words in told.items())


def _looks(plan: Plan, run: EvaluationRun) -> str:
    planned = [str(each) for each in plan.looks]
    if len(planned) == 1:
        return f"one, at {counted(plan.looks[0], 'repeat')} of each case"
    at = f"{', '.join(planned[:-1])} and {planned[-1]}"
    return f"up to {len(planned)}, at {at} repeats of each case; look {run.look + 1} {_look_verb(run)}"


def _look_verb(run: EvaluationRun) -> str:
    return "settled it" if run.outcome in (Outcome.PASS, Outcome.FAIL) else "was the last" if run.outcome else "is on"


def _estimand(plan: Plan) -> str:
    if plan.estimand == "these cases":
        return "exactly these cases; they are too few to stand for all traffic"
    return "traffic like these cases"


def _judge(run: EvaluationRun, verdict: Mapping[str, Any]) -> str:
    if run.judge is None:
        return "none; every criterion is computed"
    advisory = advisory_of(run)
    counts = "calibrated: it agrees with people beyond chance, so it counts"
    if advisory:
        counts = f"only advises on {', '.join(advisory)}: not calibrated yet with 30 labels that it agrees with"
    flips = verdict.get("judge_flips")
    told = ""
    if flips:
        told = f"; contradicted itself on {flips['hits']} of {flips['of']} answers that it saw twice"
    return f"{run.judge.name}, {counts}{told}"


def unscored(run: EvaluationRun) -> str:
    """How many answers could not be scored, and why; they count as neither right nor wrong."""
    verdict = run.verdict_object or {}
    lost = sum(verdict.get("unscored", {}).values())
    if not lost:
        return ""
    why = ", ".join(f"{number:,} {_ENDINGS.get(kind, kind.replace('_', ' '))}" for kind, number in _errors(verdict))
    reasons = f": {why}" if why else ""
    return f"{counted(lost, 'answer')} could not be scored{reasons}. They count as neither right nor wrong."


def _errors(verdict: Mapping[str, Any]) -> Iterable[tuple[str, int]]:
    return sorted(verdict.get("errors", {}).items(), key=lambda pair: -pair[1])


def before(earlier: Sequence[EvaluationRun]) -> str:
    """What exactly the same came to before: asked again until luck has it is no way to pass."""
    if not earlier:
        return "None: this is the first on exactly this."
    outcomes = [CHIPS[each.outcome or each.status][1].lower() for each in earlier]
    return f"{counted(len(earlier), 'attempt')} before on exactly the same: {', '.join(outcomes)}."


# --- Progress ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Live:
    """How far an open run is."""

    done: int
    total: int
    share: int
    says: str
    left: str


def live(run: EvaluationRun, progress: Progress) -> Live:
    ended = progress.done + progress.unscored
    share = 0 if not progress.total else round(100 * ended / progress.total)
    parts = [f"{ended:,} of {progress.total:,} answers of look {run.look + 1} of at most {progress.looks}"]
    if progress.unscored:
        parts.append(f"{progress.unscored:,} not scored")
    if progress.calling:
        parts.append(f"{progress.calling:,} under way")
    left = ""
    if progress.rate and progress.seconds_left is not None:
        left = f"{progress.rate:.1f} answers a second; about {lasting(progress.seconds_left)} left in this look."
    elif run.status == Status.QUEUED:
        left = "It begins when a worker is free."
    return Live(ended, progress.total, share, ", ".join(parts) + ".", left)


# --- What happens now -------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Now:
    """Where the run counts: a promotion, in words, with its address."""

    promotion: Any
    says: str


def counts_for(run: EvaluationRun, promotion: Any, evidence: Sequence[Evidence]) -> Now:
    channel, number = promotion.channel, promotion.version.number
    mine = next((each for each in evidence if run.pk in (each.run_id, each.going_id)), None)
    if mine is None:
        if any(each.run_id or each.going_id for each in evidence):
            return Now(promotion, f"{channel} goes by a newer or another run for version {number}.")
        return Now(promotion, f"{channel} asks for no evaluation like this one, so it only informs.")
    if mine.going_id == run.pk:
        return Now(promotion, f"The promotion of version {number} to {channel} waits for it.")
    return Now(promotion, _consequence(mine, str(channel), number))


def _consequence(mine: Evidence, channel: str, number: int) -> str:
    return {
        "PASS": f"It opens the gate: as far as this set goes, version {number} may go live in {channel}.",
        "FAIL": f"It holds version {number} back from {channel}. Mend the prompt and save a new version.",
        "INCONCLUSIVE": (
            f"It neither opens nor closes the gate of {channel}: one approval more than usual, "
            "whose reason says why it may go live, settles it."
        ),
        "EXPIRED": f"It has grown too old to count for {channel}. Run it again.",
    }.get(mine.outcome or "", f"It is no pass, so {channel} still waits for one. Run it again.")
