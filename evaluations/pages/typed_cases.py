"""A case as people type it: a value for each variable, and all else in fields of its own."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from accounts.pages.settings import lines
from evaluations.actions.sets import case_fields
from evaluations.models import Case, EvaluationSet
from promptforge.lib.errors import DomainError, wrong
from promptforge.lib.json import canonical_json, parse_json
from prompts.models import PromptVersion

SPARE_ROWS = 2


@dataclass(frozen=True)
class TypedCase:
    """What stands in the form. `values` are texts, as a person reads them; `messages` is JSON, which few need."""

    key: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    messages: str = ""
    expected: str = ""
    tags: str = ""
    group: str = ""
    critical: bool = False

    @classmethod
    def of_case(cls, case: Case | None) -> "TypedCase":
        if case is None:
            return cls()
        return cls(
            key=case.key,
            values={name: _text(value) for name, value in case.variable_values.items()},
            messages=_document(case.placeholder_messages),
            expected=case.expected or "",
            tags=", ".join(case.tags),
            group=case.group,
            critical=case.critical,
        )

    @classmethod
    def of_form(cls, form: QueryDict) -> "TypedCase":
        names, values = form.getlist("v-name"), form.getlist("v-value")
        given = {name.strip(): _plain(text) for name, text in zip(names, values, strict=False) if name.strip()}
        texts = {name: _plain(form.get(name, "")) for name in ("key", "messages", "expected", "tags", "group")}
        return cls(values=given, critical=form.get("critical") == "yes", **texts)

    def rows(self, names: list[str]) -> list[tuple[str, str, bool]]:
        """Name, value and whether the name is fixed, with spare rows for further variables."""
        rows = [(name, self.values.get(name, ""), True) for name in names]
        rows += [(name, value, False) for name, value in self.values.items() if name not in names]
        return rows + [("", "", False)] * SPARE_ROWS

    def fields(self, owner: EvaluationSet, case: Case | None) -> dict[str, Any]:
        """The case as `read_case` takes it. A variable that is left empty is not given, unless the case gave it so."""
        before = case_fields(case) if case is not None else {"variables": {}, "criteria": []}
        types = _types_of(owner)
        values = {}
        for name, text in self.values.items():
            known = before["variables"].get(name)
            if name in before["variables"] and _text(known) == text:
                values[name] = known
            elif text:
                values[name] = _value(text, types.get(name, "string"))
        return {
            "key": self.key.strip(),
            "variables": values,
            "messages": _messages(self.messages),
            "expected": self.expected or None,
            "tags": lines(self.tags),
            "group": self.group.strip(),
            "critical": self.critical,
            "criteria": before["criteria"],
        }


def names_of(owner: EvaluationSet, case: Case | None) -> list[str]:
    """The variables to fill in: those of the prompt's newest version, of the case, or of what the set asks already."""
    names = list(_types_of(owner))
    if case is not None:
        names += case.variable_values
    elif not names and (first := Case.objects.standing_in(owner.pk, owner.revision).first()) is not None:
        names += first.variable_values
    return list(dict.fromkeys(names))


def _types_of(owner: EvaluationSet) -> dict[str, str]:
    if owner.prompt_id is None:
        return {}
    newest = PromptVersion.objects.filter(prompt_id=owner.prompt_id).order_by("-number").first()
    return {} if newest is None else {each["name"]: each.get("type", "string") for each in newest.variable_list}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n")


def _document(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) if value else ""


def _value(text: str, kind: str) -> Any:
    """What is typed for a variable that is no text is read as JSON, when it is some."""
    if kind in ("string", "enum"):
        return text
    try:
        return parse_json(text.encode())
    except DomainError:
        return text


def _messages(text: str) -> Any:
    if not text.strip():
        return {}
    try:
        return parse_json(text.encode())
    except DomainError as refusal:
        raise wrong("messages", refusal.detail) from None
