"""Gate rules: adding one acts at once; taking one away from a protected channel takes a second person."""

from django.db import transaction

from accounts.policies import Principal
from accounts.roles import Permission
from evaluations.models import EvaluationRule, EvaluationSet, ModelConnection
from events.actions import record
from events.kinds import EventKind
from promptforge.lib.errors import DomainError, wrong
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import require
from prompts.models import Channel, Prompt

LARGEST_MARGIN, MOST_REPEATS = 0.5, 50
DEFAULT_MARGIN = 0.1


def add_rule(
    *,
    by: Principal,
    channel: Channel,
    evaluation_set: EvaluationSet,
    connection: ModelConnection,
    prompt: Prompt | None = None,
    judge: ModelConnection | None = None,
    margin: float = DEFAULT_MARGIN,
    repeats: int | None = None,
) -> EvaluationRule:
    """Demand that versions pass a set before they go live on a channel, from now on and of what is open too."""
    require(by.may(Permission.CONFIGURE))
    if not 0 < margin <= LARGEST_MARGIN:
        raise wrong("margin", f"How much worse is still no worse: above 0, at most {LARGEST_MARGIN}.", "bad_value")
    if repeats is not None and not 1 <= repeats <= MOST_REPEATS:
        raise wrong("repeats", f"A whole number from 1 to {MOST_REPEATS}.", "bad_value")
    parts = [part for part in (evaluation_set, connection, judge, prompt) if part is not None]
    if any(part.project_id != channel.project_id for part in parts):
        raise wrong("set", "A rule joins a channel, a prompt, a set and connections of one project.", "bad_value")
    if evaluation_set.archived_at is not None:
        raise DomainError("archived", f"{evaluation_set} is archived, so nothing could pass it. Restore it first.")
    if prompt is not None and evaluation_set.prompt_id not in (None, prompt.pk):
        raise wrong("set", f"The set {evaluation_set} is for another prompt than {prompt.name}.", "bad_value")
    with refusals(), transaction.atomic():
        rule = EvaluationRule.objects.create(
            channel=channel,
            prompt=prompt,
            set=evaluation_set,
            connection=connection,
            judge=judge,
            margin=margin,
            repeats=repeats,
            created_by=by.user,
        )
        _tell(EventKind.RULE_ADDED, by, rule)
    return rule


def remove_rule(*, by: Principal, rule: EvaluationRule) -> EvaluationRule:
    """Take a rule away. On a protected channel this asks for it; it stands until another person agrees."""
    require(by.may(Permission.CONFIGURE))
    with refusals(), transaction.atomic():
        locked = _locked(rule)
        if locked.removed_at is not None or locked.removal_asked_by_id is not None:
            return locked
        assert locked.channel.policy is not None
        if locked.channel.policy.protects:
            return _update(by, locked, EventKind.RULE_QUESTIONED, removal_asked_by=by.user)
        return _update(by, locked, EventKind.RULE_REMOVED, removed_by=by.user)


def agree_to_removal(*, by: Principal, rule: EvaluationRule) -> EvaluationRule:
    """Take a rule away as the second person."""
    require(by.may(Permission.CONFIGURE))
    if by.key is not None:
        raise DomainError("forbidden", "A key never approves: a person decides, signed in.")
    with refusals(), transaction.atomic():
        locked = _locked(rule)
        if locked.removed_at is not None:
            return locked
        asked = locked.removal_asked_by
        if asked is None:
            raise DomainError("not_found", "Nobody asks that this rule is taken away.")
        if by.user.pk in (asked.pk, asked.responsible_id):
            raise DomainError("four_eyes", "You asked for it, so somebody else agrees.")
        return _update(by, locked, EventKind.RULE_REMOVED, removed_by=by.user)


def _locked(rule: EvaluationRule) -> EvaluationRule:
    channel = Channel.objects.select_for_update(no_key=True).get(pk=rule.channel_id)
    locked = (
        EvaluationRule.objects.select_related("set", "removal_asked_by").select_for_update(of=("self",)).get(pk=rule.pk)
    )
    locked.channel = Channel.objects.select_related("policy").get(pk=channel.pk)
    return locked


def _update(by: Principal, rule: EvaluationRule, kind: EventKind, **fields: object) -> EvaluationRule:
    for name, value in fields.items():
        setattr(rule, name, value)
    rule.save(update_fields=list(fields))
    rule.refresh_from_db()
    _tell(kind, by, rule)
    return rule


def _tell(kind: EventKind, by: Principal, rule: EvaluationRule) -> None:
    record(kind, project_id=by.project.pk, actor=by.actor, subject=("rule", rule.pk))
