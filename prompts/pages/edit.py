"""The editor: writing a prompt's next version, or a new prompt; a draft is kept as it is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.module_loading import import_string

from accounts.pages.door import ProjectPage
from accounts.policies import held
from accounts.roles import Permission
from promptforge.lib.errors import DomainError
from promptforge.lib.verdicts import require
from prompts.actions.drafts import FIRST_SAMPLE, keep_draft, keep_sample, own_draft, own_samples, throw_away
from prompts.actions.versions import create_prompt, save_version
from prompts.models import Draft, Head, Prompt, PromptVersion
from prompts.models.prompts import PromptType
from prompts.pages import lint
from prompts.pages.typed import KINDS, Text, Typed, plain
from prompts.reading import find_prompt, find_version

TYPES = ("string", "number", "integer", "boolean", "enum", "json")


@dataclass(frozen=True)
class Field:
    """One text of the form: its place, what is wrong with it, and the unknown variables in it."""

    place: int
    text: Text
    error: str
    unknown: list[tuple[str, str]]


class Editor(ProjectPage):
    """What both pages show: the texts, the declarations, the preview, and what to know before saving."""

    place = "prompts"

    def work(
        self, typed: Typed, live: PromptVersion | None, values: Mapping[str, str], hand: int | None
    ) -> dict[str, Any]:
        seen = lint.look_at(typed, self.principal)
        if self.refusal is None and not any(text.text.strip() for text in typed.texts):
            seen.refusals.clear()  # nobody wrote anything yet
        refusals = [*seen.refusals, *([self.refusal] if self.refusal else [])]
        faults = [(fault.pointer, fault.detail) for refusal in refusals for fault in refusal.faults]
        return {
            "work": typed,
            "is_chat": typed.kind == PromptType.CHAT,
            "fields": [_field(place, text, typed, seen, faults) for place, text in enumerate(typed.texts)],
            "rows": [(row, _at(faults, f"/v-{place}")) for place, row in enumerate(typed.rows)],
            "config_error": _at(faults, "/config"),
            "message_error": _at(faults, "/message"),
            "kinds": KINDS,
            "types": TYPES,
            "in_hand": hand,
            "seen": seen,
            "known": " ".join({*[row.name for row in typed.rows], *seen.inherited}),
            "notes": lint.notes(seen, live),
            "preview": lint.preview(seen, values),
            "values": [(name, values.get(name, "")) for name in seen.names],
            "longer": lint.longer(seen, live),
        }


class EditPage(Editor):
    """`GET` draws the draft, or the version to begin with; every `POST` keeps the draft, then does what was asked."""

    kept: Draft | None = None  # what this request kept

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        prompt = self._prompt(name)
        draft = own_draft(self.principal, prompt)
        newest, live, begun = self._versions(prompt, draft)
        samples = own_samples(self.principal, prompt)
        sample = self._sample(samples)
        if self.typed:
            typed, values = Typed.of_form(self.typed, prompt.type, Typed.of_version(begun)), values_of(self.typed)
        else:
            typed = Typed.of_draft(draft) if draft else Typed.of_version(begun)
            values = next((row.given for row in samples if row.name == sample), {})
        base = _base(self.typed) or begun.number
        hand = request.GET.get("message", "")
        work = self.work(typed, live, values, int(hand) if hand.isdecimal() and len(hand) < 6 else None)
        others = Draft.objects.filter(prompt=prompt).exclude(user=self.principal.user).select_related("user")
        return self.show(
            "prompts/edit.html",
            {
                "prompt": prompt,
                "may": held(self.principal.user, self.principal.project, prompt),
                "draft": draft,
                "last_kept": self.typed.get("seen", "") if self.typed and self.kept is None else _stamp(draft),
                "base": base,
                "begun": begun,
                "next": newest.number + 1,
                "newest": newest,
                "live": live,
                "moved_on": base != newest.number,
                "in_other_window": self.refusal is not None and self.refusal.code == "stale_draft",
                "throwing_away": request.GET.get("act") == "throw-away" and draft is not None,
                "others": [each.user for each in others],
                "samples": samples,
                "sample": sample,
                "trial": self._trial(prompt, work["seen"], live, values),
                **work,
            },
            part="work",
        )

    def post(self, request: HttpRequest, name: str) -> HttpResponse:
        prompt, form = self._prompt(name), _readable(request.POST)
        draft = own_draft(self.principal, prompt)
        here = reverse("edit", args=(self.principal.project.name, prompt.name))
        act = form.get("act", "draft")
        if act == "throw-away":
            throw_away(by=self.principal, prompt=prompt)
            return self.done(
                reverse("prompt", args=(self.principal.project.name, prompt.name)),
                "Your draft is thrown away.",
                "Every version is as it was.",
            )
        newest, _, begun = self._versions(prompt, draft)
        before = Typed.of_draft(draft) if draft else Typed.of_version(begun)
        typed, hand = Typed.of_form(form, prompt.type, before).acted(_named(act, form))
        base = prompt.versions.filter(number=_base(form) or 0).first() or begun
        self.kept = keep_draft(
            by=self.principal,
            prompt=prompt,
            columns=typed.stored(),
            base=newest if act == "rebase" else base,
            seen=draft.updated_at if draft and act == "mine" else _moment(form.get("seen", "")),
        )
        if act == "save":
            return self._save(prompt, typed, _base(form) or 0)
        sample = plain(form.get("new-sample" if act == "sample" else "sample", ""))
        keep_sample(by=self.principal, prompt=prompt, name=sample, values=values_of(form))
        query = QueryDict(mutable=True)
        chosen = {"sample": sample, "connection": plain(form.get("connection", ""))}
        query.update({name: value for name, value in chosen.items() if value})
        if hand is not None:
            query["message"] = str(hand)
        return HttpResponseRedirect(f"{here}?{query.urlencode()}" if query else here)

    def _save(self, prompt: Prompt, typed: Typed, base: int) -> HttpResponse:
        seen = lint.look_at(typed, self.principal)
        for refusal in seen.refusals:
            raise refusal
        saved = save_version(
            by=self.principal,
            prompt=prompt,
            content=typed.content,
            config=seen.config,
            variables=typed.declarations(seen.names),
            message=typed.message,
            base_version=base,
        )
        throw_away(by=self.principal, prompt=prompt)
        number = saved.version.number
        then = f"{reverse('compare', args=(self.principal.project.name, prompt.name))}?to={number}"
        if not saved.created:
            return self.done(then, f"Nothing was saved: version {number} holds exactly this.")
        return self.done(then, f"Version {number} is saved.", "Customers get it only after a promotion.")

    def _trial(
        self, prompt: Prompt, seen: lint.Seen, live: PromptVersion | None, values: Mapping[str, str]
    ) -> dict[str, Any]:
        """What the app above shows of a model that is asked with the draft."""
        chosen = (self.typed or self.request.GET).get("connection", "")
        draw = import_string(settings.EDITOR_TRIAL_PART)
        part: dict[str, Any] = draw(self.principal, prompt, seen, live, values, chosen)
        return part

    def _prompt(self, name: str) -> Prompt:
        prompt = find_prompt(self.principal, name)
        require(self.principal.may(Permission.EDIT, prompt))
        if prompt.archived_at is not None:
            raise DomainError("archived", f"{prompt} is archived. Restore it to write on it.")
        return prompt

    def _versions(
        self, prompt: Prompt, draft: Draft | None
    ) -> tuple[PromptVersion, PromptVersion | None, PromptVersion]:
        """The newest one, the one that is live in stable, and the one that the draft, or what was typed, began with."""
        newest = prompt.versions.get(number=prompt.next_number - 1)
        head = Head.objects.filter(prompt=prompt, channel__name="stable").select_related("version").first()
        asked = _base(self.typed) or _number(self.request.GET.get("from", ""))
        begun = draft.base_version if draft and draft.base_version else newest
        if draft is None and asked is not None and asked != newest.number:
            begun = find_version(prompt, asked)
        return newest, head.version if head else None, begun

    def _sample(self, samples: list[Any]) -> str:
        asked = self.typed.get("sample", "") if self.typed else self.request.GET.get("sample", "")
        if asked:
            return asked
        return max(samples, key=lambda row: row.updated_at).name if samples else FIRST_SAMPLE


class NewPromptPage(Editor):
    """A prompt and its version 1. Nothing is kept before that is saved: there is no prompt yet that a draft is of."""

    def get(self, request: HttpRequest) -> HttpResponse:
        require(self.principal.may(Permission.EDIT))
        form = self.typed or request.GET
        kind = form.get("type", PromptType.CHAT)
        kind = kind if kind in PromptType.values else PromptType.CHAT
        typed, hand = Typed.blank(kind), None
        if self.typed:
            typed, hand = Typed.of_form(self.typed, kind).acted(_named(self.typed.get("act", ""), self.typed))
        return self.show(
            "prompts/new.html",
            {"given": form, **self.work(typed, None, values_of(self.typed) if self.typed else {}, hand)},
            part="work",
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        require(self.principal.may(Permission.EDIT))
        form = _readable(request.POST)
        if form.get("act") != "save":
            return self.get(request)
        typed = Typed.of_form(form, form.get("type", ""))
        seen = lint.look_at(typed, self.principal)
        for refusal in seen.refusals:
            raise refusal
        prompt, _ = create_prompt(
            by=self.principal,
            name=form.get("name", "").strip(),
            content=typed.content,
            type=typed.kind,
            config=seen.config,
            variables=typed.declarations(seen.names),
            message=typed.message,
            description=plain(form.get("description", "")),
        )
        here = reverse("prompt", args=(self.principal.project.name, prompt.name))
        return self.done(here, f"{prompt} is there, with version 1.", "Nobody gets it before it is promoted.")


def _readable(form: QueryDict) -> QueryDict:
    if any("\0" in text for _, texts in form.lists() for text in texts):
        raise DomainError("nul_not_allowed", "The form holds the NUL character (U+0000); remove it.")
    return form


def _field(place: int, text: Text, typed: Typed, seen: lint.Seen, faults: list[tuple[str, str]]) -> Field:
    pointer = f"/content/{place}" if typed.kind == PromptType.CHAT else "/content"
    names = lint.names_in(text.text)
    unknown = [(name, typed.likely(name)) for name in seen.undeclared if name in names]
    return Field(place, text, _at(faults, pointer), unknown)


def _at(faults: list[tuple[str, str]], pointer: str) -> str:
    return next((detail for place, detail in faults if place == pointer or place.startswith(f"{pointer}/")), "")


def _named(act: str, form: QueryDict) -> str:
    """What a button is to do; the one beside a field says with what."""
    return f"declare:{plain(form.get('new-variable', '')).strip()}" if act == "declare" else act


def values_of(form: QueryDict) -> dict[str, str]:
    return dict(zip(form.getlist("s-name"), map(plain, form.getlist("s-value")), strict=False))


def _base(form: QueryDict) -> int | None:
    return _number(form.get("base", ""))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _moment(text: str) -> datetime | None:
    try:
        return parse_datetime(text)
    except ValueError:
        return None


def _stamp(draft: Draft | None) -> str:
    return draft.updated_at.isoformat() if draft else ""
