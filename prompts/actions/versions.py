"""Writing: prompts, and their immutable versions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction

from accounts.policies import Principal
from accounts.roles import Permission
from events.actions import record
from events.kinds import EventKind
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.json import canonical_json
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import require
from prompts import templating
from prompts.actions.lengths import LONGEST_NOTE, LONGEST_REASON, check_length, check_tags
from prompts.digests import version_row_digest
from prompts.models import Prompt, PromptVersion
from prompts.models.prompts import NAME_FORM, PromptType

LONGEST_NAME = 200


class Saved(NamedTuple):
    """A version, and whether it was made now or stood there already with the same bytes."""

    version: PromptVersion
    created: bool


@dataclass(frozen=True)
class Composed:
    """What a version will hold, checked: canonical texts, and the versions that it pins."""

    content: str
    source: str
    variables: str
    config: str
    includes: list[int]


def create_prompt(
    *,
    by: Principal,
    name: str,
    content: Any,
    type: str | None = None,  # noqa: A002  the field's name in the API
    config: dict[str, Any] | None = None,
    variables: Sequence[dict[str, Any]] | None = None,
    message: str = "",
    tags: Sequence[str] = (),
    description: str = "",
    created_at: datetime | None = None,
) -> tuple[Prompt, PromptVersion]:
    """Make a prompt and its version 1 in one step. `created_at` is given for imported history only."""
    if created_at is None:
        require(by.may(Permission.EDIT))
    check_name(name)
    check_length("message", message, LONGEST_REASON)
    check_length("description", description, LONGEST_NOTE)
    check_tags(tags)
    if by.key is not None and not by.key.reaches_prompt(name):
        raise DomainError(
            "key_scope", f"The key {by.key.public_id} is narrowed to {', '.join(by.key.prompts)}; {name} lies outside."
        )
    kind = type or (PromptType.CHAT if isinstance(content, list) else PromptType.TEXT)
    if kind not in PromptType.values:
        raise DomainError("bad_type", f"{shorten(kind)} is not a type of prompt: it is text or chat.")
    with refusals(), transaction.atomic():
        prompt = Prompt(project=by.project, name=name, type=kind, description=description, tags=list(tags))
        if created_at is not None:
            prompt.created_at = created_at
        prompt.save()
        record(EventKind.PROMPT_CREATED, project_id=by.project.pk, actor=by.actor, subject=("prompt", prompt.pk))
        composed = compose(by=by, kind=kind, content=content, variables=variables, config=config or {})
        return prompt, _insert(by, prompt, composed, message, created_at)


def save_version(
    *,
    by: Principal,
    prompt: Prompt,
    content: Any,
    config: dict[str, Any] | None = None,
    variables: Sequence[dict[str, Any]] | None = None,
    message: str = "",
    base_version: int | None = None,
    created_at: datetime | None = None,
) -> Saved:
    """Save the next version; what equals the newest one byte for byte answers with that one and makes none.

    A `config` or `variables` that is not given stays as the newest version has it (declarations of variables that no
    longer occur fall away). `base_version` is the number of the version that the writer started from: when a newer one
    exists by now, nothing is saved.
    """
    if created_at is None:
        require(by.may(Permission.EDIT, prompt))
    check_length("message", message, LONGEST_REASON)
    with refusals(), transaction.atomic():
        locked = Prompt.objects.locked().get(pk=prompt.pk)
        newest = locked.versions.order_by("-number").first()
        if locked.archived_at is not None:
            raise DomainError("archived", f"{locked} is archived. Restore it to save versions.")
        if base_version is not None and (newest is None or newest.number != base_version):
            number = newest.number if newest else 0
            raise DomainError(
                "stale_base",
                f"Version {number} came after {base_version}, which you began with. "
                f"Compare them, and save on top of {number}.",
                extra={"latest": number},
            )
        composed = compose(
            by=by,
            kind=locked.type,
            content=content,
            variables=_still_declared(newest, content) if variables is None else variables,
            config=(newest.config_object if newest else {}) if config is None else config,
        )
        if newest is not None and composed == _as_composed(newest):
            return Saved(newest, created=False)
        return Saved(_insert(by, locked, composed, message, created_at), created=True)


def compose(*, by: Principal, kind: str, content: Any, variables: Sequence[Any] | None, config: Any) -> Composed:
    """Check what was written and bring it into its canonical form: includes pinned and expanded, variables found."""
    source = templating.check_content(kind, content)
    pins = Pins(by)
    expanded = templating.expand(source, pins.look_up)
    declared = templating.declared_variables(expanded.content, variables, expanded.inherited)
    return Composed(
        content=_text(expanded.content),
        source=_text(source),
        variables=canonical_json(declared),
        config=templating.check_config(config),
        includes=[pins.ids[include["prompt"], include["version"]] for include in expanded.includes],
    )


class Pins:
    """Looks includes up among what the writer may read, and remembers which rows they were."""

    def __init__(self, by: Principal) -> None:
        self.by = by
        self.ids: dict[tuple[str, int], int] = {}

    def look_up(self, name: str, number: int | None) -> templating.Included | None:
        prompt = Prompt.objects.filter(project=self.by.project, name=name).first()
        # Whoever may write may include what it can reach: a key with versions:write alone cannot read otherwise.
        if prompt is None or not (
            self.by.may(Permission.READ, prompt).allowed or self.by.may(Permission.EDIT, prompt).allowed
        ):
            return None
        versions = prompt.versions.order_by("-number")
        version = versions.first() if number is None else versions.filter(number=number).first()
        if version is None:
            return None
        self.ids[name, version.number] = version.pk
        return templating.Included(version.number, version.served_content, version.variable_list, version.type)


def check_name(name: str) -> None:
    if len(name) > LONGEST_NAME or not re.fullmatch(NAME_FORM, name):
        raise DomainError(
            "bad_name",
            f"{shorten(name)} is no prompt name: letters, digits and . _ - in parts joined by /, "
            "each part beginning with a letter or digit, "
            f"{LONGEST_NAME} characters at most.",
        )


def _insert(
    by: Principal, prompt: Prompt, composed: Composed, message: str, created_at: datetime | None
) -> PromptVersion:
    version = PromptVersion.objects.create(
        prompt=prompt,
        number=prompt.next_number,
        type=prompt.type,
        content=composed.content,
        source=composed.source,
        variables=composed.variables,
        config=composed.config,
        includes=composed.includes,
        message=message,
        author=by.user,
        contributor=by.user.responsible or by.user,
        created_at=created_at,  # type: ignore[misc]  # None: the database dates it
        digest=b"",
    )
    prompt.next_number = version.number + 1
    version.refresh_from_db(fields=["contributor", "created_at", "recorded_at", "digest"])
    record(
        EventKind.VERSION_SAVED,
        project_id=by.project.pk,
        actor=by.actor,
        subject=("version", version.pk),
        prompt=prompt.name,
        number=version.number,
        digest=bytes(version.digest).hex(),
        row=version_row_digest(version).hex(),
    )
    return version


def _still_declared(newest: PromptVersion | None, content: Any) -> list[dict[str, Any]]:
    """The newest version's declarations of those variables that the new text itself still names."""
    messages = [{"content": content}] if isinstance(content, str) else content
    texts = [(number, m.get("content")) for number, m in enumerate(messages, 1) if isinstance(m, dict)]
    places = [(templating.Place(None if messages is not content else number), text) for number, text in texts]
    parts = [part for place, text in places if isinstance(text, str) for part in templating.parse(text, place)]
    named = {part.name for part in parts if isinstance(part, templating.Variable)}
    return [declared for declared in (newest.variable_list if newest else []) if declared["name"] in named]


def _text(content: templating.Content) -> str:
    return content if isinstance(content, str) else canonical_json(content)


def _as_composed(version: PromptVersion) -> Composed:
    return Composed(version.content, version.source, version.variables, version.config, version.includes)
