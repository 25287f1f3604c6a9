"""What every section of the settings is: a page of its own, with the index of sections at its side.

Who may not change something reads what they may, and who can change it.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.dateparse import parse_datetime
from django.utils.functional import cached_property

from accounts.models import Membership
from accounts.pages.door import ProjectPage
from accounts.roles import ROLE_PERMISSIONS, Permission
from promptforge.lib.errors import DomainError, shorten, wrong
from promptforge.lib.verdicts import require

MOST_NAMED = 5
FIRST_YEAR, LAST_YEAR = 1970, 9998  # elsewhere, another zone may lie outside of what a date can be


class Section(NamedTuple):
    """An entry of the index: the name of its address, its words, its icon."""

    url: str
    words: str
    icon: str


SECTIONS = (
    Section("settings", "Project", "sliders-horizontal"),
    Section("settings_members", "Members", "users"),
    Section("settings_channels", "Channels", "shield-check"),
    Section("settings_rules", "Gate rules", "list-checks"),
    Section("settings_keys", "API keys", "key-round"),
    Section("settings_webhooks", "Webhooks", "webhook"),
    Section("settings_notifications", "Notifications", "bell"),
)


class SettingsPage(ProjectPage):
    """One section. `needs` is the right to change what it shows."""

    place = "settings"
    section: ClassVar[str]
    needs: ClassVar[Permission] = Permission.CONFIGURE

    @cached_property
    def may_change(self) -> bool:
        return self.may[self.needs.value]

    @property
    def given(self) -> QueryDict:
        """What was asked: the form that was sent, or the link that was followed."""
        return self.typed or self.request.GET

    @property
    def act(self) -> str:
        """Which form is open in the page."""
        return self.given.get("act", "")

    def draw(self, template: str, context: Mapping[str, Any]) -> HttpResponse:
        return self.show(
            template,
            {
                "sections": SECTIONS,
                "section": self.section,
                "may_change": self.may_change,
                "changers": () if self.may_change else self._changers(),
                "act": self.act,
                **context,
            },
        )

    def draw_once(self, template: str, context: Mapping[str, Any]) -> HttpResponse:
        """The same with something that is shown this once: nobody keeps the page."""
        self.typed = QueryDict()
        response = self.draw(template, context)
        response["Cache-Control"] = "no-store"
        return response

    def _changers(self) -> list[str]:
        """Who of the project may change what this section shows."""
        roles = [role.value for role, rights in ROLE_PERMISSIONS.items() if self.needs in rights]
        members = Membership.objects.filter(project=self.principal.project, roles__overlap=roles, user__is_active=True)
        return [str(each.user) for each in members.select_related("user").order_by("user__name")[:MOST_NAMED]]


class ActingPage(SettingsPage):
    """A section with forms. `acts` is which form does what, by the name that it sends."""

    acts: ClassVar[Mapping[str, Callable[[Any], HttpResponse]]]

    def post(self, request: HttpRequest) -> HttpResponse:
        act = self.acts.get(request.POST.get("act", ""))
        if act is None:
            raise DomainError("bad_value", "The form does not say what to do. Load the page again and repeat.")
        require(self.principal.may(self.needs))
        return act(self)


def lines(text: str) -> list[str]:
    """What stands on lines of their own or between commas, without blanks around it."""
    return [word for word in (part.strip() for part in text.replace("\n", ",").split(",")) if word]


def whole(given: Mapping[str, str], field: str, least: int, most: int) -> int:
    """The whole number in a field, or its refusal there."""
    text = given.get(field, "").strip()
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1
    if not least <= number <= most:
        raise wrong(field, f"A whole number from {least:,} to {most:,}.")
    return number


def instant(given: Mapping[str, str], field: str) -> datetime:
    """The moment in a field, read in the zone that the form names."""
    name = given.get("zone", "").strip() or "UTC"
    if name not in available_timezones():
        raise wrong("zone", f"{shorten(name)} is no time zone. Write it as Europe/Vienna, or UTC.")
    try:
        moment = parse_datetime(given.get(field, "").strip())
    except ValueError:
        moment = None
    if moment is None or not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise wrong(field, "Say a day and a time, such as 2026-12-24 18:00.")
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(name))).astimezone(UTC)
