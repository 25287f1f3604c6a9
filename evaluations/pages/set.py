"""One evaluation set: its cases, what is asked of every answer in words, its revisions, and changing all of it."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accounts.pages.door import ProjectPage
from evaluations.actions.sets import (
    add_case,
    add_criterion,
    change_case,
    change_criterion,
    change_set,
    find_case,
    may_edit,
    remove_case,
    remove_criterion,
)
from evaluations.exporting import as_file
from evaluations.models import Case, EvaluationSet, SetRevision
from evaluations.pages.runs import newest_runs
from evaluations.pages.typed_cases import TypedCase, names_of
from evaluations.scoring import Criterion, as_json, read_criteria, sentence
from evaluations.set_reading import counts_of, duplicates_told, find_revision, find_set, power_of
from evaluations.typed_criteria import GROUPS, KINDS, in_form, read_typed, typed
from promptforge.lib.errors import DomainError, wrong
from promptforge.lib.verdicts import require

PER_PAGE, MOST_REVISIONS, LONGEST_MESSAGE = 50, 8, 2_000
EXPORTS = (("json", "JSON"), ("csv", "CSV"), ("jsonl", "JSON lines"), ("promptfoo", "promptfoo"))


class OfSet(ProjectPage):
    """A page of one set within reach."""

    place = "evaluations"
    owner: EvaluationSet

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.set_id = kwargs["set_id"]
        return super().dispatch(request, *args, **kwargs)

    def found(self) -> EvaluationSet:
        self.owner = find_set(self.principal, self.set_id)
        return self.owner

    @property
    def may_change(self) -> bool:
        return may_edit(self.principal, self.owner.prompt).allowed

    @property
    def here(self) -> str:
        return reverse("evaluation_set", args=(self.principal.project.name, self.set_id))


class SetPage(OfSet):
    def get(self, request: HttpRequest, set_id: str) -> HttpResponse:
        owner = self.found()
        revision = find_revision(owner, request.GET.get("revision") if request.method == "GET" else None)
        is_newest = revision.number == owner.revision
        given = self.typed or request.GET
        may_change = self.may_change and is_newest
        act = given.get("act", "") if may_change else ""
        narrowed = _narrowed(revision.cases, request.GET)
        page = Paginator(narrowed, PER_PAGE).get_page(request.GET.get("page"))
        counts = counts_of(revision)
        revisions = SetRevision.objects.filter(set=owner).select_related("author").order_by("-number")
        return self.show(
            "evaluations/set.html",
            {
                "owner": owner,
                "set_id": set_id,
                "revision": revision,
                "is_newest": is_newest,
                "may_change": may_change,
                "act": act,
                "criteria": [(each, sentence(each)) for each in read_criteria(revision.criteria_list, "/criteria")],
                "page": page,
                "rows": [_row(case) for case in page.object_list],
                "asked": {name: request.GET.get(name, "") for name in ("q", "tag", "must")},
                "revisions": revisions[:MOST_REVISIONS],
                "more_revisions": max(0, owner.revision - MOST_REVISIONS),
                "counts": counts,
                "exports": EXPORTS,
                "power": power_of(counts),
                "runs": newest_runs(self.principal, owner),
                "duplicates": duplicates_told(owner) if is_newest else [],
                **self._form(act, given, revision),
            },
        )

    def _form(self, act: str, given: Mapping[str, str], revision: SetRevision) -> dict[str, Any]:
        """What the open form holds: as it stands, or as it was typed."""
        if act in ("add", "change", "remove"):
            case = None if act == "add" else find_case(self.owner, given.get("case", ""))
            names = names_of(self.owner, case)
            shown = TypedCase.of_form(self.typed) if self.typed else TypedCase.of_case(case)
            return {"case": case, "filled": shown, "values": shown.rows(names)}
        if act in ("ask", "ask-other", "unask"):
            return self._criterion_form(act, given, revision)
        if act == "rename":
            return {"filled": self.typed or {"name": self.owner.name, "description": self.owner.description}}
        return {}

    def _criterion_form(self, act: str, given: Mapping[str, str], revision: SetRevision) -> dict[str, Any]:
        chosen: Criterion | None = None
        if act != "ask":
            named = [
                each for each in read_criteria(revision.criteria_list, "/criteria") if each.name == given.get("of")
            ]
            if not named:
                raise DomainError("not_found", "There is no such criterion; somebody may have changed it.")
            chosen = named[0]
        filled = self.typed or (typed(as_json(chosen)) if chosen else given)
        kind = filled.get("type", "")
        return {
            "groups": [(words, list(kinds.items())) for words, kinds in GROUPS.items()],
            "chosen": chosen,
            "chosen_says": sentence(chosen) if chosen else "",
            "filled": filled,
            "kind": KINDS.get(kind),
            "kind_name": kind,
        }

    def post(self, request: HttpRequest, set_id: str) -> HttpResponse:
        owner = self.found()
        require(may_edit(self.principal, owner.prompt))
        act = self.acts.get(request.POST.get("act", ""))
        if act is None:
            raise DomainError("bad_value", "The form does not say what to do. Load the page again and repeat.")
        return act(self)

    def add(self) -> HttpResponse:
        sent = TypedCase.of_form(self.request.POST)
        made = add_case(
            by=self.principal, owner=self.owner, case=sent.fields(self.owner, None), message=self._message()
        )
        if self.request.POST.get("then") == "another":
            self.done(self.here, f"The case {made} is in the set.", "The next one:")
            return HttpResponseRedirect(f"{self.here}?act=add")
        return self._back(f"The case {made} is in the set.", "Runs from now on ask it too.")

    def change(self) -> HttpResponse:
        sent, key = TypedCase.of_form(self.request.POST), self.request.POST.get("case", "")
        fields = sent.fields(self.owner, find_case(self.owner, key))
        fields["key"] = fields["key"] or key
        before = self.owner.revision
        made = change_case(by=self.principal, owner=self.owner, key=key, fields=fields, message=self._message())
        if made.added_in <= before:
            return self._back("Nothing was changed.", f"The case {made} holds exactly this.")
        return self._back(f"The case {made} is changed.", "Earlier runs keep the one that they asked.")

    def remove(self) -> HttpResponse:
        key = self.request.POST.get("case", "")
        remove_case(by=self.principal, owner=self.owner, key=key, message=self._message())
        return self._back(f"The case {key} is taken out.", "Earlier revisions keep it.")

    def ask(self) -> HttpResponse:
        criterion = read_typed(self.request.POST)
        try:
            add_criterion(by=self.principal, owner=self.owner, criterion=criterion, message=self._message())
        except DomainError as refusal:
            raise in_form(refusal) if refusal.faults else refusal from None
        return self._back("That is asked of every answer now.", "Runs from now on score it.")

    def ask_other(self) -> HttpResponse:
        sent = self.request.POST
        criterion, name = read_typed(sent), sent.get("of", "")
        try:
            change_criterion(
                by=self.principal, owner=self.owner, name=name, criterion=criterion, message=self._message()
            )
        except DomainError as refusal:
            raise in_form(refusal) if refusal.faults else refusal from None
        return self._back("The criterion is changed.", "Runs from now on score it.")

    def unask(self) -> HttpResponse:
        name = self.request.POST.get("of", "")
        remove_criterion(by=self.principal, owner=self.owner, name=name, message=self._message())
        return self._back("That is asked no more.", "Earlier revisions keep it.")

    def rename(self) -> HttpResponse:
        name, text = (self.request.POST.get(field, "").strip() for field in ("name", "description"))
        if len(text) > LONGEST_MESSAGE:
            raise wrong("description", f"At most {LONGEST_MESSAGE:,} characters; this has {len(text):,}.")
        change_set(by=self.principal, owner=self.owner, name=name, description=text)
        return self._back("The name and the purpose are saved.", "")

    def archive(self) -> HttpResponse:
        change_set(by=self.principal, owner=self.owner, archived=True)
        return self._back(f"{self.owner} is archived.", "Nothing of it is lost; it can be restored here.")

    def restore(self) -> HttpResponse:
        change_set(by=self.principal, owner=self.owner, archived=False)
        return self._back(f"{self.owner} is restored.", "It can be changed and run again.")

    def _message(self) -> str:
        return self.request.POST.get("message", "").strip()[:LONGEST_MESSAGE]

    def _back(self, sentence: str, then: str) -> HttpResponse:
        return self.done(self.here, sentence, then)

    acts: ClassVar[Mapping[str, Callable[[Any], HttpResponse]]] = {
        "add": add,
        "change": change,
        "remove": remove,
        "ask": ask,
        "ask-other": ask_other,
        "unask": unask,
        "rename": rename,
        "archive": archive,
        "restore": restore,
    }


class ExportPage(OfSet):
    """A set as a file, for who is signed in here."""

    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, set_id: str) -> HttpResponse:
        owner = self.found()
        return as_file(owner, find_revision(owner, request.GET.get("revision")), request.GET.get("format", "json"))


def _narrowed(cases: Any, given: Mapping[str, str]) -> Any:
    """The cases that have these words, this tag, or must pass."""
    if words := given.get("q", "").strip()[:200]:
        cases = cases.filter(Q(key__icontains=words) | Q(variables__icontains=words) | Q(expected__icontains=words))
    if tag := given.get("tag", ""):
        cases = cases.filter(tags__contains=[tag])
    if given.get("must") == "critical":
        cases = cases.filter(critical=True)
    return cases


def _row(case: Case) -> dict[str, Any]:
    own = read_criteria(case.criteria_list, "/criteria")
    return {
        "case": case,
        "values": list(case.variable_values.items()),
        "placeholders": list(case.placeholder_messages),
        "own": [sentence(each) for each in own],
    }
