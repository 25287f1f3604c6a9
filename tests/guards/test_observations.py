"""Observations and feedback: nothing is put under another project's name, whatever SQL is sent."""

import uuid
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import ApiKey
from delivery.models import Feedback, Observation
from tests.guards.attacks import refused
from tests.personas import Team, make_team


def observation(team: Team, **fields: Any) -> Observation:
    prompt = team.project.prompt_set.first() or team.prompt()
    key = ApiKey.objects.filter(project=team.project).first()
    if key is None:
        team.key("observations:write")
        key = ApiKey.objects.get(project=team.project)
    row = {"project": team.project, "uid": uuid.uuid4(), "prompt": prompt, "version": team.version(prompt, 1)}
    return Observation.objects.create(**row | {"key": key, "at": timezone.now(), "channel": team.stable} | fields)


def feedback(team: Team, **fields: Any) -> Feedback:
    key = ApiKey.objects.get(project=team.project)
    return Feedback.objects.create(**{"project": team.project, "name": "thumb", "value": "true", "key": key} | fields)


@pytest.mark.parametrize("field", ["project", "prompt", "version", "channel", "key", "sibling"])
def test_an_observation_names_its_own_project_s_things(team: Team, field: str) -> None:
    """`sibling`: another prompt of the same project, whose version it is not."""
    rival = make_team("rival", preset="solo")
    theirs, mine = observation(rival), observation(team)
    other = {"prompt": team.prompt("support/farewell")} if field == "sibling" else {field: getattr(theirs, field)}
    with refused("observation_of_its_project"):
        observation(team, **other)
    with refused("observation_of_its_project"):  # also in the middle of good ones
        Observation.objects.bulk_create(
            Observation(
                project=row.get("project", mine.project),
                uid=uuid.uuid4(),
                prompt=row.get("prompt", mine.prompt),
                version=row.get("version", mine.version),
                channel=row.get("channel", mine.channel),
                key=row.get("key", mine.key),
                at=mine.at,
            )
            for row in ({}, other, {})
        )


def test_an_id_is_taken_once_in_a_project(team: Team) -> None:
    first = observation(team)
    with refused("observation_once"):
        observation(team, uid=first.uid)
    observation(make_team("rival", preset="solo"), uid=first.uid)


@pytest.mark.parametrize("forged", [{"arm": "left"}, {"latency_ms": -1.0}, {"cost_usd": -1}, {"input_tokens": -1}])
def test_figures_make_sense(team: Team, forged: dict[str, Any]) -> None:
    name = {"arm": "observation_arm_known", "input_tokens": "delivery_observation_input_tokens_check"}
    with refused(name.get(next(iter(forged)), "observation_figures")):
        observation(team, **forged)


@pytest.mark.parametrize("about", ["foreign", "absent", "foreign trace", "foreign key"])
def test_feedback_is_about_its_own_project(team: Team, about: str) -> None:
    rival = make_team("rival", preset="solo")
    theirs, mine = observation(rival, trace_id="t"), observation(team)
    forged: dict[str, Any] = {
        "foreign": {"observation": theirs.uid},
        "absent": {"observation": uuid.uuid4()},
        "foreign trace": {"trace_id": "t"},
        "foreign key": {"observation": mine.uid, "key": theirs.key},
    }[about]
    with refused("feedback_of_its_observation"):
        feedback(team, **forged)


@pytest.mark.parametrize("both", [True, False])
def test_feedback_is_about_one_thing(team: Team, both: bool) -> None:
    row = observation(team, trace_id="t")
    with refused("feedback_about_one_thing" if both else "feedback_of_its_observation"):
        feedback(team, **({"observation": row.uid, "trace_id": "t"} if both else {}))
