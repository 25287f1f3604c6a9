"""The ground of every admin page: rows narrowed to what may be seen, nothing edited in place, verbs instead.

The admin saves no row by itself. What changes something is a page with one form (`VerbForm`) that calls one action, so
that the sentence of a refusal and the rules behind it are those of every other door.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast
from urllib.parse import urlencode

from django import forms
from django.apps import apps
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from simple_history.admin import SimpleHistoryAdmin

from promptforge.lib.errors import DomainError
from promptforge.lib.verdicts import ALLOWED, Verdict, require

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
else:
    ModelAdmin, TabularInline = admin.ModelAdmin, admin.TabularInline


def projects_seen(request: HttpRequest) -> models.QuerySet[Any]:
    """A superuser sees every project, anybody else those that they are a member of."""
    projects: Any = apps.get_model("accounts", "Project").objects
    seen = projects.all() if sees_all(request) else projects.of_member(request.user)
    return cast("models.QuerySet[Any]", seen.order_by("name"))


def sees_all(request: HttpRequest) -> bool:
    return bool(request.user.is_superuser)


class Done(NamedTuple):
    """What a verb did: a sentence, and the row to look at now (None: the list)."""

    sentence: str
    row: models.Model | None = None


class VerbForm(forms.Form):
    """A form that does one thing, by calling one action. `row` is what it is done to; None when something is made."""

    title: ClassVar[str]
    button: ClassVar[str]
    template: ClassVar[str] = "admin/verb.html"
    warning: str = ""
    remedy: str = ""  # where the last refusal is mended, when that is another page

    def __init__(self, *args: Any, request: HttpRequest, row: Any = None, **kwargs: Any) -> None:
        self.request, self.row = request, row
        super().__init__(*args, **{"label_suffix": ""} | kwargs)

    @classmethod
    def verdict(cls, user: Any, row: Any) -> Verdict:
        """Whether this person may do it to this row; the action asks again."""
        return ALLOWED

    def demand(self) -> None:
        """Refuse for want of what the action cannot ask: how the person signed in."""

    def do(self) -> Done:
        """Call the action with what was typed."""
        raise NotImplementedError

    def ask(self) -> None:
        """Refuse what is refused whatever is typed."""
        if self.row is not None:
            require(self.verdict(self.request.user, self.row))
        self.demand()

    def hindrance(self) -> str:
        """Why it would be refused, told before anything is typed; of a row that is not there yet nothing is asked."""
        if self.row is None or self.is_bound:
            return ""
        try:
            self.ask()
        except DomainError as refusal:
            self._remember_remedy(refusal)
            return refusal.detail
        return ""

    def attempt(self) -> Done | None:
        """Do it, or keep the refusal's sentences as errors of the form."""
        try:
            self.ask()
            return self.do()
        except DomainError as refusal:
            self._remember_remedy(refusal)
            more = [fault.detail for fault in refusal.faults if fault.detail not in refusal.detail]
            self.add_error(None, cast("Any", list(dict.fromkeys([refusal.detail, *more]))))
            return None

    def _remember_remedy(self, refusal: DomainError) -> None:
        """The page that mends a refusal is told to lead back here."""
        if url := refusal.extra.get("url", ""):
            self.remedy = f"{url}{'&' if '?' in url else '?'}{urlencode({'next': self.request.path})}"


@dataclass(frozen=True)
class Verb:
    """Something that can be done to a row: the word in the address, what the button says, and its form."""

    word: str
    label: str
    form: type[VerbForm]


class Tool(NamedTuple):
    label: str
    url: str


class ProjectFilter(admin.SimpleListFilter):
    """Narrows a list to one project, among those that may be seen."""

    title = parameter_name = "project"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return [(project.pk, project.name) for project in projects_seen(request)]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        if self.value() is None:
            return queryset
        rows: Any = admin.site.get_model_admin(queryset.model)
        chosen = projects_seen(request).filter(pk=self.value() if str(self.value()).isdecimal() else None)
        return queryset.filter(**{f"{rows.project_lookup}__in": chosen.values("pk")})


