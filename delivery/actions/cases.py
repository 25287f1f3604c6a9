"""From an answer that was given to a case: what somebody really asked is asked of every version from now on."""

import json
from typing import Any

from accounts.policies import Principal
from accounts.roles import Permission
from delivery.models import Observation
from evaluations.actions.sets import add_case, may_edit
from evaluations.models import Case, EvaluationSet
from promptforge.lib.errors import DomainError, wrong
from promptforge.lib.verdicts import require

TAG = "from-output"


def keep_as_case(
    *, by: Principal, observation: Observation, owner: EvaluationSet, expects: bool = False, critical: bool = False
) -> Case:
    """Make an observation a case of a set; with `expects`, its answer is what a good one says."""
    require(by.may(Permission.READ_OBSERVATIONS, observation.prompt))
    require(may_edit(by, owner.prompt))
    if owner.prompt_id not in (None, observation.prompt_id):
        raise wrong("set", f"{owner} is for another prompt than {observation.prompt}.")
    case: dict[str, Any] = {"variables": asked_with(observation), "tags": [TAG], "critical": critical}
    if expects and observation.output:
        case["expected"] = observation.output
    return add_case(by=by, owner=owner, case=case, message=f"From the output {observation.uid}")


def asked_with(observation: Observation) -> dict[str, Any]:
    """What the prompt was filled with: as it was reported, or what was asked, where one variable alone can be meant."""
    if observation.variables:
        values: dict[str, Any] = json.loads(observation.variables)
        return values
    names = [each["name"] for each in observation.version.variable_list]
    text = _asked(observation)
    if not names:
        return {}
    if len(names) > 1 or not text:
        raise DomainError(
            "bad_value",
            "Nobody reported what the prompt was filled with. Write the case by hand, or let the service report it.",
        )
    return {names[0]: text}


def _asked(observation: Observation) -> str:
    """The newest thing that the user said."""
    given = json.loads(observation.input) if observation.input else ""
    if isinstance(given, str):
        return given
    messages = given if isinstance(given, list) else []
    said = [each.get("content") for each in messages if isinstance(each, dict) and each.get("role") == "user"]
    return said[-1] if said and isinstance(said[-1], str) else ""
