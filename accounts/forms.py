"""Forms of the admin's verbs about people and keys; each calls one action."""

from typing import TYPE_CHECKING, Any, ClassVar, cast

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.http import HttpRequest

from accounts.actions.api_keys import NewKey, create_key, revoke_key
from accounts.actions.members import create_user, grant_break_glass, remove_member, set_roles
from accounts.actions.sign_in import set_password
from accounts.models import Project, User
from accounts.policies import Principal
from accounts.roles import Permission, Role, Scope
from accounts.sign_in import require_recent_sign_in
from events.admin.seen import Done, VerbForm, projects_seen
from promptforge.lib.errors import DomainError
from promptforge.lib.verdicts import Verdict, require

if TYPE_CHECKING:
    _ProjectChoice = forms.ModelChoiceField[Project]
else:
    _ProjectChoice = forms.ModelChoiceField


def words(text: str) -> list[str]:
    """What stands on lines of their own or between commas, without blanks around it."""
    return [word.strip() for word in text.replace("\n", ",").split(",") if word.strip()]


class ProjectField(_ProjectChoice):
    """One of the projects that may be seen."""

    def __init__(self) -> None:
        super().__init__(Project.objects.none(), empty_label=None)


class InProjectForm(VerbForm):
    """A verb about a project: asked of the person as a principal there, a superuser like anybody else."""

    permission: ClassVar[Permission] = Permission.ADMINISTER
    fresh_sign_in: ClassVar[bool] = False  # grave acts take one, as they do by REST

    def __init__(self, *args: Any, request: HttpRequest, row: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, request=request, row=row, **kwargs)
        if isinstance(choice := self.fields.get("project"), forms.ModelChoiceField):
            choice.queryset = projects_seen(request)

    @classmethod
    def project_of(cls, row: Any) -> Project:
        project: Project = row.project
        return project

    @classmethod
    def verdict(cls, user: Any, row: Any) -> Verdict:
        return Principal(user, cls.project_of(row)).may(cls.permission)

    def demand(self) -> None:
        if not self.fresh_sign_in:
            return
        if self.row is None:
            require(self.by.may(self.permission))
        require_recent_sign_in(self.request)

    @property
    def by(self) -> Principal:
        project = self.cleaned_data["project"] if self.row is None else self.project_of(self.row)
        user: Any = self.request.user
        return Principal(user, project)


class NewUserForm(VerbForm):
    title, button = "Add a person", "Add the person"
    email = forms.EmailField(widget=AdminTextInputWidget)
    name = forms.CharField(max_length=200, required=False, widget=AdminTextInputWidget)
    password = forms.CharField(
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 12 characters. Left empty, the person cannot sign in until one is set.",
    )
    is_staff = forms.BooleanField(required=False, label="May open the admin")
    is_superuser = forms.BooleanField(
        required=False, label="Superuser", help_text="Sees everything, and decides only where they are a member."
    )

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if User.objects.addressed(email).exists():
            raise forms.ValidationError("A person with this address is here already.")
        return email

    def do(self) -> Done:
        user = create_user(**self.cleaned_data | {"password": self.cleaned_data["password"] or None})
        return Done(f"{user} was added. Roles are given per project: add a membership.", user)


class SetPasswordForm(VerbForm):
    title, button = "Set the password", "Set the password"
    password = forms.CharField(
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 12 characters. Other sessions of the person end.",
    )

    @classmethod
    def verdict(cls, user: Any, row: Any) -> Verdict:
        """Accounts belong to no project: superusers keep them."""
        if user.is_superuser and row.kind == User.Kind.PERSON:
            return Verdict()
        return Verdict("forbidden", "Only a superuser sets passwords, and only of people.")

    def do(self) -> Done:
        user, by = self.row, self.request.user
        set_password(user=user, password=self.cleaned_data["password"], by=cast("User", by))
        return Done(f"{user} has a new password.", user)


class RolesField(forms.MultipleChoiceField):
    def __init__(self) -> None:
        super().__init__(choices=Role.choices, widget=forms.CheckboxSelectMultiple)


