"""Trying a draft: a model is asked with it and with the live version. No event tells of it, as of no draft."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from accounts.policies import Principal
from accounts.roles import Permission, Scope
from evaluations.asking import check_roles
from evaluations.models import ModelConnection, Trial, TrialAnswer
from evaluations.models.trials import KEPT
from evaluations.trying import Asked, asked_of_draft, asked_of_live, live_version, refuse_what_lacks
from events.relay import wake_soon
from promptforge.lib.errors import DomainError, wrong
from promptforge.lib.json import canonical_json
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import require
from prompts.models import Draft


def try_draft(
    *,
    by: Principal,
    draft: Draft,
    content: Any,
    variables: Sequence[Mapping[str, Any]],
    config: Mapping[str, Any],
    values: Mapping[str, str],
    connection: ModelConnection,
) -> Trial:
    """Have a model asked with the draft, and with the version that is live, for the same values; a worker asks.

    `content`, `variables` and `config` are the draft's as saving would have them: includes expanded, all declared.
    The try takes the place of the one before, unless a worker asks for that one now.
    """
    require(by.may_with_scope(Permission.EDIT, Scope.EVALUATIONS_RUN, draft.prompt))
    if draft.prompt.archived_at is not None:
        raise DomainError("archived", f"{draft.prompt} is archived. Restore it to write on it.")
    if connection.project_id != by.project.pk or connection.removed_at is not None:
        raise wrong("connection", "This model connection does not stand in this project. Choose another one.")
    live = live_version(draft.prompt)
    sides = {TrialAnswer.Side.DRAFT: asked_of_draft(content, variables, config, values)}
    if live is not None:
        sides[TrialAnswer.Side.LIVE] = asked_of_live(live, values)
    refuse_what_lacks(list(sides.values()))
    for asked in sides.values():
        check_roles(asked.name, asked.messages, connection)
    with refusals(), transaction.atomic():
        if Draft.objects.select_for_update(no_key=True).filter(pk=draft.pk, user=by.user).first() is None:
            raise DomainError("not_found", "You have no such draft any more. Write on the prompt again, then try it.")
        before = TrialAnswer.objects.filter(trial__draft=draft)
        list(before.select_for_update().values_list("pk"))  # a worker that takes one up now is waited for
        if before.under_way().exists():
            raise DomainError(
                "trial_under_way", "The model is still being asked for your last try. Wait for its answers, then again."
            )
        Trial.objects.filter(draft=draft).delete()
        trial = Trial.objects.create(draft=draft, connection=connection, live_version=live)
        TrialAnswer.objects.bulk_create(_answer(trial, side, asked) for side, asked in sides.items())
        transaction.on_commit(partial(wake_soon, "evaluations.tasks.work"), robust=True)
    return trial


def forget_old_trials() -> int:
    return Trial.objects.filter(at__lte=Now() - KEPT).delete()[0]


def _answer(trial: Trial, side: str, asked: Asked) -> TrialAnswer:
    parameters = canonical_json(asked.parameters(trial.connection))
    return TrialAnswer(trial=trial, side=side, messages=canonical_json(asked.messages), parameters=parameters)
