"""Who may do what: the one place that asks guardian, and the principals on whose behalf everything is asked."""

import re
from dataclasses import dataclass
from typing import Any

from django.db import connection, models
from guardian.shortcuts import get_objects_for_user

from accounts.models import ApiKey, Project, User
from accounts.roles import Permission, Scope
from promptforge.lib.verdicts import ALLOWED, Verdict, denied

# What a key needs to do what a person needs a permission for; what is missing here no key ever does.
SCOPE_OF_PERMISSION = {
    Permission.READ: Scope.PROMPTS_READ,
    Permission.EDIT: Scope.VERSIONS_WRITE,
    Permission.RELEASE: Scope.RELEASES_WRITE,
    Permission.READ_OBSERVATIONS: Scope.OBSERVATIONS_READ,
    Permission.CONFIGURE: Scope.MANAGE,
    Permission.ADMINISTER: Scope.MANAGE,
}
_VERB = {
    Permission.READ: "read here",
    Permission.EDIT: "save versions",
    Permission.REVIEW: "review",
    Permission.RELEASE: "release and roll back",
    Permission.READ_OBSERVATIONS: "read what models answered",
    Permission.CONFIGURE: "change channels and policies",
    Permission.ADMINISTER: "manage members and keys",
}


@dataclass(frozen=True)
class Principal:
    """Somebody acting in one project: a person, or a service account through one of its keys."""

    user: User
    project: Project
    key: ApiKey | None = None

    @property
    def actor(self) -> tuple[str, int]:
        return (self.user.kind, self.user.pk)

    def may(self, permission: Permission, prompt: Any = None) -> Verdict:
        """Whether this is allowed in the project, on `prompt` (anything with an id and a name) if one is given."""
        if self.key is not None:
            return self._key_may(permission, prompt)
        if holds(self.user, permission, self.project, prompt):
            return ALLOWED
        return denied("forbidden", f"Your role in {self.project} does not let you {_VERB[permission]}.")

    def may_with_scope(self, permission: Permission, scope: Scope, prompt: Any = None) -> Verdict:
        """What a person needs a permission for and a key a scope of its own, in the project or on `prompt`."""
        return self.may(permission, prompt) if self.key is None else self._key_opens(scope, prompt)

    def may_report(self, scope: Scope) -> Verdict:
        """Whether it may report what models answered and what was said of it: services do, each with its key."""
        if self.key is None:
            return denied("forbidden", "Services report, with a key; people read what was reported.")
        return self.may_with_scope(Permission.READ_OBSERVATIONS, scope)

    def may_somewhere(self, permission: Permission, scope: Scope | None = None) -> Verdict:
        """Whether it could be allowed on some prompt of the project: what is asked before a request's body is read.

        `scope` is what a key needs for it, where that is not the permission's own.
        """
        if self.key is not None:
            return self._key_may(permission, None) if scope is None else self._key_opens(scope, None)
        if holds(self.user, permission, self.project) or self._holds_on_some_prompt(permission):
            return ALLOWED
        return self.may(permission)

    def may_select(self, selector: str) -> Verdict:
        """Whether a fetch may name this: a channel, `latest`, or `pinned` for a number."""
        if self.key is None or self.key.reaches_selector(selector):
            return ALLOWED
        reach = ", ".join(self.key.channels)
        return denied(
            "key_scope", f"The key {self.key.public_id} is narrowed to {reach}; it does not reach {selector}."
        )

    def _key_may(self, permission: Permission, prompt: Any) -> Verdict:
        assert self.key is not None
        scope = SCOPE_OF_PERMISSION.get(permission)
        if scope is None:
            return denied("forbidden", "A key never reviews: a person decides, signed in.")
        return self._key_opens(scope, prompt)

    def _key_opens(self, scope: Scope, prompt: Any) -> Verdict:
        assert self.key is not None
        if scope not in self.key.scopes:
            return denied("key_scope", f"The key {self.key.public_id} lacks the scope {scope}.")
        if prompt is not None and not self.key.reaches_prompt(prompt.name):
            return denied("prompt_not_found", f"There is no prompt {prompt.name} within reach.")
        return ALLOWED

    def _holds_on_some_prompt(self, permission: Permission) -> bool:
        from django.apps import apps

        prompts = apps.get_model("prompts", "Prompt").objects.filter(project=self.project)
        return bool(granted(self.user, permission, prompts).exists())


def holds(user: User, permission: Permission, project: Project, prompt: Any = None) -> bool:
    """Whether an active member holds the permission on the project or the prompt, as the guards themselves ask it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT public.promptforge_holds(%s, %s, %s, %s)",
            [user.pk, permission.value, project.pk, None if prompt is None else prompt.pk],
        )
        return bool(cursor.fetchone()[0])


def held(user: User, project: Project, prompt: Any = None) -> dict[str, bool]:
    """What `holds` says of every permission, in one question."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT right_, public.promptforge_holds(%s, right_, %s, %s) FROM unnest(%s::text[]) AS right_",
            [user.pk, project.pk, None if prompt is None else prompt.pk, Permission.values],
        )
        return dict(cursor.fetchall())


def granted(user: User, permission: Permission, objects: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """Those of `objects` on which the person holds the permission directly or through a group; superusers none more."""
    return get_objects_for_user(user, permission.value, objects, with_superuser=False, accept_global_perms=False)


def pattern_condition(patterns: list[str]) -> models.Q:
    """The prompt names that a key's patterns reach, as a condition: `*` matches any run of characters."""
    alternatives = "|".join(".*".join(map(re.escape, pattern.split("*"))) for pattern in patterns)
    return models.Q(name__regex=f"^({alternatives})$")
