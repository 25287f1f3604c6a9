"""Finding gate rules on behalf of a principal, and how they look in answers."""

from typing import Any

from django.db.models import QuerySet

from accounts.policies import Principal
from accounts.roles import Permission, Scope
from accounts.shapes import actor_shape
from evaluations.models import EvaluationRule, EvaluationSet
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.ids import decode, encode
from promptforge.lib.instants import format_instant
from promptforge.lib.verdicts import require

_WITH_ALL = (
    "channel__policy",
    "prompt",
    "set__prompt",
    "connection",
    "judge",
    "created_by",
    "removal_asked_by",
)


def visible_rules(principal: Principal) -> QuerySet[EvaluationRule]:
    """The rules that stand in the project: what a channel demands is no secret to whoever works with its sets."""
    if not principal.may(Permission.CONFIGURE).allowed:
        require(principal.may_somewhere(Permission.READ, Scope.EVALUATIONS_RUN))
    standing = EvaluationRule.objects.filter(channel__project=principal.project, removed_at=None)
    return standing.select_related(*_WITH_ALL)


def find_rule(principal: Principal, rule_id: str) -> EvaluationRule:
    pk = decode("rul", rule_id, "not_found")
    rule = EvaluationRule.objects.filter(channel__project=principal.project, pk=pk).select_related(*_WITH_ALL).first()
    if rule is None or rule.removed_at is not None:
        raise DomainError("not_found", f"No rule {shorten(rule_id)} stands in this project.")
    return rule


def find_demanded(principal: Principal, name: str) -> EvaluationSet:
    """A set to demand. Whoever sets policies may name every one of the project."""
    require(principal.may(Permission.CONFIGURE))
    found = EvaluationSet.objects.filter(project=principal.project, name__iexact=name).select_related("prompt").first()
    if found is None:
        raise DomainError("not_found", f"There is no evaluation set {shorten(name)} in this project.")
    return found


def rule_shape(rule: EvaluationRule) -> dict[str, Any]:
    asked = rule.removal_asked_by
    return {
        "id": encode("rul", rule.pk),
        "channel": rule.channel.name,
        "prompt": rule.prompt.name if rule.prompt else None,
        "set": rule.set.name,
        "connection": rule.connection.name,
        "judge": rule.judge.name if rule.judge else None,
        "margin": rule.margin,
        "repeats": rule.repeats,
        "created_by": actor_shape(rule.created_by),
        "created_at": format_instant(rule.created_at),
        "removal_asked_by": actor_shape(asked) if asked else None,
        "removal_asked_at": format_instant(rule.removal_asked_at) if rule.removal_asked_at else None,
    }
