"""Every kind of event has words, and everybody who is named by the tables is there."""

from django.conf import settings
from django.utils.module_loading import import_string

from events.kinds import EventKind
from events.telling import _DONE


def test_every_kind_of_event_has_a_sentence() -> None:
    told = {key.partition(" ")[0] for key in _DONE}
    assert told == set(EventKind.values)
    for form in _DONE.values():
        assert "{subject}" in form


def test_every_name_in_the_tables_leads_somewhere() -> None:
    for path in (*settings.EVENT_NAMED_BY.values(), *settings.EVENT_MAILED_TO.values(), settings.EVENT_ADDRESSES):
        assert callable(import_string(path))
    assert set(settings.EVENT_MAILED_TO) <= set(EventKind.values)