class SeenAdmin(ModelAdmin):
    """Shows the rows that may be seen, changes none, and offers verbs."""

    project_lookup: ClassVar[str] = "project"
    shown: ClassVar[Sequence[str]] = ()
    verbs: ClassVar[Sequence[Verb]] = ()
    add_form: ClassVar[type[VerbForm] | None] = None
    subject_kind: ClassVar[str] = ""
    deferred: ClassVar[Sequence[str]] = ()  # long texts that no list shows
    ordering: ClassVar[Any] = ("-pk",)
    list_filter: ClassVar[Any] = (ProjectFilter,)
    list_per_page = 50
    show_full_result_count = False
    actions = None

    # --- What is seen
    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        rows = super().get_queryset(request).defer(*self.deferred)
        return rows if sees_all(request) else self.narrowed(request, rows)

    def narrowed(self, request: HttpRequest, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Those of `rows` that a staff member may see elsewhere too."""
        return rows.filter(**{f"{self.project_lookup}__in": projects_seen(request).order_by().values("pk")})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.shown

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.shown

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """A list is narrowed by what it shows only: a filter on a hidden column would tell it bit by bit."""
        filters = [getattr(item, "parameter_name", "") for item in self.get_list_filter(request)]
        known = {"id", *self.shown, *filters}
        parts = lookup.split("__")
        # A pattern from outside may cost the database any time, or be none at all.
        return (
            parts[0] in known
            and parts[-1] not in ("regex", "iregex")
            and super().lookup_allowed(lookup, value, request)
        )

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """As Django's, which redirects from what is no date, but not from a number that no date can hold."""
        try:
            return super().get_changelist_instance(request)
        except OverflowError as error:
            raise IncorrectLookupParameters(error) from error

    # --- What may be done: nothing in place; the verbs ask per row
    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_staff)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Staff may look; which rows there are to look at is the queryset's business."""
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.add_form is not None and (sees_all(request) or self.may_add(request))

    def may_add(self, request: HttpRequest) -> bool:
        """Whether somebody who is no superuser is offered to add."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    # --- Verbs
    def get_urls(self) -> list[URLPattern]:
        pages = [
            path(
                f"<path:object_id>/{verb.word}/",
                self.admin_site.admin_view(partial(self.verb_view, verb)),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{verb.word}",
            )
            for verb in self.verbs
        ]
        return [*pages, *super().get_urls()]

    def verb_view(self, verb: Verb, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.form_page(request, verb.form, get_object_or_404(self.get_queryset(request), pk=_key(object_id)))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if self.add_form is None or not self.has_add_permission(request):
            raise PermissionDenied
        return self.form_page(request, self.add_form, None)

    def form_page(self, request: HttpRequest, form_class: type[VerbForm], row: Any) -> HttpResponse:
        """One verb's form: shown, shown again with the refusal, or done.

        No transaction is open around it, so that what the commit itself refuses is a refusal of the action too.
        """
        form = form_class(request.POST if request.method == "POST" else None, request=request, row=row)
        done = form.attempt() if request.method == "POST" and form.is_valid() else None
        if done is not None:
            return self.done(request, form, done)
        fields = [field.name for field in form.visible_fields()]
        adminform = helpers.AdminForm(cast("Any", form), [(None, {"fields": fields})], {}, model_admin=self)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": form.title,
            "subtitle": None if row is None else str(row),
            "form": form,
            "adminform": adminform,
            "refusal": form.hindrance(),
            "media": self.media + adminform.media,
        }
        return TemplateResponse(request, form_class.template, context)

    def done(self, request: HttpRequest, form: VerbForm, done: Done) -> HttpResponse:
        messages.success(request, done.sentence)
        if done.row is None:
            return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))
        self.log_change(request, done.row, form.title)
        return HttpResponseRedirect(page_of(done.row))

    def verbs_for(self, request: HttpRequest, row: Any) -> Sequence[Verb]:
        """Those of the verbs that make sense for this row as it stands."""
        return self.verbs

    def offered(self, request: HttpRequest, row: Any) -> list[Tool]:
        """What this person may do to a row."""
        verbs = [verb for verb in self.verbs_for(request, row) if verb.form.verdict(request.user, row).allowed]
        return [Tool(verb.label, self.verb_url(verb.word, row)) for verb in verbs]

    def verb_url(self, word: str, row: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{word}", args=[quote(row.pk)])

    def tools(self, request: HttpRequest, row: Any) -> list[Tool]:
        """The buttons above a row: what this person may do to it, and where to look further."""
        return [*self.offered(request, row), *self.elsewhere(row)]

    def elsewhere(self, row: Any) -> list[Tool]:
        """Where to look further."""
        tools = []
        if self.subject_kind:
            query = {"subject_kind__exact": self.subject_kind, "subject_id__exact": self.subject_id(row)}
            tools.append(Tool("Events", list_of("events_event", **query)))
        if hasattr(self, "history_form_view"):
            tools.append(Tool("History", self.verb_url("history", row)))
        return tools

    def subject_id(self, row: Any) -> int:
        """The id by which events speak of this row."""
        return int(row.pk)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        row = kwargs.get("obj")
        context["tools"] = [] if row is None else self.tools(request, row)
        return super().render_change_form(request, context, *args, **kwargs)


class RememberedAdmin(SeenAdmin, SimpleHistoryAdmin):  # type: ignore[misc]
    """As SeenAdmin, for what has a history of its own; the history is read, never brought back."""

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        self._refuse_unseen(request, object_id)
        return super().history_view(request, object_id, extra_context)

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """One former state. The library saves it again on POST, asking only for the right to look: so no POST."""
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        self._refuse_unseen(request, object_id)
        return cast("HttpResponse", super().history_form_view(request, object_id, version_id, extra_context))

    def _refuse_unseen(self, request: HttpRequest, object_id: str) -> None:
        # What is gone, a membership that ended, is in nobody's list any more; only a superuser reads its history.
        seen = self.get_queryset(request).filter(pk=_key(object_id)).exists()
        if not seen and not (sees_all(request) and str(object_id).isdecimal()):
            raise Http404


class RowsInline(TabularInline):
    """Rows of another model shown on a page, with a link to each; none is added, changed or deleted here."""

    extra = max_num = 0
    can_delete = False
    show_change_link = True

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def page_of(row: models.Model) -> str:
    """The address of a row's admin page."""
    meta = type(row)._meta  # noqa: SLF001  documented in spite of its name
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[quote(row.pk)])


def list_of(name: str, **query: object) -> str:
    """The address of a list, narrowed."""
    return reverse(f"admin:{name}_changelist", query={key: str(value) for key, value in query.items()})


def shown_as(label: str, order: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Names a computed column."""
    return admin.display(description=label, ordering=order, empty_value="-")


def _key(object_id: str) -> int:
    if not object_id.isdecimal() or int(object_id) >= 2**63:
        raise Http404
    return int(object_id)
