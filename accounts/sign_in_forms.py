"""Forms of the pages about signing in. Every guess of a password or code is counted before it is looked at."""

from typing import Any

from allauth.account.forms import ChangePasswordForm, ResetPasswordForm
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm
from django import forms

from accounts.models import ResetLetter, User
from accounts.second_factor import counter_of, has_second_factor, password_was_right, use_code
from accounts.sign_in import counted_guess, counted_letter, failed
from accounts.sign_in_limits import succeeded


class CodeForm(AuthenticateForm):  # type: ignore[misc]
    """The second step of a sign-in."""

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        counted = counted_guess(context.request, self.user.email)
        self.authenticator = use_code(self.user, code)
        if self.authenticator is None:
            raise failed("This is not a present code, or it was used already. Wait for the next one.", counted)
        succeeded(counted)
        return code


class ConfirmForm(forms.Form):
    """Whoever is signed in proves anew who they are, by all that a sign-in takes."""

    password = forms.CharField(strip=False)
    code = forms.CharField()

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        if not has_second_factor(user):
            del self.fields["code"]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if self.errors:
            return given
        counted = counted_guess(context.request, self.user.email)
        right = self.user.check_password(given["password"])
        if not right or ("code" in self.fields and use_code(self.user, given["code"]) is None):
            both = "Password and code do not match, or the code was used already."
            raise failed(both if "code" in self.fields else "This is not your password.", counted)
        succeeded(counted)
        return given


class ChangeForm(ChangePasswordForm):  # type: ignore[misc]
    """Another password for whoever knows the present one."""

    def clean_oldpassword(self) -> str:
        counted = counted_guess(context.request, self.user.email)
        password: str = self.cleaned_data["oldpassword"]
        if not self.user.check_password(password):
            raise failed("This is not your present password.", counted)
        password_was_right(self.user, counted)
        return password


class AddFactorForm(forms.Form):
    """A code that proves that the app has the secret."""

    code = forms.CharField()

    def __init__(self, *args: Any, secret: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.secret, self.counter = secret, -1

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        counter = counter_of(self.secret, code)
        if counter is None:
            raise forms.ValidationError(
                "The app shows another code. Compare the time of both devices, then type the present one."
            )
        self.counter = counter
        return code


class LetterForm(ResetPasswordForm):  # type: ignore[misc]
    """Asks for a letter with a link. Whether somebody has the address is not said, and takes no longer."""

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        counted_letter(context.request, email)
        return email

    def save(self, *_: Any, **__: Any) -> str:
        email: str = self.cleaned_data["email"]
        people = User.objects.addressed(email).filter(kind=User.Kind.PERSON, is_active=True)
        letters = [ResetLetter(user=person) for person in people]
        ResetLetter.objects.bulk_create(letters, ignore_conflicts=True)
        return email
