"""`verify` names what somebody with the owner's rights did to history; a checkpoint, what a chain cannot see."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from events.models import Event, EventSeal
from promptforge.lib import guards
from prompts.digests import release_digest, seal_digest
from prompts.models import Prompt, Release
from prompts.verification import verify, write_checkpoint
from tests.history.attackers import appended_release, cut_tail, point_head, rewritten_events, rewritten_ledger, third
from tests.history.conftest import broken
from tests.personas import Team

LEDGER = "ledger of support/greeting on stable"
HEAD = "head of support/greeting on stable"
VERSIONS = "versions of support/greeting"
EVENTS = "chain of events"


pytestmark = pytest.mark.usefixtures("checkpoint_file")

TABLES = (
    "prompts_release",
    "prompts_head",
    "prompts_promptversion",
    "prompts_prompt",
    "events_event",
    "events_eventseal",
)


def tamper(*statements: tuple[str, list[Any]] | str) -> None:
    """What the tables' owner can do: switch every trigger off, write, and switch them on again as they were."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute("ALTER TABLE prompts_head DROP CONSTRAINT head_is_logged")
        cursor.execute("ALTER TABLE prompts_promptversion DROP CONSTRAINT version_digest_true")
        for statement in statements:
            sql, values = statement if isinstance(statement, tuple) else (statement, [])
            cursor.execute(sql, values)
            assert cursor.rowcount, f"{sql} changed nothing"
        cursor.execute("COMMIT")
        cursor.execute("BEGIN")
        for trigger in guards.triggers(guards.shipped_sql()):
            if trigger.table in TABLES:
                cursor.execute(f"ALTER TABLE {trigger.table} ENABLE ALWAYS TRIGGER {trigger.name}")
        cursor.execute(
            "ALTER TABLE prompts_head ADD CONSTRAINT head_is_logged "
            "FOREIGN KEY (release_id, prompt_id, channel_id, revision, version_id) REFERENCES "
            "prompts_release (id, prompt_id, channel_id, revision, version_id) DEFERRABLE INITIALLY DEFERRED NOT VALID"
        )
        cursor.execute(
            "ALTER TABLE prompts_promptversion ADD CONSTRAINT version_digest_true "
            "CHECK (digest = promptforge_version_digest(type, content, variables, config)) NOT VALID"
        )
        cursor.execute("COMMIT")


def without_guards(findings: dict[str, str]) -> dict[str, str]:
    """The findings about rows; that the constraints are not validated any more is another finding."""
    return {subject: sentence for subject, sentence in findings.items() if subject != "guards of the database"}


