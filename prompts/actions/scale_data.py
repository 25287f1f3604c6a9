"""A large project made of imported history, in few statements: what tests and measurements at full size stand on.

Every row goes through the guards. They judge a row by the one before it, so a statement brings one version of each
prompt, or one release of each ledger; events follow in one statement each, and the commit asks for all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone
from simple_history.utils import bulk_create_with_history

from accounts.actions.members import create_user, set_roles
from accounts.models import Project
from accounts.policies import Principal
from accounts.roles import Role
from promptforge.lib.json import canonical_json
from promptforge.lib.refusals import refusals
from prompts import templating
from prompts.actions.projects import PRESETS, create_channel, create_project
from prompts.models import Prompt
from prompts.models.prompts import PromptType

AUTHOR = "scale@example.com"
FOLDERS = ("billing", "support", "search", "docs", "shop")
TEXT = (
    "You answer for {{company}} as of change {{{{number}}}}. Greet {{customer_name}} by name and come to the point.\n"
     "Say what happened to order {{order_number}}, what happens next, and by when, in at most {{sentences}} sentences. "
    + "If you do not know, say so and pass the case on; never promise money, a date or a person.\n" * 5
)
HISTORY = timedelta(days=3 * 365)

VERSIONS = """
INSERT INTO prompts_promptversion (prompt_id, number, type, content, source, variables, config, includes, message,
    author_id, contributor_id, created_at, digest)
SELECT p.id, %(number)s, p.type, t.text, t.text, %(variables)s, '{"model":"gpt-5"}', '{}', %(message)s,
    %(author)s, %(author)s, %(at)s, ''
FROM prompts_prompt p, LATERAL (SELECT p.name || ' ' || %(text)s AS text) t
WHERE p.project_id = %(project)s ORDER BY p.id
"""
# The ledgers of one channel; a row in seven returns to the version before.
RELEASES = """
INSERT INTO prompts_release (prompt_id, channel_id, revision, kind, version_id, actor_id, reason, at, previous_digest, digest)
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
FROM prompts_promptversion v JOIN prompts_prompt p ON p.id = v.prompt_id WHERE p.project_id = %(project)s ORDER BY v.id
"""
RELEASE_EVENTS = """
INSERT INTO events_event (project_id, kind, actor_kind, actor_id, subject_kind, subject_id, data)
SELECT p.project_id, 'release.made', 'person', %(author)s, 'release', r.id,
    format('{"move":"import","prompt":"%%s","channel":"%%s","revision":%%s,"version":%%s,"digest":"%%s"}',
        p.name, c.name, r.revision, v.number, encode(r.digest, 'hex'))
FROM prompts_release r JOIN prompts_prompt p ON p.id = r.prompt_id JOIN prompts_channel c ON c.id = r.channel_id
    JOIN prompts_promptversion v ON v.id = r.version_id
WHERE p.project_id = %(project)s ORDER BY r.id
"""


@dataclass(frozen=True)
class Size:
    """What one project holds: prompts, versions of each, releases of each on each of its two channels."""

    prompts: int
    versions: int
    releases: int

    @property
    def rows(self) -> int:
        """Versions and releases together."""
        return self.prompts * (self.versions + 2 * self.releases)


def make_scale_project(*, name: str, size: Size, tell: Callable[[str, int], None]) -> Project:
    """Make a project with three years of history in one transaction; `tell` hears a stage and the rows done in it."""
    with refusals(), transaction.atomic():
        project = create_project(name=name, preset="solo", creator=None)
        user = create_user(email=AUTHOR, name="Scale")
        set_roles(project=project, user=user, roles=[Role.ADMIN], by=None)
        create_channel(project=project, name="staging", policy=PRESETS["solo"], creator=user)
        _Filling(Principal(user, project), size, tell).fill()
        tell("committing", size.rows)
    return project


class _Filling:
    def __init__(self, by: Principal, size: Size, tell: Callable[[str, int], None]) -> None:
        self.size, self.tell = size, tell
        self.project = by.project
        self.fixed = {"project": by.project.pk, "author": by.user.pk}
        self.begins = timezone.now() - HISTORY

    def fill(self) -> None:
        bulk_create_with_history(
            [
                Prompt(
                    project=self.project,
                    name=f"{FOLDERS[number % len(FOLDERS)]}/prompt-{number:05}",
                    type=PromptType.TEXT,
                    description="Made to measure with",
                    tags=["scale"],
                    created_at=self.begins,
                )
                for number in range(self.size.prompts)
            ],
            Prompt,
        )
        with connection.cursor() as cursor:
            self.cursor = cursor
            cursor.execute(PROMPT_EVENTS, self.fixed)
            self._versions()
            self._releases()

    def _versions(self) -> None:
        for number in range(1, self.size.versions + 1):
            text = TEXT.replace("{{{{number}}}}", str(number))
            declared = templating.declared_variables(text, None, [])
            row = {"number": number, "text": text, "variables": canonical_json(declared), "message": f"Change {number}"}
            self.cursor.execute(VERSIONS, self.fixed | row | {"at": self._at(number - 1, self.size.versions)})
            self.tell("versions", number * self.size.prompts)
        self.cursor.execute(VERSION_EVENTS, self.fixed)

    def _releases(self) -> None:
        done = self.size.prompts * self.size.versions
        channels = list(self.project.channel_set.order_by("position").values_list("pk", flat=True))
        for revision in range(1, self.size.releases + 1):
            number = 1 + (revision - 1) * self.size.versions // self.size.releases - (revision % 7 == 0)
            row = {"revision": revision, "number": max(1, number), "reason": f"Move {revision}"}
            for channel in channels:
                at = self._at(revision - 1, self.size.releases)
                self.cursor.execute(RELEASES, self.fixed | row | {"channel": channel, "at": at})
            done += self.size.prompts * len(channels)
            self.tell("releases", done)
        self.cursor.execute(RELEASE_EVENTS, self.fixed)

    def _at(self, place: int, count: int) -> object:
        """When the row at this place of so many was made: spread evenly over the history."""
        return self.begins + HISTORY * place / count
