"""People who speak to the API by their session, as the pages do."""

import time
from typing import Any

from accounts.models import Project, User
from accounts.sign_in import SIGNED_IN_AT
from events.models import Event
from tests.api.conftest import Caller, problem_of, written
from tests.personas import Team

BACKEND = "django.contrib.auth.backends.ModelBackend"


def signed_in(user: User, project: Project | None = None, *, ago: float | None = 0) -> Caller:
    """The caller that a person is who signed in `ago` seconds ago (None: it was not noted when)."""
    caller = Caller(None, headers={} if project is None else {"PromptForge-Project": project.name})
    caller.client.force_login(user, backend=BACKEND)
    if ago is not None:
        session: Any = caller.client.session
        session[SIGNED_IN_AT] = time.time() - ago
        session.save()
    return caller


def person(team: Team, name: str, *, ago: float | None = 0) -> Caller:
    """`person(team, "cleo")`: one of the standing people, signed in just now."""
    return signed_in(getattr(team, name).user, team.project, ago=ago)


def refused(answer: Any, status: int, code: str, before: dict[str, int]) -> dict[str, Any]:
    """A refusal, after which everything stands as it stood `before` (what `written` said)."""
    body = problem_of(answer, status, code)
    assert written() == before
    return body


def events_of(team: Team, since: int = 0) -> list[str]:
    """The kinds of the team's events after the one with this id, in order."""
    rows = Event.objects.filter(project_id=team.project.pk, pk__gt=since).order_by("pk")
    return list(rows.values_list("kind", flat=True))


def last_event() -> int:
    newest = Event.objects.order_by("-pk").first()
    return 0 if newest is None else newest.pk
