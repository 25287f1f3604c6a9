"""The shapes of runs for the OpenAPI schema; `run_shapes` writes them."""

from typing import Any

from rest_framework import serializers

from accounts.api.schemas import ActorShape
from evaluations.models import Arm, Cell, EvaluationRun

ESTIMANDS = ["these cases", "traffic like these"]


class PlanShape(serializers.Serializer[Any]):
    looks = serializers.ListField(child=serializers.IntegerField())
    margin = serializers.FloatField()
    estimand = serializers.ChoiceField(ESTIMANDS)


class GuardrailShape(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(["length", "refusals", "cases", "invariant"])
    name = serializers.CharField()
    outcome = serializers.ChoiceField(EvaluationRun.Outcome.values)
    delta = serializers.FloatField(allow_null=True)
    interval = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    sentence = serializers.CharField()
    cases = serializers.ListField(child=serializers.CharField())


class RatesShape(serializers.Serializer[Any]):
    score = serializers.FloatField()
    always = serializers.FloatField(help_text="The share of cases that passed every time.")


class CriterionRatesShape(serializers.Serializer[Any]):
    criterion = serializers.CharField()
    counts = serializers.BooleanField()
    cases = serializers.IntegerField()
    candidate = serializers.FloatField()
    baseline = serializers.FloatField(allow_null=True)
    delta = serializers.FloatField(allow_null=True)
    interval = serializers.ListField(child=serializers.FloatField(), allow_null=True)


class CaseRatesShape(serializers.Serializer[Any]):
    case = serializers.CharField()
    candidate = serializers.FloatField()
    baseline = serializers.FloatField(allow_null=True)
    delta = serializers.FloatField()
    passed = serializers.ListField(child=serializers.IntegerField(), help_text="Of the candidate, of the baseline.")
    repeats = serializers.ListField(child=serializers.IntegerField())


class ShiftShape(serializers.Serializer[Any]):
    feature = serializers.CharField()
    baseline = serializers.FloatField()
    candidate = serializers.FloatField()
    delta = serializers.FloatField()
    interval = serializers.ListField(child=serializers.FloatField())
    p = serializers.FloatField()
    effect = serializers.FloatField(help_text="In standard deviations of all answers.")
    examples = serializers.ListField(child=serializers.CharField())


class ShareShape(serializers.Serializer[Any]):
    hits = serializers.IntegerField()
    of = serializers.IntegerField()
    rate = serializers.FloatField(allow_null=True)
    interval = serializers.ListField(child=serializers.FloatField())


class VerdictShape(serializers.Serializer[Any]):
    """Null, or empty, is what the run came to nothing for: a reference of a drift watch compares with nothing."""

    outcome = serializers.ChoiceField(EvaluationRun.Outcome.values)
    sentence = serializers.CharField()
    delta = serializers.FloatField(allow_null=True)
    interval = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    margin = serializers.FloatField(allow_null=True)
    estimand = serializers.ChoiceField(ESTIMANDS, allow_null=True)
    rate = serializers.FloatField(allow_null=True, help_text="The share that passes, of what compares with nothing.")
    cases = serializers.IntegerField(allow_null=True)
    repeats = serializers.IntegerField(allow_null=True)
    calls = serializers.IntegerField(allow_null=True)
    cost_usd = serializers.FloatField(allow_null=True)
    cached = serializers.IntegerField(allow_null=True, help_text="Answers that were paid by an earlier run.")
    unscored = serializers.DictField(child=serializers.IntegerField(), help_text="By arm.")
    errors = serializers.DictField(  # type: ignore[assignment]  # a field of that name
        child=serializers.IntegerField(), help_text="How often each error came."
    )
    candidate = RatesShape(allow_null=True)
    baseline = RatesShape(allow_null=True)
    criteria = CriterionRatesShape(many=True)
    guardrails = GuardrailShape(many=True)
    worst = CaseRatesShape(many=True)
    tone = ShiftShape(many=True)
    advice = serializers.CharField(allow_blank=True)
    models = serializers.DictField(
        child=serializers.DictField(child=serializers.IntegerField()),
        help_text="By arm: the models that answered, as they named themselves, and how often.",
    )
    fingerprints = serializers.ListField(child=serializers.CharField())
    judge_flips = ShareShape(allow_null=True, help_text="Answers on which the judge contradicted itself.")


class ProgressShape(serializers.Serializer[Any]):
    done = serializers.IntegerField()
    total = serializers.IntegerField(help_text="Of the look that is being worked on, and those before.")
    unscored = serializers.IntegerField()
    under_way = serializers.IntegerField()
    rate = serializers.FloatField(allow_null=True, help_text="Cells a second.")
    seconds_left = serializers.FloatField(allow_null=True, help_text="For these cells; another look may follow.")


class ParametersShape(serializers.Serializer[Any]):
    candidate = serializers.DictField()
    baseline = serializers.DictField(allow_null=True)


class RunShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    status = serializers.ChoiceField(EvaluationRun.Status.values)
    pause_reason = serializers.CharField(allow_blank=True)
    candidate = serializers.CharField()
    baseline = serializers.CharField(allow_null=True)
    channel = serializers.CharField(allow_null=True)
    set = serializers.CharField()
    revision = serializers.IntegerField()
    connection = serializers.CharField()
    parameters = ParametersShape(help_text="Of each arm's calls: the connection's, and before them its version's.")
    notes = serializers.ListField(
        child=serializers.CharField(),
        help_text="Where the arms were asked differently, and what of a version's config was not applied.",
    )
    judge = serializers.CharField(allow_null=True)
    advisory = serializers.ListField(child=serializers.CharField(), help_text="Judged criteria that do not count yet.")
    plan = PlanShape()
    look = serializers.IntegerField()
    verdict = VerdictShape(allow_null=True)
    progress = ProgressShape()
    calls = serializers.IntegerField()
    max_calls = serializers.IntegerField()
    cost_usd = serializers.FloatField(allow_null=True, help_text="Null: unknown.")
    max_cost_usd = serializers.FloatField(allow_null=True)
    created_by = ActorShape()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class EstimateShape(serializers.Serializer[Any]):
    cases = serializers.IntegerField()
    looks = serializers.ListField(child=serializers.IntegerField())
    margin = serializers.FloatField()
    least_calls = serializers.IntegerField(help_text="When the first look settles it.")
    most_calls = serializers.IntegerField()
    least_cost_usd = serializers.FloatField(allow_null=True, help_text="Null: unknown.")
    most_cost_usd = serializers.FloatField(allow_null=True)


class ScoreLineShape(serializers.Serializer[Any]):
    criterion = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    passed = serializers.BooleanField(allow_null=True)
    explanation = serializers.CharField(allow_blank=True)
    weight = serializers.FloatField()
    inside = serializers.BooleanField(required=False, help_text="What is judged within an assert-set.")
    again = serializers.BooleanField(
        required=False, allow_null=True, help_text="Whether it passes when the judge is asked a second time."
    )


class ResultShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    case = serializers.CharField()
    arm = serializers.ChoiceField(Arm.values)
    repeat = serializers.IntegerField()
    confirms = serializers.BooleanField()
    output = serializers.CharField(allow_null=True)
    scores = ScoreLineShape(many=True)
    score = serializers.FloatField(allow_null=True)
    passed = serializers.BooleanField(allow_null=True)
    state = serializers.ChoiceField(Cell.State.values)
    error = serializers.CharField(allow_null=True)
    error_detail = serializers.CharField(allow_null=True)
    latency_ms = serializers.IntegerField(allow_null=True)
    input_tokens = serializers.IntegerField(allow_null=True)
    output_tokens = serializers.IntegerField(allow_null=True)
    cost_usd = serializers.FloatField(allow_null=True)
    model = serializers.CharField(allow_blank=True)
    fingerprint = serializers.CharField(allow_blank=True)
    cached = serializers.BooleanField()


class WholeRunShape(RunShape):
    results = ResultShape(many=True)


class LabelShape(serializers.Serializer[Any]):
    result = serializers.CharField()
    criterion = serializers.CharField()
    passed = serializers.BooleanField()
    labels = serializers.IntegerField(help_text="Of this judge and criterion, this one included.")
    counts = serializers.BooleanField(help_text="Whether the judge counts in runs that start now.")
    sentence = serializers.CharField()
