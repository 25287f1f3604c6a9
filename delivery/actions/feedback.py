"""Saying what became of an answer."""

from django.db import transaction

from accounts.policies import Principal
from accounts.roles import Scope
from delivery.models import Feedback
from delivery.reading import observations_of
from promptforge.lib.errors import DomainError
from promptforge.lib.json import canonical_json
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import require


def give_feedback(
    *,
    by: Principal,
    observation: str | None,
    trace_id: str | None,
    name: str,
    value: bool | float | str,
    comment: str = "",
    user: str | None = None,
) -> Feedback:
    """Keep one word about an observation (by its id) or about all observations of a trace.

    `value` is true, false, a number or a text. What is spoken of must be there, within reach of the key.
    """
    require(by.may_report(Scope.FEEDBACK_WRITE))
    assert by.key is not None
    if (observation is None) == (trace_id is None):
        raise DomainError("field_required", "Feedback is about one thing: name the observation or the trace_id.")
    about = {"uid": observation} if trace_id is None else {"trace_id": trace_id}
    if not observations_of(by).filter(**about).exists():
        raise DomainError("not_found", "There is no such observation within reach. Report it first.")
    with refusals(), transaction.atomic():
        return Feedback.objects.create(
            project=by.project,
            observation=observation,
            trace_id=trace_id,
            name=name,
            value=canonical_json(value),
            comment=comment,
            end_user=user,
            key=by.key,
        )
