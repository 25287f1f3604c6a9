"""What a run would take, before it starts: calls for sure, money where the price is known."""

import json
from decimal import Decimal
from typing import Any

from accounts.policies import Principal
from accounts.roles import Permission, Scope
from evaluations.asked_of import demands_of
from evaluations.asking import Asker, check_cases
from evaluations.models import Case, EvaluationSet, ModelConnection
from evaluations.planning import calls_of, cases_of, plan_of_cases
from evaluations.prices import Pricing, estimate
from evaluations.providers import Kind, most_tokens
from evaluations.sampling import parameters_of, sampling_of
from promptforge.lib.verdicts import require
from prompts.models import PromptVersion


def estimate_run(
    *,
    by: Principal,
    candidate: PromptVersion,
    baseline: PromptVersion | None,
    owner: EvaluationSet,
    connection: ModelConnection,
    judge: ModelConnection | None = None,  # noqa: ARG001 - takes what `start_run` takes
    margin: float | None = None,
    repeats: int | None = None,
    **_: Any,
) -> dict[str, Any]:
    """Calls at least and at most, and what they cost were each answer as long as it may be."""
    require(by.may_with_scope(Permission.EDIT, Scope.EVALUATIONS_RUN, candidate.prompt))
    revision, cases = cases_of(owner)
    versions = [candidate, *([baseline] if baseline else [])]
    check_cases(versions, cases, connection)
    plan = plan_of_cases(len(cases), margin, repeats)
    has_baseline = baseline is not None
    judged = [len(demands_of(revision, case, (), has_baseline=has_baseline).judged) for case in cases]
    least, most = calls_of(plan, len(versions), judged)
    one_look = _cost(connection, versions, cases) if not any(judged) else None
    per_call = None if one_look is None else one_look / (len(cases) * len(versions))
    return {
        "cases": len(cases),
        "looks": list(plan.looks),
        "margin": plan.margin,
        "least_calls": least,
        "most_calls": most,
        "least_cost_usd": None if per_call is None else round(float(per_call * least), 6),
        "most_cost_usd": None if per_call is None else round(float(per_call * most), 6),
    }


def _cost(connection: ModelConnection, versions: list[PromptVersion], cases: list[Case]) -> Decimal | None:
    """Every case once in each arm; None where the connection has no price of its own.

    A table of prices is loaded by workers alone, so it is not asked here.
    """
    price = json.loads(connection.price)
    if price is None and connection.kind != ModelConnection.Kind.LOCAL:
        return None
    pricing = Pricing(Kind(connection.kind), connection.base_url, connection.model, price)
    whole = Decimal(0)
    for version in versions:
        asker, most = Asker(version), _most_tokens(connection, version)
        for case in cases:
            whole += estimate(pricing, asker.messages(case), most) or Decimal(0)
    return whole


def _most_tokens(connection: ModelConnection, version: PromptVersion) -> int:
    kind = Kind(connection.kind)
    sampling = sampling_of(version.config_object, kind=kind, model=connection.model)
    return most_tokens(parameters_of(sampling.applied, connection.parameter_values))
