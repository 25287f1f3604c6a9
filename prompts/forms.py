"""Forms of the admin's verbs about prompts, channels and projects; each calls one action."""

import json
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.contrib.auth.models import Group

from accounts.forms import InProjectForm, ProjectField, words
from accounts.models import Project, User
from accounts.policies import Principal
from accounts.roles import Permission
from events.admin.seen import Done, VerbForm
from promptforge.lib.errors import DomainError
from promptforge.lib.json import canonical_json, parse_json
from promptforge.lib.verdicts import Verdict
from prompts.actions.lengths import LONGEST_NOTE, LONGEST_REASON
from prompts.actions.projects import PRESETS, create_channel, create_project
from prompts.actions.releases import break_glass, may_move, may_roll_back, promote, rollback
from prompts.actions.rights import set_prompt_rights
from prompts.actions.versions import create_prompt, save_version
from prompts.models import Head, Prompt
from prompts.models.prompts import PROMPT_PERMISSIONS, PromptType
from prompts.reading import find_version

ROWS = {"rows": 16, "spellcheck": "false"}
KEPT = "Left empty, it stays as it is."


class Written(forms.CharField):
    """Text byte for byte as it was typed, blanks at both ends included.

    A browser sends every line end of a text field as CR LF. Exactly that pair becomes LF again, here and nowhere else:
    it is what a page shows and sends back, so a form cannot carry CR LF. The API can.
    """

    def __init__(self, *, rows: int = 16, **kwargs: Any) -> None:
        widget = AdminTextareaWidget(attrs=ROWS | {"rows": rows})
        super().__init__(strip=False, widget=widget, **kwargs)

    def to_python(self, value: Any) -> str:
        text: str = super().to_python(value) or ""
        return text.replace("\r\n", "\n")


class StrictJSON(forms.CharField):
    """JSON as every other door reads it; the order of keys counts. Empty is None."""

    def __init__(self, *, rows: int = 8, **kwargs: Any) -> None:
        widget = AdminTextareaWidget(attrs=ROWS | {"rows": rows})
        super().__init__(strip=False, widget=widget, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)

    def to_python(self, value: Any) -> Any:
        return read_json(value) if value and value.strip() else None

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return canonical_json(self.to_python(data)) != canonical_json(initial)
        except forms.ValidationError:
            return True


def read_json(text: str) -> Any:
    try:
        return parse_json(text.encode())
    except DomainError as refusal:
        raise forms.ValidationError(refusal.detail) from None


class NewPromptForm(InProjectForm):
    title, button = "Add a prompt", "Save version 1"
    permission = Permission.EDIT
    project = ProjectField()
    name = forms.CharField(
        max_length=200, widget=AdminTextInputWidget, help_text="Such as support/greeting. It stays for ever."
    )
    type = forms.ChoiceField(choices=PromptType.choices)
    content = Written(help_text='For a chat a JSON list of messages: [{"role": "system", "content": "…"}]')
    config = StrictJSON(required=False, help_text="A JSON object: model, temperature and the like.")
    variables = StrictJSON(required=False, help_text="Declarations, a JSON list; what is not declared is found.")
    message = Written(required=False, rows=2, max_length=LONGEST_REASON, help_text="Why, in a sentence.")
    description = Written(required=False, rows=2, max_length=LONGEST_NOTE)
    tags = forms.CharField(required=False, widget=AdminTextInputWidget, help_text="Separated by commas.")

    def clean(self) -> dict[str, Any]:
        asked = self.cleaned_data
        if asked.get("type") == PromptType.CHAT and "content" in asked:
            try:
                asked["content"] = read_json(asked["content"])
            except forms.ValidationError as error:
                self.add_error("content", error)
        return asked

    def do(self) -> Done:
        asked = {key: value for key, value in self.cleaned_data.items() if key != "project"}
        prompt, version = create_prompt(by=self.by, **asked | {"tags": words(asked["tags"])})
        return Done(f"{version} was saved.", prompt)


class OnPromptForm(InProjectForm):
    """A verb about one prompt."""

    @classmethod
    def verdict(cls, user: Any, row: Prompt) -> Verdict:
        return Principal(user, row.project).may(cls.permission, row)