class NewMemberForm(InProjectForm):
    title, button = "Add a member", "Add the member"
    project = ProjectField()
    email = forms.EmailField(
        widget=AdminTextInputWidget, help_text="The address of somebody who has an account already."
    )
    roles = RolesField()

    def do(self) -> Done:
        user = User.objects.addressed(self.cleaned_data["email"]).filter(kind=User.Kind.PERSON).first()
        by, roles = self.by, self.cleaned_data["roles"]
        if user is None:
            raise DomainError("not_found", f"There is no person with the address {self.cleaned_data['email']}.")
        return Done(f"{user} is a member now.", set_roles(project=by.project, user=user, roles=roles, by=by))


class SetRolesForm(InProjectForm):
    title, button = "Set roles", "Set the roles"
    roles = RolesField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["roles"] = self.row.roles

    def do(self) -> Done:
        row = self.row
        membership = set_roles(project=row.project, user=row.user, roles=self.cleaned_data["roles"], by=self.by)
        return Done(f"The roles of {row.user} are set.", membership)


class RemoveMemberForm(InProjectForm):
    title, button = "Remove the member", "Remove the member"
    warning = "The membership ends at once; what the person wrote and decided stays."

    def do(self) -> Done:
        person = self.row.user
        remove_member(membership=self.row, by=self.by)
        return Done(f"{person} is no longer a member of {self.row.project}.")


class NewKeyForm(InProjectForm):
    title, button = "Make a key", "Make the key"
    fresh_sign_in = True
    warning = "The key is shown once, on the next page, and stored nowhere. You answer for what it does."
    project = ProjectField()
    name = forms.CharField(max_length=100, widget=AdminTextInputWidget, help_text="Who uses it.")
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in Scope.values], widget=forms.CheckboxSelectMultiple
    )
    channels = forms.CharField(
        required=False,
        widget=AdminTextInputWidget,
        help_text="What it may select, separated by commas (latest and pinned count); none means all.",
    )
    prompts = forms.CharField(
        required=False,
        widget=AdminTextareaWidget(attrs={"rows": 3}),
        help_text="Name patterns such as support/*, separated by commas; none means all.",
    )
    expires_at = forms.DateTimeField(
        required=False, widget=AdminTextInputWidget, help_text="Such as 2027-01-31 18:00, UTC; none means never."
    )
    rate_fetch = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=1_000_000,
        label="Fetches per second",
        help_text="None means the default.",
    )
    made: NewKey

    def do(self) -> Done:
        asked = dict(self.cleaned_data)
        by = self.by
        for listed in ("channels", "prompts"):
            asked[listed] = words(asked[listed])
        self.made = create_key(**asked, responsible=by.user, by=by)
        return Done("The key was made.", self.made.key)


class RevokeKeyForm(InProjectForm):
    title, button = "Revoke the key", "Revoke the key"
    warning = "The next request with it is refused. A revoked key never comes back."

    def do(self) -> Done:
        key = revoke_key(key=self.row, by=self.by)
        return Done(f"The key {key.public_id} is revoked.", key)


class NewGrantForm(InProjectForm):
    title, button = "Let somebody break glass", "Give the right"
    fresh_sign_in = True
    project = ProjectField()
    email = forms.EmailField(widget=AdminTextInputWidget, help_text="Of a member.")
    minutes = forms.IntegerField(min_value=1, max_value=24 * 60, initial=60)

    def do(self) -> Done:
        by, email = self.by, self.cleaned_data["email"]
        member = by.project.membership_set.filter(user__in=User.objects.addressed(email)).select_related("user").first()
        if member is None:
            raise DomainError("not_found", f"No member of {by.project} has the address {email}.")
        grant = grant_break_glass(project=by.project, user=member.user, minutes=self.cleaned_data["minutes"], by=by)
        return Done(f"{member.user} may break glass for {self.cleaned_data['minutes']} minutes.", grant)
