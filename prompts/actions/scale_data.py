"""Large projects made of imported history, in few statements: what tests and measurements at full size stand on.

Every row goes through the guards. They judge a row by the one before it, so a statement brings one version of each
prompt, or one release of each ledger of a channel. A transaction brings a few of these with their events: within one
transaction PostgreSQL keeps every state of a prompt's and a head's row and walks through all of them again and again,
so that long transactions become slower with the square of their length. What is committed is whole in itself, and a
project that was left half made is continued.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from simple_history.utils import bulk_create_with_history

from accounts.actions.members import create_user, set_roles
from accounts.models import Project
from accounts.roles import Role
from promptforge.lib.json import canonical_json
from promptforge.lib.refusals import refusals
from prompts import templating
from prompts.actions.projects import PRESETS, create_channel, create_project
from prompts.models import Prompt
from prompts.models.prompts import PromptType

AUTHOR = "scale@example.com"
FOLDERS = ("billing", "support", "search", "docs", "shop")
TEXT = """%s
You answer for {{company}} as of change %d. Greet {{customer_name}} by name and come to the point.
Say what happened to order {{order_number}}, what happens next, and by when, in at most {{sentences}} sentences.
If you do not know, say so and pass the case on; never promise money, a date or a person. Keep to what the record says,
and quote it where the customer doubts it. Do not repeat the question, do not apologise twice, and end with one line
that says what the customer can do now. Write in the language in which the customer wrote.
"""
HISTORY = timedelta(days=3 * 365)
ROUNDS = 10  # versions of each prompt, or releases of each ledger, in one transaction

VERSIONS = """
INSERT INTO prompts_promptversion (prompt_id, number, type, content, source, variables, config, includes, message,
    author_id, contributor_id, created_at, digest)
SELECT p.id, %(number)s, p.type, t.text, t.text, %(variables)s, '{"model":"gpt-5"}', '{}', %(message)s,
    %(author)s, %(author)s, %(at)s, ''
FROM prompts_prompt p, LATERAL (SELECT p.name || %(text)s AS text) t
WHERE p.project_id = %(project)s ORDER BY p.id
"""
# The ledgers of one channel; a row in seven returns to the version before.
RELEASES = """
INSERT INTO prompts_release (prompt_id, channel_id, revision, kind, version_id, actor_id, reason, at,
    previous_digest, digest)
SELECT p.id, %(channel)s, %(revision)s, 'import', v.id, %(author)s, %(reason)s, %(at)s, '', ''
FROM prompts_prompt p JOIN prompts_promptversion v ON v.prompt_id = p.id AND v.number = %(number)s
WHERE p.project_id = %(project)s ORDER BY p.id
"""
PROMPT_EVENTS = """
INSERT INTO events_event (project_id, kind, actor_kind, actor_id, subject_kind, subject_id, data)
SELECT p.project_id, 'prompt.created', 'person', %(author)s, 'prompt', p.id, '{}'
FROM prompts_prompt p WHERE p.project_id = %(project)s ORDER BY p.id
"""
# `row` is prompts.digests.version_row_digest.
VERSION_EVENTS = """
INSERT INTO events_event (project_id, kind, actor_kind, actor_id, subject_kind, subject_id, data)
SELECT p.project_id, 'version.saved', 'person', %(author)s, 'version', v.id,
    format('{"prompt":"%%s","number":%%s,"digest":"%%s","row":"%%s"}', p.name, v.number, encode(v.digest, 'hex'),
        encode(promptforge_digest('version-row.v1', encode(v.digest, 'hex'), v.id::text, v.prompt_id::text,
            v.number::text, v.source, array_to_string(v.includes, ','), v.message, v.author_id::text,
            v.contributor_id::text, promptforge_micros(v.created_at), promptforge_micros(v.recorded_at)), 'hex'))
FROM prompts_promptversion v JOIN prompts_prompt p ON p.id = v.prompt_id
WHERE p.project_id = %(project)s AND v.number BETWEEN %(first)s AND %(last)s ORDER BY v.number, v.id
"""
RELEASE_EVENTS = """
INSERT INTO events_event (project_id, kind, actor_kind, actor_id, subject_kind, subject_id, data)
SELECT p.project_id, 'release.made', 'person', %(author)s, 'release', r.id,
    format('{"move":"import","prompt":"%%s","channel":"%%s","revision":%%s,"version":%%s,"digest":"%%s"}',
        p.name, c.name, r.revision, v.number, encode(r.digest, 'hex'))
