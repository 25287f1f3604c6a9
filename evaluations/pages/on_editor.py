"""What the editor shows of a try: what would be asked, and what the model answered to the draft and to what is live."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from accounts.pages.door import ProjectPage
from accounts.policies import Principal
from accounts.roles import Permission
from evaluations.actions.trials import try_draft
from evaluations.connecting import pricing
from evaluations.models import ConnectionRate, ModelConnection, Trial, TrialAnswer
from evaluations.models.trials import LONGEST_WAIT
from evaluations.pages.numbers import counted, lasting, money
from evaluations.prices import estimate
from evaluations.providers import Failure, most_tokens
from evaluations.sampling import Left, left_told
from evaluations.trying import CHANNEL, Asked, asked_of_draft, asked_of_live, live_version, own_trial
from promptforge.lib.errors import DomainError, shorten, wrong
from promptforge.lib.json import canonical_json
from promptforge.lib.verdicts import require
from prompts.actions.drafts import own_draft
from prompts.models import Prompt, PromptVersion
from prompts.pages import lint
from prompts.pages.edit import EditPage, values_of
from prompts.pages.typed import Typed
from prompts.reading import find_prompt

LONGEST_SHOWN = 20_000  # characters of one answer
USUAL_WAIT = timedelta(seconds=15)  # after which it is worth a word that no worker has taken a call up
SIDES = (TrialAnswer.Side.LIVE, TrialAnswer.Side.DRAFT)
_PASSING = frozenset({Failure.RATE_LIMITED, Failure.SERVER_ERROR, Failure.TIMEOUT, Failure.UNREACHABLE})


@dataclass(frozen=True)
class Shown:
    """One side of a try as the page shows it: its text, or in words where it is or why there is none."""

    side: str
    text: str = ""
    is_cut: bool = False
    says: str = ""
    figures: str = ""
    waits: bool = False
    failed: bool = False


@dataclass(frozen=True)
class Tried:
    """A try as the page shows it."""

    trial: Trial
    answers: list[Shown]
    is_live: bool  # whether the version that was asked is still what is live

    @property
    def waits(self) -> bool:
        return any(each.waits for each in self.answers)

    @property
    def news(self) -> str:
        """What a screen reader hears once nothing is waited for any more."""
        failed = sum(each.failed for each in self.answers)
        if failed == len(self.answers):
            return "There is no answer. " + " ".join(dict.fromkeys(each.says for each in self.answers))
        if failed:
            return "One answer is there, the other one failed."
        return "The answers are there." if len(self.answers) > 1 else "The answer is there."


def trial_part(
    principal: Principal,
    prompt: Prompt,
    seen: lint.Seen,
    live: PromptVersion | None,
    values: Mapping[str, str],
    chosen: str,
) -> dict[str, Any]:
    """The part of the page and what it needs. `live` is what is live in stable; `chosen` names a connection, or not."""
    connections = list(ModelConnection.objects.standing().filter(project=prompt.project_id).order_by("name"))
    trial = own_trial(principal, prompt)
    asked = {TrialAnswer.Side.DRAFT.value: asked_of_draft(seen.content, seen.variables, seen.config, values)}
    if live is not None:
        asked[TrialAnswer.Side.LIVE.value] = asked_of_live(live, values)
    if not chosen and len(connections) > 1:
        chosen = _last_used(principal)
    connection = next((each for each in connections if each.name == chosen), next(iter(connections), None))
    tried = None if trial is None else _tried(trial, live)
    return {
        "template": "evaluations/try_it.html",
        "connections": connections,
        "connection": connection,
        "channel": CHANNEL,
        "live": live,
        "only_live": [(name, values.get(name, "")) for name in _names(live) if name not in seen.names],
        "plan": _plan(connection, list(asked.values())) if connection else "",
        "left": _left(connection, list(asked.values())) if connection else [],
        "lacks": _lacks(seen, list(asked.values())),
        "tried": tried,
        "is_stale": trial is not None and _is_stale(trial, live, asked),
        "per_thousand": None if trial is None else _per_thousand(trial),
    }


class TryPage(EditPage):
    """The editor's form, sent to be tried: the draft is kept as by any of its buttons, then a worker asks."""

    def post(self, request: HttpRequest, name: str) -> HttpResponse:
        if request.POST.get("act") != "try":
            raise DomainError("bad_value", "The form does not say that the draft is to be tried.")
        kept = super().post(request, name)
        prompt = find_prompt(self.principal, name)
        draft = own_draft(self.principal, prompt)
        assert draft is not None  # it was kept just now
        seen = lint.look_at(Typed.of_draft(draft), self.principal)
        for refusal in seen.refusals:
            raise refusal
        try_draft(
            by=self.principal,
            draft=draft,
            content=seen.content,
            variables=seen.variables,
            config=seen.config,
            values=values_of(request.POST),
            connection=self._connection(request.POST.get("connection", "")),
        )
        kept["Location"] += "#try"
        return kept

    def _connection(self, name: str) -> ModelConnection:
        found = ModelConnection.objects.standing().filter(project=self.principal.project, name=name).first()
        if found is None:  # removed since the page was drawn; what is absent would take the editor away
            raise wrong("connection", f"No model is connected as {shorten(name)} any more. Choose another one.")
        return found


class TrialPage(ProjectPage):
    """The answers alone: what the editor asks for while a worker asks the model."""

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        prompt = find_prompt(self.principal, name)
        require(self.principal.may(Permission.EDIT, prompt))
        trial = own_trial(self.principal, prompt)
        tried = None if trial is None else _tried(trial, live_version(prompt))
        context = {
            "project": self.principal.project,
            "prompt": prompt,
            "trial": {"tried": tried, "channel": CHANNEL},
            "polled": True,
        }
        return render(request, "evaluations/try_answers.html", context)


