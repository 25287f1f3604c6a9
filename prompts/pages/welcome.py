"""Setting up: the first account with its project, where nobody has one yet; and a further project of one's own."""

import time
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from accounts.actions.sign_in import tell_sign_in
from accounts.admission import take_write
from accounts.models import User
from accounts.pages.outside import OutsidePage
from accounts.sessions import note_beginning
from accounts.sign_in import SIGNED_IN_AT
from promptforge.lib.errors import wrong
from prompts.actions.first_run import require_nobody, set_up
from prompts.actions.projects import PRESETS, found_project
from prompts.demo.loader import begin_demo, load_demo_for
from prompts.pages.policy_words import PRESETS_IN_WORDS, unanswered_checks

DEMO = "demo"
BACKEND = "django.contrib.auth.backends.ModelBackend"
# What each preset means for somebody who waits, in three lines.
RULES = {
    "solo": ("No approval needed", "Checks advise, and never block", "Roll back with one click"),
    "team": ("1 approval, never the author’s", "Hidden text and secrets block", "Roll back with one click"),
    "strict": ("2 approvals, never the author’s", "Evaluation must pass, always", "Canary first, then everybody"),
}


def _presets() -> list[tuple[str, str, str, tuple[str, ...], bool]]:
    unanswered = unanswered_checks()
    return [
        (name, *PRESETS_IN_WORDS[name], rules, bool(unanswered & set(PRESETS[name]["required_checks"])))
        for name, rules in RULES.items()
    ]


class WelcomePage(OutsidePage):
    """Open to whoever knows the code that the server printed, until there is an account; absent from then on."""

    template = "prompts/welcome.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        require_nobody()
        return self.show({})

    def always(self) -> Mapping[str, Any]:
        return {
            "presets": _presets(),
            "chosen": self.typed.get("preset", ""),
            "examples": self.typed.get("examples", ""),
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        require_nobody()
        sent = request.POST
        wants_examples = sent.get("examples")
        if wants_examples not in ("yes", "no"):
            raise wrong("examples", "Choose whether to begin with examples.")
        name = sent.get("name", "").strip()
        if wants_examples == "yes" and name == DEMO:
            raise wrong("name", "The examples are the project demo. Call yours otherwise, or begin without them.")
        if sent.get("password") != sent.get("again"):
            raise wrong("again", "The two passwords differ.")
        asked = {field: sent.get(field, "").strip() for field in ("code", "called", "email", "preset")}
        user = set_up(password=sent.get("password", ""), name=name, **asked)
        with transaction.atomic():
            login(request, user, backend=BACKEND)
            note_beginning(request)
            request.session[SIGNED_IN_AT] = time.time()
            tell_sign_in(user=user, factor="password")
        if wants_examples == "yes":
            begin_demo(load_demo_for(user))
        messages.success(request, f"{name} is yours.", extra_tags="Write a prompt, or look at the settings first.")
        return redirect("inbox", name)


class NewProjectPage(OutsidePage):
    """A further project: whoever signs in may make one, and is its first admin and release manager."""

    template = "prompts/new_project.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not isinstance(request.user, User):
            return redirect_to_login(request.get_full_path())
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show({})

    def always(self) -> Mapping[str, Any]:
        return {"presets": _presets(), "chosen": self.typed.get("preset", "")}

    def post(self, request: HttpRequest) -> HttpResponse:
        assert isinstance(request.user, User)
        take_write(request.user).require()
        sent = request.POST
        name = sent.get("name", "").strip()
        found_project(by=request.user, name=name, preset=sent.get("preset", ""))
        messages.success(request, f"{name} is there.", extra_tags="You are its admin and release manager.")
        return redirect("settings_members", name)
