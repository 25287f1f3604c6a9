"""Running what the gate demands: by itself when a promotion is opened, and again when somebody asks."""

from django.db import transaction

from accounts.models import User
from accounts.policies import Principal
from accounts.roles import Permission, Scope
from evaluations.actions.runs import start_run
from evaluations.evidence import Evidence, of_promotions
from evaluations.models import EvaluationRule, EvaluationRun, GateRefusal
from promptforge.lib.errors import DomainError
from promptforge.lib.verdicts import require
from prompts.models import Promotion

# What the gate asks for at most in one turn; the next one finds the rest.
_AT_ONCE = 20


def start_what_is_demanded() -> int:
    """Start the runs that open promotions wait for and that nobody has started; returns how many.

    As the person behind the promotion: who may no longer edit starts nothing. What cannot be started says why, once.
    """
    started = 0
    for promotion in _waiting()[:_AT_ONCE]:
        with transaction.atomic():
            # Who else is at it has locked the promotion; what is demanded is looked up behind the lock.
            held = Promotion.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=promotion.pk).first()
            if held is None or held.state != Promotion.State.OPEN:
                continue
            for each in of_promotions([held.pk]).get(held.pk, []):
                if _is_due(each):
                    started += _try(promotion, each)
    return started


def evaluate_promotion(*, by: Principal, promotion: Promotion) -> list[EvaluationRun]:
    """Run anew whatever has not passed and is not under way; refused as `start_run` refuses."""
    require(by.may_with_scope(Permission.EDIT, Scope.EVALUATIONS_RUN, promotion.prompt))
    with transaction.atomic():
        Promotion.objects.select_for_update(no_key=True).get(pk=promotion.pk)
        lacking = [e for e in of_promotions([promotion.pk]).get(promotion.pk, []) if e.outcome != "PASS"]
        return [_start(by, promotion, _rule(each)) for each in lacking if each.going_id is None]


def _waiting() -> list[Promotion]:
    # Most open promotions are of channels without rules.
    of_rules = EvaluationRule.objects.filter(removed_at=None).values("channel")
    found = Promotion.objects.filter(state=Promotion.State.OPEN, channel__in=of_rules).select_related(
        "prompt__project", "channel", "version__prompt", "base_version__prompt", "opener"
    )
    evidence = of_promotions([each.pk for each in found])
    return [each for each in found if any(map(_is_due, evidence.get(each.pk, [])))]


def _is_due(each: Evidence) -> bool:
    return each.outcome is None and each.going_id is None and not each.refused


def _try(promotion: Promotion, each: Evidence) -> int:
    opener: User = promotion.opener
    rule = _rule(each)
    try:
        with transaction.atomic():
            _start(Principal(opener, promotion.prompt.project), promotion, rule)
    except DomainError as refusal:
        GateRefusal.objects.create(promotion=promotion, rule=rule, set_revision=rule.set.revision, why=refusal.detail)
        return 0
    return 1


def _start(by: Principal, promotion: Promotion, rule: EvaluationRule) -> EvaluationRun:
    return start_run(
        by=by,
        candidate=promotion.version,
        baseline=promotion.base_version,
        channel=promotion.channel,
        owner=rule.set,
        connection=rule.connection,
        judge=rule.judge,
        margin=rule.margin,
        repeats=rule.repeats,
    )


def _rule(each: Evidence) -> EvaluationRule:
    return EvaluationRule.objects.select_related("set__prompt", "connection", "judge").get(pk=each.rule_id)
