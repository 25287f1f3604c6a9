"""The project itself: its name, the preset that it follows, and what happens while the database is gone."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.models import Membership
from accounts.pages.settings import ActingPage
from accounts.roles import Permission
from promptforge.lib.errors import wrong
from prompts.actions.projects import change_project
from prompts.models import Channel, Prompt
from prompts.pages import policy_words

OUTAGES = (
    ("no", "Say so", "Fetches are answered 503 until the database is back. Nobody gets what may be old."),
    ("yes", "Go on from memory", "Fetches of channels get what was live last, marked as stale."),
)


class SettingsOfProject(ActingPage):
    section = "settings"
    needs = Permission.CONFIGURE

    def get(self, request: HttpRequest) -> HttpResponse:
        project = self.principal.project
        stable = Channel.objects.select_related("policy").get(project=project, name="stable")
        assert stable.policy is not None
        preset = policy_words.preset_of(stable.policy)
        names = policy_words.names_of([stable.policy])
        now = "yes" if project.serves_stale else "no"
        return self.draw(
            "prompts/project.html",
            {
                "preset": policy_words.PRESETS_IN_WORDS.get(preset),
                "says": policy_words.sentences(stable.policy, names),
                "members": Membership.objects.filter(project=project).count(),
                "prompts": Prompt.objects.filter(project=project, archived_at=None).count(),
                "outages": OUTAGES,
                "outage": [self.typed.get("serves_stale", now)],
            },
        )

    def save(self) -> HttpResponse:
        asked = self.request.POST.get("serves_stale")
        if asked not in ("yes", "no"):
            raise wrong("serves_stale", "Choose what fetches get while the database is gone.")
        change_project(by=self.principal, serves_stale=asked == "yes")
        here = reverse("settings", args=(self.principal.project.name,))
        return self.done(here, "Saved.", "It holds for the next outage.")

    acts = {"save": save}
