"""Making and changing evaluation sets: every change of criteria or cases is a revision of its own, which stays."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from accounts.policies import Principal
from accounts.roles import Permission, Scope
from evaluations.formats.records import MAX_CASES, MAX_LABEL, Imported, number_keys, read_case
from evaluations.models import Case, EvaluationSet, SetRevision
from evaluations.scoring import as_json, read_criteria
from events.actions import record
from events.kinds import EventKind
from promptforge.lib.errors import DomainError, shorten, wrong
from promptforge.lib.json import canonical_json
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import Verdict, require
from prompts.models import Prompt

ROWS_AT_ONCE = 500


class Change(NamedTuple):
    """What a revision differs in from the one before: criteria (None: the same), cases added, rows taken out."""

    criteria: list[dict[str, Any]] | None
    added: list[tuple[int | None, dict[str, Any]]]  # position (None: at the end) and the case
    removed: list[Case]

    @property
    def is_empty(self) -> bool:
        return self.criteria is None and not self.added and not self.removed


def may_edit(by: Principal, prompt: Prompt | None) -> Verdict:
    """Sets are edited by who may edit their prompt, shared ones by editors of the project; keys need a scope."""
    return by.may_with_scope(Permission.EDIT, Scope.EVALUATIONS_RUN, prompt)


def create_set(
    *,
    by: Principal,
    name: str,
    prompt: Prompt | None = None,
    description: str = "",
    criteria: Sequence[Mapping[str, Any]] = (),
    cases: Sequence[Mapping[str, Any]] = (),
) -> EvaluationSet:
    """Make a set with its revision 1."""
    require(may_edit(by, prompt))
    checked = _asked(list(criteria))
    read = [read_case(case, f"/cases/{index}") for index, case in enumerate(cases)]
    with refusals(), transaction.atomic():
        made = EvaluationSet(project=by.project, prompt=prompt, name=_name(name), description=description)
        made.save()
        record(EventKind.SET_CREATED, project_id=by.project.pk, actor=by.actor, subject=("set", made.pk))
        _write(by, made, Change(checked, [(None, case) for case in number_keys(read)], []), "")
    made.refresh_from_db()
    return made


def change_set(
    *,
    by: Principal,
    owner: EvaluationSet,
    name: str | None = None,
    description: str | None = None,
    criteria: Sequence[Mapping[str, Any]] | None = None,
    archived: bool | None = None,
    message: str = "",
) -> EvaluationSet:
    """Change what is given; the rest stays. Other criteria make the next revision."""
    require(may_edit(by, owner.prompt))
    checked = None if criteria is None else _asked(list(criteria))
    with refusals(), transaction.atomic():
        locked = _locked(owner)
        if archived is not None and archived != (locked.archived_at is not None):
            locked.archived_at = timezone.now() if archived else None
            locked.save(update_fields=["archived_at"])
            kind = EventKind.SET_ARCHIVED if archived else EventKind.SET_CHANGED
            record(kind, project_id=by.project.pk, actor=by.actor, subject=("set", locked.pk))
        if (name, description) != (None, None):
            locked.name = locked.name if name is None else _name(name)
            locked.description = locked.description if description is None else description
            locked.save(update_fields=["name", "description"])
            record(EventKind.SET_CHANGED, project_id=by.project.pk, actor=by.actor, subject=("set", locked.pk))
        if checked is not None and checked != _newest(locked).criteria_list:
            _revise(by, locked, Change(checked, [], []), message)
    locked.refresh_from_db()
    return locked


def add_case(*, by: Principal, owner: EvaluationSet, case: Mapping[str, Any], message: str = "") -> Case:
    """Add one case, under its own key or the next free one."""
    read = read_case(case)

    def change(locked: EvaluationSet) -> Change:
        taken = set(_standing(locked).values_list("key", flat=True))
        if read["key"] in taken:
            raise wrong("key", f"The set has a case {shorten(read['key'], 40)} already; change that, or name this one.")
        return Change(None, [(None, {**read, "key": read["key"] or _free_key(taken)})], [])

    _, made = _changed(by, owner, change, message)
    return made[0]


def change_case(*, by: Principal, owner: EvaluationSet, key: str, fields: Mapping[str, Any], message: str = "") -> Case:
    """Change fields of a case. In the new revision another row stands under its key; the old one stays as it was."""

    def change(locked: EvaluationSet) -> Change:
        old = find_case(locked, key)
        new = read_case({**case_fields(old), **fields})
        if not new["key"] or (new["key"] != key and _standing(locked).filter(key=new["key"]).exists()):
            raise wrong("key", "A case keeps a key, and no two of a set have the same.")
        return Change(None, [], []) if new == case_fields(old) else Change(None, [(old.position, new)], [old])

    locked, made = _changed(by, owner, change, message)
    return made[0] if made else find_case(locked, key)


def remove_case(*, by: Principal, owner: EvaluationSet, key: str, message: str = "") -> None:
    """Take a case out of the next revision; earlier ones keep it."""
    _changed(by, owner, lambda locked: Change(None, [], [find_case(locked, key)]), message)


def import_cases(*, by: Principal, owner: EvaluationSet, read: Imported, message: str = "") -> EvaluationSet:
    """Add all that a file brought, as one revision: its cases, and those of its criteria that the set lacks."""

    def change(locked: EvaluationSet) -> Change:
        present = _newest(locked).criteria_list
        more = [criterion for criterion in read.criteria if criterion not in present]
        taken = tuple(_standing(locked).values_list("key", flat=True))
        added = [(None, case) for case in number_keys(read.cases, taken)]
        return Change(_asked(present + more) if more else None, list(added), [])

    locked, _ = _changed(by, owner, change, message)
    return locked


def add_criterion(*, by: Principal, owner: EvaluationSet, criterion: Mapping[str, Any], message: str = "") -> None:
    """Ask one thing more of every answer."""

    def change(locked: EvaluationSet) -> Change:
        return Change(_asked([*_newest(locked).criteria_list, dict(criterion)]), [], [])

    _changed(by, owner, change, message)


def change_criterion(
    *, by: Principal, owner: EvaluationSet, name: str, criterion: Mapping[str, Any], message: str = ""
) -> None:
    """Ask something else in the place of the criterion of that name."""

    def change(locked: EvaluationSet) -> Change:
        present = _newest(locked).criteria_list
        place = _place_of(locked, present, name)
        asked = _asked([*present[:place], dict(criterion), *present[place + 1 :]])
        return Change(None if asked == present else asked, [], [])

    _changed(by, owner, change, message)


def remove_criterion(*, by: Principal, owner: EvaluationSet, name: str, message: str = "") -> None:
    """Ask it no more, from the next revision on."""

    def change(locked: EvaluationSet) -> Change:
        present = _newest(locked).criteria_list
        place = _place_of(locked, present, name)
        return Change(present[:place] + present[place + 1 :], [], [])

    _changed(by, owner, change, message)


def find_case(owner: EvaluationSet, key: str) -> Case:
    """A case of the newest revision."""
    found: Case | None = _standing(owner).filter(key=key).first()
    if found is None:
        raise DomainError("not_found", f"The set {owner} has no case {shorten(key, 40)}.")
    return found


def case_fields(case: Case) -> dict[str, Any]:
    """A stored case with the fields that it was given."""
    return {
        "key": case.key,
        "variables": case.variable_values,
        "messages": case.placeholder_messages,
        "expected": case.expected,
        "tags": case.tags,
        "group": case.group,
        "critical": case.critical,
        "criteria": case.criteria_list,
    }


# --- Inside ----------------------------------------------------------------------------------------------------------
def _changed(
    by: Principal, owner: EvaluationSet, change: Callable[[EvaluationSet], Change], message: str
) -> tuple[EvaluationSet, list[Case]]:
    """Make the next revision under the set's lock; a change of nothing makes none."""
    require(may_edit(by, owner.prompt))
    with refusals(), transaction.atomic():
        locked = _locked(owner)
        made = _revise(by, locked, change(locked), message)
    locked.refresh_from_db()
    return locked, made