FROM prompts_release r JOIN prompts_prompt p ON p.id = r.prompt_id JOIN prompts_channel c ON c.id = r.channel_id
    JOIN prompts_promptversion v ON v.id = r.version_id
WHERE p.project_id = %(project)s AND r.revision BETWEEN %(first)s AND %(last)s ORDER BY r.revision, r.id
"""


@dataclass(frozen=True)
class Size:
    """What one project holds: prompts, versions of each, and releases of each on each of its two channels."""

    prompts: int
    versions: int
    releases: int

    @property
    def rows(self) -> int:
        """Versions and releases together."""
        return self.prompts * (self.versions + 2 * self.releases)


def fill_project(*, name: str, size: Size, tell: Callable[[int], None]) -> Project:
    """Make a project with three years of history, or what it lacks of it.

    `tell` hears how many rows there are: before the first one is added, and after each transaction.
    """
    project = Project.objects.filter(name=name).first() or _begin(name, size)
    filling = _Filling(project, size, tell)
    tell(filling.rows)
    with refusals():
        filling.versions()
        filling.releases()
    return project


def _begin(name: str, size: Size) -> Project:
    """The project with its one member, both channels, and its prompts without any version."""
    begins = timezone.now() - HISTORY
    with refusals(), transaction.atomic():
        project = create_project(name=name, preset="solo", creator=None)
        user = create_user(email=AUTHOR, name="Scale")
        set_roles(project=project, user=user, roles=[Role.ADMIN], by=None)
        create_channel(project=project, name="staging", policy=PRESETS["solo"], creator=user)
        rows = [
            Prompt(
                project=project,
                name=f"{FOLDERS[number % len(FOLDERS)]}/prompt-{number:05}",
                type=PromptType.TEXT,
                description="Made to measure with",
                tags=["scale"],
                created_at=begins,
            )
            for number in range(size.prompts)
        ]
        bulk_create_with_history(rows, Prompt, default_user=user)
        with connection.cursor() as cursor:
            cursor.execute(PROMPT_EVENTS, {"project": project.pk, "author": user.pk})
    return project


class _Filling:
    def __init__(self, project: Project, size: Size, tell: Callable[[int], None]) -> None:
        self.project, self.size, self.tell = project, size, tell
        self.prompts = Prompt.objects.filter(project=project)
        first = self.prompts.earliest("pk")
        author = project.membership_set.earliest("pk").user_id
        self.fixed = {"project": project.pk, "author": author}
        self.begins = first.created_at
        # All prompts of a project are equally far, and so are all ledgers.
        self.version, self.revision = first.next_number - 1, first.heads.earliest("pk").revision

    @property
    def rows(self) -> int:
        """How many versions and releases there are."""
        return self.size.prompts * (self.version + 2 * self.revision)

    def versions(self) -> None:
        """The versions of all prompts, from the first that is missing."""
        while self.version < self.size.versions:
            last = min(self.version + ROUNDS, self.size.versions)
            with transaction.atomic(), connection.cursor() as cursor:
                for number in range(self.version + 1, last + 1):
                    text = TEXT % ("", number)
                    row: dict[str, Any] = {
                        "number": number,
                        "text": text,
                        "variables": canonical_json(templating.declared_variables(text, None, [])),
                        "message": f"Change {number}",
                        "at": self._at(number, self.size.versions),
                    }
                    cursor.execute(VERSIONS, self.fixed | row)
                cursor.execute(VERSION_EVENTS, self.fixed | {"first": self.version + 1, "last": last})
            self.version = last
            self.tell(self.rows)

    def releases(self) -> None:
        """The releases of all ledgers, from the first that is missing."""
        channels = list(self.project.channel_set.order_by("position").values_list("pk", flat=True))
        while self.revision < self.size.releases:
            last = min(self.revision + ROUNDS, self.size.releases)
            with transaction.atomic(), connection.cursor() as cursor:
                for revision in range(self.revision + 1, last + 1):
                    newest = 1 + (revision - 1) * self.size.versions // self.size.releases
                    row: dict[str, Any] = {
                        "revision": revision,
                        "number": max(1, newest - (revision % 7 == 0)),
                        "reason": f"Move {revision}",
                        "at": self._at(revision, self.size.releases),
                    }
                    for channel in channels:
                        cursor.execute(RELEASES, self.fixed | row | {"channel": channel})
                cursor.execute(RELEASE_EVENTS, self.fixed | {"first": self.revision + 1, "last": last})
            self.revision = last
            self.tell(self.rows)

    def _at(self, place: int, count: int) -> datetime:
        """When the row at this place of so many was made: spread evenly over the history."""
        return self.begins + HISTORY * (place - 1) / count