class RightsForm(OnPromptForm):
    """The grants of one member or role on one prompt, beyond what the roles give everywhere."""

    title, button = "Set rights on this prompt", "Set the rights"
    warning = "Whoever is chosen holds exactly these rights on this prompt from now on, besides those of their roles."
    who = forms.ChoiceField(label="Member or role")
    rights = forms.MultipleChoiceField(
        required=False,
        choices=[(right.value, right.label) for right in PROMPT_PERMISSIONS],
        widget=forms.CheckboxSelectMultiple,
        help_text="None takes all of them back.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        project = self.row.project
        members = project.membership_set.select_related("user").order_by("user__name")
        groups = project.rolegroup_set.select_related("group")
        self.holders: dict[str, User | Group] = {f"user {m.user_id}": m.user for m in members}
        self.holders |= {f"group {role.group_id}": role.group for role in groups}
        choice: Any = self.fields["who"]
        choice.choices = [(key, str(holder)) for key, holder in self.holders.items()]

    def do(self) -> Done:
        holder, rights = self.holders[self.cleaned_data["who"]], self.cleaned_data["rights"]
        set_prompt_rights(by=self.by, prompt=self.row, user=holder, rights=rights)
        return Done(f"The rights of {holder} on {self.row} are set.", self.row)


class SaveVersionForm(OnPromptForm):
    title, button = "Save a new version", "Save version"
    permission = Permission.EDIT
    content: Any = Written()
    config = StrictJSON(required=False, help_text=f"A JSON object. {KEPT}")
    variables = StrictJSON(
        required=False,
        help_text="Declarations, a JSON list. Left as it is, it follows the text: what occurs no more falls away.",
    )
    message = Written(
        required=False, rows=2, max_length=LONGEST_REASON, help_text="What changed and why, in a sentence."
    )
    base_version = forms.IntegerField(
        min_value=1,
        label="On top of version",
        help_text="The version that you started from; when a newer one exists by now, nothing is saved.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        newest = find_version(self.row, None)
        if newest.type == PromptType.CHAT:
            self.fields["content"] = StrictJSON(rows=16, help_text="A JSON list of messages.")
        elif "\r" in newest.source:
            self.fields["content"].help_text = (
                "This text holds carriage returns, which a browser's text field cannot keep: saved here, they become "
                "plain line ends. Save it by the API to keep them."
            )
        self.initial = {
            "content": newest.typed_source,
            "config": newest.config_object,
            "variables": newest.variable_list,
            "base_version": newest.number,
        }

    def do(self) -> Done:
        asked = {name: self.cleaned_data[name] for name in ("content", "message", "base_version")}
        changed = {name: self.cleaned_data[name] for name in ("config", "variables") if name in self.changed_data}
        saved = save_version(by=self.by, prompt=self.row, **asked, **changed)
        said = "was saved" if saved.created else "holds exactly this already; nothing was saved"
        return Done(f"{saved.version} {said}.", saved.version)


class MoveForm(InProjectForm):
    """A verb that moves one prompt's channel. `row` is the head."""

    version = forms.IntegerField(min_value=1, max_value=2**31 - 1)
    reason = Written(rows=3, required=False, max_length=LONGEST_REASON)
    expected_revision = forms.IntegerField(
        min_value=0,
        label="While it stands at revision",
        help_text="When the channel has moved by now, nothing happens: look again and decide again.",
    )
    field_order = ["version", "reason", "expected_revision"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["expected_revision"] = self.row.revision
        self.fields["version"].help_text = self._where()

    def _where(self) -> str:
        newest = self.row.prompt.next_number - 1
        live = "Nothing is live" if self.row.version is None else f"Version {self.row.version.number} is live"
        return f"{live} on {self.row.channel}; the newest is {newest}."

    @classmethod
    def project_of(cls, row: Head) -> Project:
        return row.prompt.project

    @classmethod
    def verdict(cls, user: Any, row: Head) -> Verdict:
        return may_move(Principal(user, row.prompt.project), cls.permission, row.prompt, row.channel)

    def asked(self) -> dict[str, Any]:
        """What all three moves are told."""
        number, prompt = self.cleaned_data["version"], self.row.prompt
        return {
            "by": self.by,
            "prompt": prompt,
            "channel": self.row.channel,
            "version": None if number is None else find_version(prompt, number),
            "reason": self.cleaned_data["reason"],
            "expected_revision": self.cleaned_data["expected_revision"],
        }

    def moved(self, release: Any) -> Done:
        sentence = f"{release.version} is live on {self.row.channel} now, at revision {release.revision}."
        return Done(sentence, self.row)


class PromoteForm(MoveForm):
    title, button = "Promote a version", "Promote"
    permission = Permission.RELEASE

    def do(self) -> Done:
        return self.moved(promote(**self.asked()))


class RollBackForm(MoveForm):
    title, button = "Roll back", "Roll back"
    permission = Permission.RELEASE

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"].required = False
        self.fields["version"].help_text += " Left empty: the one that was live before."
        self.fields["reason"].help_text = "One sentence is enough."

    @classmethod
    def verdict(cls, user: Any, row: Head) -> Verdict:
        return may_roll_back(Principal(user, row.prompt.project), row.prompt, row.channel)

    def do(self) -> Done:
        return self.moved(rollback(**self.asked()))


class BreakGlassForm(MoveForm):
    title, button = "Break glass", "Break glass"
    fresh_sign_in = True
    permission = Permission.READ
    warning = (
        "This goes past every rule. It takes a right that somebody else gave you for some minutes, is recorded loudly, "
        "and stays open until a second person ratifies it."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].help_text = "At least 20 characters: a second person will read it."

    def do(self) -> Done:
        return self.moved(break_glass(**self.asked()))


class PresetField(forms.ChoiceField):
    def __init__(self) -> None:
        choices = [(name, name.capitalize()) for name in PRESETS]
        help_text = "What it demands. Solo takes direct releases; team wants one approval, strict two."
        super().__init__(choices=choices, initial="team", help_text=help_text)


class NewProjectForm(VerbForm):
    title, button = "Add a project", "Add the project"
    name = forms.CharField(max_length=63, widget=AdminTextInputWidget)
    preset = PresetField()

    def do(self) -> Done:
        creator: Any = self.request.user
        project = create_project(creator=creator, **self.cleaned_data)
        return Done(f"{project} was made. The command create_user makes its first member.", project)


class NewChannelForm(InProjectForm):
    """`row` is the project."""

    title, button = "Add a channel", "Add the channel"
    permission = Permission.CONFIGURE
    name = forms.CharField(max_length=63, widget=AdminTextInputWidget)
    preset = PresetField()

    @classmethod
    def project_of(cls, row: Project) -> Project:
        return row

    def do(self) -> Done:
        name, policy = self.cleaned_data["name"], PRESETS[self.cleaned_data["preset"]]
        channel = create_channel(project=self.row, name=name, policy=policy, creator=self.by.user)
        return Done(f"{channel} was added.", channel)
