"""The drift watch: its references are of what it watches, its nights are judged once, its findings stay."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from evaluations.models import DriftFinding, DriftNight, DriftWatch, EvaluationRule, EvaluationRun
from tests.evaluations.rows import fill, finish, new_connection, new_run, new_set
from tests.guards.attacks import refused
from tests.personas import Team, make_team

JUDGED = json.dumps({"memory": {}})


class Watch:
    """Version 1 of a prompt is watched; `night` is a finished run against its reference, not judged yet."""

    def __init__(self, team: Team) -> None:
        self.team, self.prompt = team, team.prompt(versions=2)
        self.set, self.connection = new_set(team, self.prompt), new_connection(team)
        self.rule = EvaluationRule.objects.create(
            channel=team.stable, set=self.set, connection=self.connection, margin=0.1, created_by=team.cleo.user
        )
        self.reference = self.run("reference")
        self.row = self.watch()
        self.night = self.begin()

    def run(self, purpose: str, *, ends: bool = True, **fields: Any) -> EvaluationRun:
        same: dict[str, Any] = {
            "candidate": self.team.version(self.prompt, 1),
            "baseline": None,
            "channel": self.team.stable,
        }
        same |= {"connection": self.connection, "set": self.set} | fields
        made = new_run(self.team, same.pop("set"), self.prompt, purpose=purpose, **same)
        if ends:
            fill(made)
            finish(made, "PASS", None)
        return made

    def watch(self, **fields: Any) -> DriftWatch:
        same = {"rule": self.rule, "prompt": self.prompt, "version": self.team.version(self.prompt, 1)}
        return DriftWatch.objects.create(**same | {"reference": self.reference} | fields)

    def begin(self, **fields: Any) -> DriftNight:
        run = fields.pop("run", None) or self.run("drift")
        return DriftNight.objects.create(**{"watch": self.row, "reference": self.reference, "run": run} | fields)

    def judge(self, night: DriftNight) -> DriftNight:
        DriftNight.objects.filter(pk=night.pk).update(figures=JUDGED)
        return night

    def find(self, night: DriftNight, level: str, **fields: Any) -> DriftFinding:
        row = {"watch": self.row, "night": night, "level": level, "sentence": "The score is lower."}
        return DriftFinding.objects.create(**row | fields)


@pytest.fixture
def watch(team: Team) -> Watch:
    return Watch(team)


@pytest.mark.parametrize("what", ["purpose", "version", "set", "connection", "channel", "prompt"])
def test_a_reference_is_of_exactly_what_is_watched(watch: Watch, what: str) -> None:
    team = watch.team
    forged: dict[str, Any] = {}
    if what == "purpose":
        forged = {"reference": watch.run("comparison")}
    elif what == "version":
        forged = {"reference": watch.run("reference", candidate=team.version(watch.prompt, 2))}
    elif what == "set":
        forged = {"reference": watch.run("reference", set=new_set(team, name="easy"))}
    elif what == "connection":
        forged = {"reference": watch.run("reference", connection=new_connection(team, name="other"))}
    elif what == "channel":
        forged = {"reference": watch.run("reference", channel=None)}
    else:
        foreign = make_team("rival", preset="solo").prompt()
        forged = {"prompt": foreign, "version": foreign.versions.get(), "reference": None}
    with refused("watch_of_rule"):
        if what == "prompt":
            watch.watch(**forged)
        else:
            DriftWatch.objects.filter(pk=watch.row.pk).update(**forged)


def test_a_watch_stays_with_its_prompt(watch: Watch) -> None:
    other = watch.team.prompt("support/farewell")
    shared = new_set(watch.team, name="shared")
    rule = EvaluationRule.objects.create(
        channel=watch.team.stable, set=shared, connection=watch.connection, margin=0.1, created_by=watch.team.cleo.user
    )
    row = watch.watch(rule=rule, reference=None)
    with refused("watch_kept"):
        DriftWatch.objects.filter(pk=row.pk).update(prompt=other, version=other.versions.get())


@pytest.mark.parametrize("who", ["ada", "ben", "noor", "outsider"])
def test_a_drift_freezes_in_nobody_s_name_who_may_not(watch: Watch, who: str) -> None:
    person = getattr(watch.team, who)
    with refused("watch_freezes_by_right"):
        DriftWatch.objects.filter(pk=watch.row.pk).update(freezes_for=getattr(person, "user", person))


@pytest.mark.parametrize("what", ["purpose", "version", "reference", "judged"])
def test_a_night_is_a_run_against_the_watch_s_reference(watch: Watch, what: str) -> None:
    forged: dict[str, Callable[[], dict[str, Any]]] = {
        "purpose": lambda: {"run": watch.run("comparison")},
        "version": lambda: {"run": watch.run("drift", candidate=watch.team.version(watch.prompt, 2))},
        "reference": lambda: {"reference": watch.run("reference")},
        "judged": lambda: {"figures": JUDGED},
    }
    fields = forged[what]()
    with refused("night_of_watch"):
        watch.begin(**fields)


def test_a_night_is_judged_when_its_run_ended(watch: Watch) -> None:
    night = watch.begin(run=watch.run("drift", ends=False))
    with refused("night_judged_once"):
        watch.judge(night)


@pytest.mark.parametrize("forged", [{"figures": "{}"}, {"confirms": True}, {"figures": "null"}])
def test_a_night_is_judged_once(watch: Watch, forged: dict[str, Any]) -> None:
    watch.judge(watch.night)
    with refused("night_judged_once"):
        DriftNight.objects.filter(pk=watch.night.pk).update(**forged)


@pytest.mark.parametrize("what", ["not judged", "other watch", "silent"])
def test_a_finding_tells_what_a_night_came_to(watch: Watch, what: str) -> None:
    if what == "not judged":
        with refused("finding_of_night"):
            watch.find(watch.night, "notice")
        return
    night = watch.judge(watch.night)
    shared = new_set(watch.team, name="shared")
    rule = EvaluationRule.objects.create(
        channel=watch.team.stable, set=shared, connection=watch.connection, margin=0.1, created_by=watch.team.cleo.user
    )
    other = watch.watch(rule=rule, reference=None)
    with refused("finding_of_night"):
        watch.find(night, "notice", **({"sentence": " "} if what == "silent" else {"watch": other}))


@pytest.mark.parametrize("lack", ["confirmation", "suspicion"])
def test_no_drift_is_found_unconfirmed(watch: Watch, lack: str) -> None:
    first = watch.judge(watch.night)
    second = watch.judge(watch.begin(confirms=lack != "confirmation"))
    if lack == "confirmation":
        watch.find(first, "suspect")
    with refused("drift_is_confirmed"):
        watch.find(second, "drift")


def test_what_was_suspected_and_confirmed_is_found(watch: Watch) -> None:
    watch.find(watch.judge(watch.night), "suspect")
    watch.find(watch.judge(watch.begin(confirms=True)), "drift")
