"""Every kind of event has words, and everybody who is named by the tables is there."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from events.kinds import EventKind
from events.models import EventSeal
from events.telling import _DONE, tell
from prompts.actions.schedules import schedule
from tests.personas import Team
from tests.promotions.steps import approved


def test_every_kind_of_event_has_a_sentence() -> None:
    told = {key.partition(" ")[0] for key in _DONE}
    assert told == set(EventKind.values)
    for form in _DONE.values():
        assert "{subject}" in form


def test_every_name_in_the_tables_leads_somewhere() -> None:
    for path in (*settings.EVENT_NAMED_BY.values(), *settings.EVENT_MAILED_TO.values(), settings.EVENT_ADDRESSES):
        assert callable(import_string(path))
    assert set(settings.EVENT_MAILED_TO) <= set(EventKind.values)


def test_a_moment_is_told_as_people_read_it(careful_team: Team) -> None:
    promotion = approved(careful_team, careful_team.prompt(versions=2), 1)
    due = timezone.now() + timedelta(hours=1)
    schedule(by=careful_team.cleo, promotion=promotion, apply_at=due)
    [told] = tell([EventSeal.objects.select_related("event").latest("pk")])
    assert told.sentence.endswith(f"for {due.day} {due:%B %Y, %H:%M} UTC (shop).")
    assert told.fields["data"]["apply_at"] == f"{due:%Y-%m-%dT%H:%M:%S.%f}Z"  # a program reads it exactly
