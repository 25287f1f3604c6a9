"""Rights on one prompt, besides those that roles give everywhere."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from guardian.shortcuts import assign_perm

from accounts.models import User
from accounts.policies import Principal
from accounts.roles import Permission
from events.actions import record
from events.kinds import EventKind
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import require
from prompts.models import Prompt, PromptGroupPermission, PromptUserPermission
from prompts.models.prompts import PROMPT_PERMISSIONS


def set_prompt_rights(*, by: Principal, prompt: Prompt, user: User | Group, rights: Iterable[str]) -> None:
    """Give a member, or a role by its group, exactly these rights on a prompt."""
    require(by.may(Permission.ADMINISTER, prompt))
    wanted, known = sorted(set(rights)), [right.value for right in PROMPT_PERMISSIONS]
    if unknown := [right for right in wanted if right not in known]:
        raise DomainError("bad_value", f"{shorten(unknown[0])} is no right on a prompt. Rights: {', '.join(known)}.")
    project, is_person = prompt.project, isinstance(user, User)
    who: dict[str, Any] = {"user" if is_person else "group": user}
    grants: Any = PromptUserPermission if is_person else PromptGroupPermission
    with refusals(), transaction.atomic():
        # A membership is held, so that one which ends meanwhile takes these rights along.
        within: Any = project.membership_set.select_for_update(no_key=True) if is_person else project.rolegroup_set
        if project.pk != by.project.pk or not within.filter(**who).exists():
            raise DomainError("not_found", f"{user} is no member or role of {project}. Add the member first.")
        held = grants.objects.filter(content_object=prompt, **who)
        held.exclude(permission__codename__in=wanted).delete()
        for right in wanted:
            assign_perm(right, user, prompt)
        record(
            EventKind.RIGHTS_CHANGED,
            project_id=project.pk,
            actor=by.actor,
            subject=("person" if is_person else "role", user.pk),
            prompt=prompt.name,
            rights=wanted,
        )