def _asked(criteria: list[Any]) -> list[dict[str, Any]]:
    return [as_json(criterion) for criterion in read_criteria(criteria, "/criteria")]


def _place_of(owner: EvaluationSet, criteria: list[dict[str, Any]], name: str) -> int:
    for place, criterion in enumerate(read_criteria(criteria, "/criteria")):
        if criterion.name == name:
            return place
    raise DomainError("not_found", f"{owner} has no criterion {shorten(name, 60)}; somebody may have changed it.")


def _locked(owner: EvaluationSet) -> EvaluationSet:
    return EvaluationSet.objects.select_for_update(no_key=True, of=("self",)).select_related("prompt").get(pk=owner.pk)


def _revise(by: Principal, locked: EvaluationSet, change: Change, message: str) -> list[Case]:
    if locked.archived_at is not None:
        raise DomainError("archived", f"{locked} is archived. Restore it to change its cases and criteria.")
    if change.is_empty:
        return []
    made = _write(by, locked, change, message)
    data = {"revision": locked.revision + 1}
    record(EventKind.SET_REVISED, project_id=by.project.pk, actor=by.actor, subject=("set", locked.pk), **data)
    return made


def _write(by: Principal, owner: EvaluationSet, change: Change, message: str) -> list[Case]:
    """The next revision and its cases, in the one transaction that may write them."""
    number = owner.revision + 1
    count = _standing(owner).count() + len(change.added) - len(change.removed)
    if count > MAX_CASES:
        raise wrong("cases", f"The set would have {count:,} cases; it holds at most {MAX_CASES:,}.")
    criteria = canonical_json(change.criteria) if change.criteria is not None else _newest(owner).criteria
    SetRevision.objects.create(set=owner, number=number, criteria=criteria, message=message, author=by.user)
    if change.removed:
        Case.objects.filter(pk__in=[case.pk for case in change.removed]).update(removed_in=number)
    highest = Case.objects.filter(set=owner).aggregate(highest=Max("position"))["highest"]
    following = 0 if highest is None else highest + 1
    rows = []
    for position, case in change.added:
        rows.append(_row(owner, number, following if position is None else position, case))
        following += position is None
    return Case.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE)


def _row(owner: EvaluationSet, number: int, position: int, case: Mapping[str, Any]) -> Case:
    return Case(
        set=owner,
        key=case["key"],
        position=position,
        added_in=number,
        variables=canonical_json(case["variables"]),
        messages=canonical_json(case["messages"]),
        expected=case["expected"],
        tags=case["tags"],
        group=case["group"],
        critical=case["critical"],
        criteria=canonical_json(case["criteria"]),
        digest=b"",
    )


def _standing(owner: EvaluationSet) -> Any:
    return Case.objects.standing_in(owner.pk, owner.revision)


def _newest(owner: EvaluationSet) -> SetRevision:
    return SetRevision.objects.get(set=owner, number=owner.revision)


def _free_key(taken: set[str]) -> str:
    number = len(taken) + 1
    while f"case-{number}" in taken:
        number += 1
    return f"case-{number}"


def _name(name: str) -> str:
    if not name.strip() or len(name) > MAX_LABEL or not name.isprintable():
        raise wrong("name", f"A set's name is one line of 1 to {MAX_LABEL} characters.", "bad_value")
    return name
