"""Events, their seals, and what serving processes are told: all written by the commit itself."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.actions.members import remove_member, set_roles
from accounts.models import Membership, Project, User
from events.actions import record
from events.kinds import EventKind
from events.models import Event, EventSeal, ServedChange, Serving, WebhookEndpoint
from prompts.actions.projects import change_project, create_channel
from prompts.actions.releases import promote
from prompts.actions.versions import save_version
from prompts.models import Prompt
from tests.guards.attacks import held, in_another_session, refused, run, value
from tests.personas import Team, make_team

SEAL = "INSERT INTO public.events_eventseal (project_id, seq, event_id, digest) VALUES (%s, %s, %s, %s)"


def say(team: Team, subject: int = 0) -> Event:
    actor = ("person", team.ada.user.pk)
    return record(EventKind.PROMPT_CHANGED, project_id=team.project.pk, actor=actor, subject=("prompt", subject))


def chain(team: Team) -> list[EventSeal]:
    return list(EventSeal.objects.filter(project_id=team.project.pk).order_by("seq"))


def test_every_event_is_sealed_by_its_commit(team: Team) -> None:
    event = say(team)
    held(EventSeal.objects.filter(event=event).count(), 1, "a committed event has its seal")


def test_the_first_seal_has_the_first_place(committed_db: str) -> None:
    project = Project.objects.create(name="fresh")
    record(EventKind.PROJECT_CREATED, project_id=project.pk, actor=("system", 0), subject=("project", project.pk))
    seal = EventSeal.objects.get()
    held((seal.seq, len(seal.digest)), (1, 32), "the database numbers seals and digests them")


def test_seals_stand_in_the_order_of_commits(team: Team) -> None:
    """The event that was written first is committed last."""
    later: list[Event] = []
    with transaction.atomic():
        first = say(team, 1)
        in_another_session(lambda: later.append(say(team, 2)))
    seqs = [EventSeal.objects.get(event=event).seq for event in (later[0], first)]
    held(seqs[1], seqs[0] + 1, "seals stand in the order of commits")
    held([seal.seq for seal in chain(team)], list(range(1, len(chain(team)) + 1)), "seals have no gap")


def test_a_seal_covers_all_before_it(team: Team) -> None:
    say(team)
    previous = b""
    for seal in chain(team):
        true = value(
            "SELECT public.promptforge_seal_digest(%s, %s, e) FROM public.events_event e WHERE id = %s",
            [previous, seal.seq, seal.event_id],
        )
        held(bytes(seal.digest), bytes(true), "a seal's digest covers the event and the seal before")
        previous = bytes(true)


def test_an_event_has_one_seal(team: Team) -> None:
    """Whoever seals early only keeps the commit from sealing."""
    with refused("events_eventseal_event_id_key"):
        event = say(team)
        run(SEAL, [team.project.pk, 4711, event.pk, b"forged"], using="default")


def test_an_event_is_sealed_in_its_own_project_s_chain(team: Team) -> None:
    other = make_team("other", preset="solo")
    event = Event.objects.filter(project_id=team.project.pk).first()
    run("ALTER TABLE public.events_eventseal DROP CONSTRAINT events_eventseal_event_id_key")
    with refused("seal_of_project"):
        run(SEAL, [other.project.pk, 1, event.pk, b""], using="default")


def test_a_seal_s_place_is_the_database_s(team: Team) -> None:
    """Without the key that keeps seals single, a second seal still gets the next place."""
    event = Event.objects.filter(project_id=team.project.pk).first()
    last = chain(team)[-1].seq
    run("ALTER TABLE public.events_eventseal DROP CONSTRAINT events_eventseal_event_id_key")
    run(SEAL, [team.project.pk, 4711, event.pk, b"forged"], using="default")
    newest = chain(team)[-1]
    held((newest.seq, bytes(newest.digest) == b"forged"), (last + 1, False), "place and digest are the database's")


def test_an_event_is_dated_by_the_database(team: Team) -> None:
    event = Event.objects.create(
        project_id=team.project.pk,
        kind="prompt.changed",
        actor_kind="person",
        actor_id=1,
        subject_kind="prompt",
        subject_id=1,
        at=timezone.now() - timedelta(days=9),
    )
    event.refresh_from_db()
    held(event.at > timezone.now() - timedelta(minutes=5), True, "the database says when it happened")


@pytest.mark.parametrize("data", ["", "not json", "[]", '"text"', "7"])
def test_what_an_event_tells_is_an_object(team: Team, data: str) -> None:
    """Whatever cannot be read would be sealed for ever, and stop whoever reads the trail."""
    with refused("event_data_object"):
        Event.objects.create(
            project_id=team.project.pk,
            kind=EventKind.MEMBER_CHANGED,
            actor_kind="person",
            actor_id=1,
            subject_kind="person",
            subject_id=1,
            data=data,
        )


def test_a_version_is_told_once(team: Team) -> None:
    version = team.version(team.prompt(), 1)
    with refused("event_tells_once"):
        record(
            EventKind.VERSION_SAVED,
            project_id=team.project.pk,
            actor=team.ada.actor,
            subject=("version", version.pk),
            digest="another",
        )


def test_an_unknown_kind_of_event_is_refused(team: Team) -> None:
    with refused("event_kind_known"):
        Event.objects.create(
            project_id=team.project.pk, kind="nothing", actor_kind="x", actor_id=1, subject_kind="x", subject_id=1
        )


# Serving --------------------------------------------------------------------------------------------------------------


def generation(team: Team) -> int:
    return Serving.objects.get(pk=team.project.pk).generation


CHANGES: dict[str, Any] = {
    "version": lambda team, prompt: save_version(by=team.ada, prompt=prompt, content="Another text"),
    "release": lambda team, prompt: promote(
        by=team.cleo, prompt=prompt, channel=team.stable, version=team.version(prompt, 1)
    ),
    "prompt": lambda team, prompt: Prompt.objects.filter(pk=prompt.pk).update(archived_at=timezone.now()),
    "key": lambda team, prompt: team.key(),
    "account": lambda team, prompt: User.objects.filter(kind="service").update(is_active=False),
    "project": lambda team, prompt: change_project(by=team.cleo, serves_stale=True),
    "channel": lambda team, prompt: create_channel(
        project=team.project, name="beta", policy={"required_approvals": 0}, creator=None
    ),
    "member": lambda team, prompt: set_roles(project=team.project, user=team.outsider, roles=["viewer"], by=None),
    "role": lambda team, prompt: set_roles(project=team.project, user=team.noor.user, roles=["editor"], by=None),
    "leaver": lambda team, prompt: remove_member(
        membership=Membership.objects.get(project=team.project, user=team.noor.user), by=None
    ),
}
KIND = {"version": "prompt", "release": "prompt", "role": "member", "leaver": "member", "account": "key"}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_advances_the_generation_once_and_says_what(team: Team, change: str) -> None:
    prompt = team.prompt()
    team.key()
    before = generation(team)
    with transaction.atomic():
        CHANGES[change](team, prompt)
    held(generation(team), before + 1, f"a changed {change} advances the generation by one")
    told = set(
        ServedChange.objects.filter(generation=before + 1, project_id=team.project.pk).values_list("kind", flat=True)
    )
    held(KIND.get(change, change) in told, True, f"a serving process is told of a changed {change}")


def test_one_transaction_is_one_generation(team: Team) -> None:
    before = generation(team)
    with transaction.atomic():
        for name in ("one", "two", "three"):
            team.prompt(name, versions=2)
    held(generation(team), before + 1, "a transaction advances the generation once")
    told = ServedChange.objects.filter(generation=before + 1, project_id=team.project.pk)
    held(told.count(), 3, "and names each prompt once")


FORGED = (
    "generation = generation - 1",
    "generation = 0",
    "generation = generation + 2, transaction = pg_current_xact_id()::text::bigint",
    "project_id = project_id + 1000",
    "transaction = pg_current_xact_id()::text::bigint",
    "generation = generation + 1, transaction = pg_current_xact_id()::text::bigint + 5",
    "generation = generation + 1",
    "epoch = gen_random_uuid(), transaction = pg_current_xact_id()::text::bigint + 1",
    "epoch = gen_random_uuid(), transaction = 0, generation = 0",
)


def test_a_generation_only_advances_by_its_own_transaction(team: Team) -> None:
    """A row that named another transaction would let that one change what is served, unseen."""
    team.prompt()
    for forged in FORGED:
        with refused("serving_forward"):
            run(f"UPDATE public.events_serving SET {forged} WHERE project_id = %s", [team.project.pk], using="default")


def test_a_new_history_takes_a_new_epoch(team: Team) -> None:
    """What a restore does."""
    team.prompt()
    before = generation(team)
    run("UPDATE public.events_serving SET transaction = 0, epoch = gen_random_uuid()")
    team.prompt("other")
    assert generation(team) == before + 1


# --- Webhooks --------------------------------------------------------------------------------------------------------
def endpoint_of(team: Team) -> WebhookEndpoint:
    return WebhookEndpoint.objects.create(
        project_id=team.project.pk, url="https://hooks.example/1", events=["*"], secret=b"", cursor=0
    )


@pytest.mark.parametrize("change", ["project_id = 77", "id = id + 1000"])
def test_a_webhook_endpoint_stays_where_it_is(team: Team, change: str) -> None:
    """Moved to another project, it would get that one's events."""
    endpoint_of(team)
    with refused("webhook_stays"):
        run(f"UPDATE public.events_webhookendpoint SET {change}", using="default")


def test_a_removed_webhook_endpoint_stays_removed(team: Team) -> None:
    endpoint_of(team)
    run("UPDATE public.events_webhookendpoint SET removed_at = now(), enabled = false", using="default")
    for change in ("removed_at = NULL", "enabled = true", "url = 'https://evil.example'"):
        with refused("webhook_stays"):
            run(f"UPDATE public.events_webhookendpoint SET {change}", using="default")


def test_an_event_goes_to_endpoints_of_its_own_project(team: Team) -> None:
    endpoint, event = endpoint_of(make_team("rival", preset="solo")), say(team)
    insert = "INSERT INTO public.events_delivery (endpoint_id, event_id, tries) VALUES (%s, %s, 0)"
    with refused("delivery_of_project"):
        run(insert, [endpoint.pk, event.pk], using="default")
    own = endpoint_of(team)
    run(insert, [own.pk, event.pk], using="default")
    with refused("delivery_of_project"):
        run("UPDATE public.events_delivery SET endpoint_id = %s", [endpoint.pk], using="default")
