"""With which parameters each arm of a run is asked: frozen at its start, and told the same by page, REST and report."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from evaluations.models import Arm, EvaluationRun
from evaluations.providers import Kind, most_tokens
from evaluations.sampling import MOST_NAMED, Left, Sampling, left_told, parameters_of, sampling_of
from promptforge.lib.errors import shorten
from promptforge.lib.json import canonical_json
from prompts.models import PromptVersion


def versions_of(run: EvaluationRun) -> dict[str, PromptVersion]:
    """The version of each arm."""
    found = {Arm.CANDIDATE.value: run.candidate}
    return found if run.baseline is None else found | {Arm.BASELINE.value: run.baseline}


def frozen_sampling(run: EvaluationRun) -> dict[str, Any]:
    """What the plan of a run that begins keeps of its versions' configs, by arm."""
    settings = json.loads(run.settings)
    return {
        arm: dataclasses.asdict(
            sampling_of(version.config_object, kind=Kind(settings["kind"]), model=settings["model"])
        )
        for arm, version in versions_of(run).items()
    }


def sampling_by_arm(run: EvaluationRun) -> dict[str, Sampling]:
    """What of each version's config applies in a run, as it was settled when the run began."""
    stored = json.loads(run.plan).get("sampling", {})
    return {
        arm: Sampling(kept["applied"], tuple(Left(tuple(names), more, why) for names, more, why in kept["left"]))
        for arm in versions_of(run)
        for kept in [stored.get(arm, {"applied": {}, "left": ()})]
    }


def parameters_by_arm(run: EvaluationRun) -> dict[str, dict[str, Any]]:
    """The parameters that each arm's calls are made with."""
    own = json.loads(run.settings)["parameters"]
    return {arm: parameters_of(sampling.applied, own) for arm, sampling in sampling_by_arm(run).items()}


# --- In words --------------------------------------------------------------------------------------------------------
def sent_by_arm(run: EvaluationRun) -> dict[str, dict[str, Any]]:
    """As `parameters_by_arm`, with the limit of tokens that a call has where nobody names one."""
    found = parameters_by_arm(run)
    return {
        arm: parameters
        if "max_completion_tokens" in parameters
        else parameters | {"max_tokens": most_tokens(parameters)}
        for arm, parameters in found.items()
    }


def in_words(parameters: Mapping[str, Any]) -> str:
    """`temperature 1, max_tokens 300`."""
    return ", ".join(f"{shorten(name, 40)} {_shown(value)}" for name, value in parameters.items())


def notes_on(run: EvaluationRun) -> list[str]:
    """What a reader of the verdict has to know: where the arms were asked differently, and what was not applied."""
    return [*filter(None, [_asked_differently(run)]), *not_applied(run), *filter(None, [not_judged(run)])]


def not_applied(run: EvaluationRun) -> list[str]:
    """One sentence for each reason why a part of a config is not applied."""
    versions, by_arm = versions_of(run), sampling_by_arm(run)
    whose: dict[Left, list[int]] = {}
    for arm, sampling in by_arm.items():
        for left in sampling.left:
            whose.setdefault(left, []).append(versions[arm].number)
    return [
        left_told(left, "both versions' configs" if len(set(numbers)) > 1 else f"version {numbers[0]}'s config")
        for left, numbers in whose.items()
    ]


def not_judged(run: EvaluationRun) -> str:
    """Where the configs differ in what was not applied: the verdict is none on that."""
    versions, by_arm = versions_of(run), sampling_by_arm(run)
    if len(versions) == 1:
        return ""
    configs = [version.config_object for version in versions.values()]
    lost = {name: None for config, each in zip(configs, by_arm.values(), strict=True) for name in _lost(config, each)}
    names = [shorten(name, 40) for name in lost if configs[0].get(name) != configs[1].get(name)]
    if not names:
        return ""
    listed = ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED:,} more" * (len(names) > MOST_NAMED))
    return f"The versions' configs differ in {listed}, which was not applied: the verdict says nothing about that."


def _lost(config: Mapping[str, Any], sampling: Sampling) -> list[str]:
    known = {*sampling.applied, *(["max_completion_tokens"] if "max_tokens" in sampling.applied else [])}
    return [name for name, value in config.items() if value is not None and name not in known]


def _asked_differently(run: EvaluationRun) -> str:
    sent = list(sent_by_arm(run).values())
    if len(sent) == 1 or sent[0] == sent[1]:
        return ""
    names = [name for name in {**sent[0], **sent[1]} if sent[0].get(name) != sent[1].get(name)]
    told = [", ".join(_one(name, parameters) for name in names) for parameters in sent]
    numbers = [version.number for version in versions_of(run).values()]
    return f"Version {numbers[0]} was asked with {told[0]}; version {numbers[1]} with {told[1]}."


def _one(name: str, parameters: Mapping[str, Any]) -> str:
    return in_words({name: parameters[name]}) if name in parameters else f"no {shorten(name, 40)}"


def _shown(value: Any) -> str:
    return shorten(canonical_json(value), 60)