def _tried(trial: Trial, live: PromptVersion | None) -> Tried:
    answers = {answer.side: answer for answer in trial.answers.all()}
    resumes = ConnectionRate.objects.filter(connection=trial.connection_id).values_list("resumes_at", flat=True).first()
    left = None if resumes is None else resumes - timezone.now()
    pause = left if left is not None and left > timedelta() else None
    found = [_shown(trial, answers[side], pause) for side in SIDES if side in answers]
    return Tried(trial, found, trial.live_version_id == (live.pk if live else None))


def _shown(trial: Trial, answer: TrialAnswer, pause: timedelta | None) -> Shown:
    if answer.output is not None:
        text = answer.output[:LONGEST_SHOWN]
        says = "" if text.strip() else "The model answered nothing at all."
        if answer.finish_reason == "length":
            says = "It ends here because it may not be longer: the limit of tokens was met."
        return Shown(answer.side, text, text != answer.output, says, _figures(answer))
    if answer.error:
        again = " Try again in a while." if answer.error in _PASSING or answer.error == "worker_ended" else ""
        return Shown(answer.side, says=f"{answer.error_detail}{again}", failed=True)
    now = timezone.now()
    if answer.leased_until is not None and answer.leased_until > now:
        return Shown(answer.side, says=f"{trial.connection.name} is asked …", waits=True)
    if answer.leased_until is not None:
        return Shown(answer.side, says="The worker that asked ended before the answer came. Try again.", failed=True)
    return _waiting(answer.side, now - trial.at, pause)


def _waiting(side: str, waited: timedelta, pause: timedelta | None) -> Shown:
    if waited > LONGEST_WAIT:
        return Shown(
            side,
            says=f"No worker took it up within {lasting(LONGEST_WAIT)}, so nothing was asked. Whoever runs PromptForge "
            "can see whether its worker runs; then try again.",
            failed=True,
        )
    if pause is not None:
        says = f"The provider asked to be left alone; it is asked in {lasting(pause)}."
    elif waited > USUAL_WAIT:
        says = (
            f"No worker has taken it up for {lasting(waited)}: evaluations keep the model busy, or no worker runs. "
            "Whoever runs PromptForge can tell."
        )
    else:
        says = "It waits for its turn …"
    return Shown(side, says=says, waits=True)


def _figures(answer: TrialAnswer) -> str:
    """`1.6 s, 20 words, $0.44 for 1,000 such calls`."""
    words = counted(len((answer.output or "").split()), "word")
    cost = "price unknown" if answer.cost_usd is None else "costs nothing"
    if answer.cost_usd:
        cost = f"{money(1000 * answer.cost_usd)} for 1,000 such calls"
    return f"{(answer.latency_ms or 0) / 1000:.1f} s, {words}, {cost}"


def _per_thousand(trial: Trial) -> str:
    """What a thousand calls with the draft would cost, by the one that was made; empty while nobody knows."""
    costs = [answer.cost_usd for answer in trial.answers.all() if answer.side == TrialAnswer.Side.DRAFT]
    return money(1000 * costs[0]) if costs and costs[0] is not None else ""


# --- Before it is asked ----------------------------------------------------------------------------------------------
def _last_used(principal: Principal) -> str:
    trials = Trial.objects.filter(draft__user=principal.user, connection__project=principal.project)
    return trials.order_by("-pk").values_list("connection__name", flat=True).first() or ""


def _names(live: PromptVersion | None) -> list[str]:
    return [declared["name"] for declared in live.variable_list] if live is not None else []


def _plan(connection: ModelConnection, asked: list[Asked]) -> str:
    """What pressing the button makes: answers for sure, money where the connection says its price."""
    answers = f"1 sample, {counted(len(asked), 'answer')}"
    # A table of prices is loaded by workers alone, so it is not asked here.
    known = connection.price_values is not None or connection.kind == ModelConnection.Kind.LOCAL
    costs = [
        estimate(pricing(connection), each.messages, most_tokens(each.parameters(connection))) if known else None
        for each in asked
    ]
    if any(cost is None for cost in costs):
        return f"{answers}; what they cost is told with them"
    total = sum(filter(None, costs), Decimal(0))
    return f"{answers}, at most about {money(total)}" if total else f"{answers}, free of charge"


def _left(connection: ModelConnection, asked: list[Asked]) -> list[str]:
    """What of the configs the model is not asked with, a sentence for each reason."""
    whose: dict[Left, list[str]] = {}
    for each in asked:
        for left in each.sampling(connection).left:
            whose.setdefault(left, []).append(f"{each.name[0].lower()}{each.name[1:]}’s config")
    return [left_told(left, "both configs" if len(names) > 1 else names[0]) for left, names in whose.items()]


def _lacks(seen: lint.Seen, asked: list[Asked]) -> list[str]:
    """Why it cannot be tried yet, in sentences."""
    if seen.refusals:
        return [f"The draft cannot be asked yet. {refusal.detail}" for refusal in seen.refusals]
    names = list(dict.fromkeys(name for each in asked for name in each.missing))
    if names:
        return [f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} no value that fits: give one first."]
    return [f"{each.name}: {each.refusal}" for each in asked if each.refusal is not None]


def _is_stale(trial: Trial, live: PromptVersion | None, asked: Mapping[str, Asked]) -> bool:
    """Whether what was asked is no longer what would be asked."""
    before = {answer.side: (answer.messages, answer.parameters) for answer in trial.answers.all()}
    now = {
        side: (canonical_json(each.messages), canonical_json(each.parameters(trial.connection)))
        for side, each in asked.items()
    }
    return before != now or trial.live_version_id != (live.pk if live else None)