def test_an_honest_history_adds_up(team: Team, history: Prompt) -> None:
    write_checkpoint()
    assert broken(team) == {}
    out = StringIO()
    call_command("verify", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert told["ok"]
    assert {row["subject"] for row in told["findings"]} == {
        "guards of the database", VERSIONS, LEDGER, HEAD, "versions of billing/reminder",
        "ledger of billing/reminder on stable", "head of billing/reminder on stable", EVENTS, "checkpoints",
    }  # fmt: skip


# --- Releases --------------------------------------------------------------------------------------------------------
def test_an_edited_release(team: Team, history: Prompt) -> None:
    tamper(("UPDATE prompts_release SET reason = 'Another' WHERE prompt_id = %s AND revision = 2", [history.pk]))
    assert without_guards(broken(team)) == {LEDGER: "revision 2 was changed after it was written"}


def test_a_deleted_release(team: Team, history: Prompt) -> None:
    tamper(("DELETE FROM prompts_release WHERE prompt_id = %s AND revision = 2", [history.pk]))
    assert without_guards(broken(team))[LEDGER] in (
        "revision 2 is missing",
        "revision 2 was recorded by its event and is missing",
    )


def test_reordered_releases(team: Team, history: Prompt) -> None:
    of_it = "WHERE prompt_id = %s AND revision ="
    tamper(
        (f"UPDATE prompts_release SET revision = 9 {of_it} 1", [history.pk]),
        (f"UPDATE prompts_release SET revision = 1 {of_it} 2", [history.pk]),
        (f"UPDATE prompts_release SET revision = 2 {of_it} 9", [history.pk]),
    )
    assert without_guards(broken(team)) == {LEDGER: "revision 1 does not follow the row before it"}


def test_an_inserted_release(team: Team, history: Prompt) -> None:
    """A fourth row that follows the third as it should, with the head moved to it, and no event."""
    tamper(*appended_release(history))
    assert without_guards(broken(team)) == {LEDGER: "revision 4 is not the one that its event recorded"}


def test_a_ledger_whose_tail_was_cut(team: Team, history: Prompt) -> None:
    tamper(*cut_tail(history))
    assert without_guards(broken(team)) == {LEDGER: "revision 3 was recorded by its event and is missing"}


def test_a_ledger_that_was_rewritten_consistently(team: Team, history: Prompt) -> None:
    tamper(*rewritten_ledger(history))
    assert without_guards(broken(team)) == {LEDGER: "revision 1 is not the one that its event recorded"}


def test_a_head_that_was_moved(team: Team, history: Prompt) -> None:
    second = Release.objects.get(prompt=history, revision=2)
    tamper(point_head(history, second))
    assert without_guards(broken(team)) == {HEAD: "it stands at revision 2, and its ledger at 3"}


def test_a_head_that_is_gone(team: Team, history: Prompt) -> None:
    tamper(("DELETE FROM prompts_head WHERE prompt_id = %s", [history.pk]))
    assert without_guards(broken(team)) == {HEAD: "it is missing"}


# --- Versions --------------------------------------------------------------------------------------------------------
def test_an_edited_version(team: Team, history: Prompt) -> None:
    of_it = "WHERE prompt_id = %s AND number = 2"
    tamper((f"UPDATE prompts_promptversion SET content = 'Evil' {of_it}", [history.pk]))
    assert without_guards(broken(team)) == {VERSIONS: "version 2 does not have the text that its digest names"}
    tamper(
        (
            "UPDATE prompts_promptversion SET digest = promptforge_version_digest(type, content, variables, config) "
            + of_it,
            [history.pk],
        )
    )
    assert without_guards(broken(team)) == {
        VERSIONS: "version 2 is not the one that its event recorded",
        LEDGER: "revision 2 was changed after it was written",
    }


def test_a_version_whose_tail_was_cut(team: Team, history: Prompt) -> None:
    unreleased = team.prompt("draft", versions=2)
    tamper(("DELETE FROM prompts_promptversion WHERE prompt_id = %s AND number = 2", [unreleased.pk]))
    sentences = [f.broken for f in verify(team.project) if f.subject == "versions of draft"]
    assert sentences == [
        "the next number is 3, and 2 was expected: a version is missing",
        "version 2 was recorded by its event and is missing",
    ]
    tamper(("UPDATE prompts_prompt SET next_number = 2 WHERE id = %s", [unreleased.pk]))
    assert without_guards(broken(team)) == {"versions of draft": "version 2 was recorded by its event and is missing"}


def test_a_prompt_whose_versions_are_all_gone(team: Team, history: Prompt) -> None:
    unreleased = team.prompt("draft")
    tamper(("DELETE FROM prompts_promptversion WHERE prompt_id = %s", [unreleased.pk]))
    assert "versions of draft" in without_guards(broken(team))


# --- Events ----------------------------------------------------------------------------------------------------------
def seal(team: Team, seq: int) -> EventSeal:
    return EventSeal.objects.select_related("event").get(project_id=team.project.pk, seq=seq)


def newest(team: Team) -> EventSeal:
    found = EventSeal.objects.filter(project_id=team.project.pk).select_related("event").order_by("-seq").first()
    assert found is not None
    return found


def member_event(team: Team) -> EventSeal:
    """An event that no other table repeats: a member was added."""
    found = (
        EventSeal.objects.filter(project_id=team.project.pk, event__kind="member.added").select_related("event").first()
    )
    assert found is not None
    return found


def test_an_edited_event(team: Team, history: Prompt) -> None:
    one = member_event(team)
    tamper(("UPDATE events_event SET actor_id = 999 WHERE id = %s", [one.event_id]))
    assert without_guards(broken(team)) == {
        EVENTS: f"event {one.seq} ({one.event}) was changed, or the order of the events was"
    }


def test_a_deleted_event(team: Team, history: Prompt) -> None:
    one = member_event(team)
    tamper(
        ("DELETE FROM events_eventseal WHERE id = %s", [one.pk]),
        ("DELETE FROM events_event WHERE id = %s", [one.event_id]),
    )
    assert without_guards(broken(team)) == {EVENTS: f"seal {one.seq} is missing"}


def test_reordered_events(team: Team, history: Prompt) -> None:
    one = member_event(team)
    other = seal(team, one.seq + 1)
    tamper(
        ("UPDATE events_eventseal SET seq = 0 WHERE id = %s", [one.pk]),
        ("UPDATE events_eventseal SET seq = %s WHERE id = %s", [one.seq, other.pk]),
        ("UPDATE events_eventseal SET seq = %s WHERE id = %s", [other.seq, one.pk]),
    )
    assert EVENTS in without_guards(broken(team))
    assert f"event {one.seq} " in broken(team)[EVENTS]


def test_an_inserted_event(team: Team, history: Prompt) -> None:
    insert = (
        "INSERT INTO events_event (project_id, kind, actor_kind, actor_id, subject_kind, subject_id, data, at) "
        "VALUES (%s, 'member.added', 'system', 0, 'person', 999, '{}', now())"
    )
    tamper((insert, [team.project.pk]))
    assert without_guards(broken(team)) == {EVENTS: "the event member.added person 999 was never sealed"}
    seq = newest(team).seq + 1
    sealed = "INSERT INTO events_eventseal (project_id, seq, event_id, digest) SELECT %s, %s, max(id), %s"
    tamper((f"{sealed} FROM events_event", [team.project.pk, seq, bytes(32)]))
    assert without_guards(broken(team)) == {
        EVENTS: f"event {seq} (member.added person 999) was changed, or the order of the events was"
    }


# --- What a chain alone cannot see -----------------------------------------------------------------------------------
def test_only_the_checkpoint_sees_that_rows_and_events_were_cut_together(
    team: Team, history: Prompt, checkpoint_file: Path
) -> None:
    length = newest(team).seq
    told = Event.objects.get(kind="release.made", subject_id=third(history).pk)
    others = EventSeal.objects.filter(project_id=team.project.pk, seq__gte=told.seal.seq)
    write_checkpoint()
    cut = list(others.values_list("pk", "event_id"))
    # Everything since the third release goes: the other prompt's release, version and name with it.
    reminder = Prompt.objects.get(name="billing/reminder")
    tamper(
        *cut_tail(history),
        ("DELETE FROM events_eventseal WHERE id = ANY (%s)", [[pk for pk, _ in cut]]),
        ("DELETE FROM events_event WHERE id = ANY (%s)", [[pk for _, pk in cut]]),
        ("DELETE FROM prompts_head WHERE prompt_id = %s", [reminder.pk]),
        ("DELETE FROM prompts_release WHERE prompt_id = %s", [reminder.pk]),
        ("DELETE FROM prompts_promptversion WHERE prompt_id = %s", [reminder.pk]),
        ("DELETE FROM prompts_prompt WHERE id = %s", [reminder.pk]),
    )
    found = without_guards(broken(team))
    assert found == {"checkpoints": f"the chain of events was cut: it had {length} events at checkpoint 1"}
    checkpoint_file.unlink()
    assert without_guards(broken(team)) == {}


def test_only_the_checkpoint_sees_that_everything_was_rewritten(
    team: Team, history: Prompt, checkpoint_file: Path
) -> None:
    length = newest(team).seq
    write_checkpoint()
    tamper(*rewritten_ledger(history), *rewritten_events(team, history))
    found = without_guards(broken(team))
    assert found == {
        "checkpoints": f"the chain of events was rewritten before event {length}, "
        "which checkpoint 1 remembers otherwise"
    }
    checkpoint_file.unlink()
    assert without_guards(broken(team)) == {}


# --- Guards ----------------------------------------------------------------------------------------------------------
def test_guards_that_were_switched_off_are_named(team: Team, history: Prompt) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE prompts_release DISABLE TRIGGER release_frozen")
        cursor.execute("ALTER TABLE prompts_head ENABLE TRIGGER head_update")  # switched off by a session's setting
        cursor.execute("DROP TRIGGER event_frozen ON events_event")
        cursor.execute(
            "CREATE OR REPLACE FUNCTION promptforge_frozen() RETURNS trigger "
            "LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
        )
    said = [f.broken for f in verify(team.project) if f.subject == "guards of the database"]
    assert sorted(filter(None, said)) == [
        "The guard event_frozen on events_event is missing.",
        "The guard function promptforge_frozen was altered.",
        "The guard head_update on prompts_head is switched off.",
        "The guard release_frozen on prompts_release is switched off.",
    ]
    with pytest.raises(SystemExit) as ended:
        call_command("verify", stdout=StringIO())
    assert ended.value.code == 1


def test_the_attackers_arithmetic_is_the_databases(team: Team, history: Prompt) -> None:
    """Otherwise the rewriting above would be found for a wrong reason."""
    for row in Release.objects.select_related("version"):
        assert release_digest(row) == bytes(row.digest)
    previous = b""
    for sealed in EventSeal.objects.filter(project_id=team.project.pk).select_related("event").order_by("seq"):
        previous = seal_digest(previous, sealed)
        assert previous == bytes(sealed.digest)
