"""What was live at an instant: always what a replay of the ledger says."""

import itertools
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptforge.lib.errors import DomainError
from promptforge.lib.instants import format_instant
from prompts.actions.imports import import_release
from prompts.actions.projects import PRESETS, create_channel
from prompts.actions.releases import promote, rollback
from prompts.models import Channel, Prompt, Release
from prompts.reading import resolve
from prompts.resolving import Resolved
from prompts.selectors import Selector
from tests.api.conftest import Caller, body_of, problem_of, release
from tests.personas import Team, make_team
from tests.races.conftest import at_once

TICK = timedelta(microseconds=1)
FAR_PAST = datetime(1, 1, 1, tzinfo=UTC)
_names = (f"p{number}" for number in itertools.count())
_quick = settings(
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

moves = st.lists(
    st.tuples(st.sampled_from(["promote", "promote", "rollback", "rollback_to"]), st.integers(0, 1), st.integers(1, 3)),
    min_size=1,
    max_size=6,
)
gaps = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 3), st.sampled_from([1, 2, 999_999, 10**6, 86_400 * 10**6])),
    min_size=1,
    max_size=6,
)


def replayed(rows: Sequence[Release], instant: datetime) -> tuple[int, int] | None:
    """Version and revision at an instant, by going through the ledger from its beginning."""
    stands = None
    for row in rows:
        if row.at <= instant:
            stands = (row.version.number, row.revision)
    return stands


def answered(team: Team, prompt: Prompt, channel: Channel, instant: datetime) -> tuple[int, int] | None:
    try:
        found: Resolved = resolve(team.noor, prompt, Selector(channel=channel.name), instant)
    except DomainError as error:
        if error.code != "not_yet_released":
            raise
        return None
    assert found.channel == channel
    assert found.revision is not None
    return found.version.number, found.revision


def served(reader: Caller, prompt: Prompt, channel: Channel, instant: datetime) -> tuple[int, int] | None:
    answer = reader.fetch(prompt.name, _version=channel.name, _at=format_instant(instant))
    if answer.status_code == 404:
        problem_of(answer, 404, "not_yet_released")
        return None
    body = body_of(answer)
    return body["version"], body["revision"]


def assert_every_instant_agrees(team: Team, reader: Caller, prompt: Prompt, channels: list[Channel]) -> None:
    for channel in channels:
        rows = list(
            Release.objects.filter(prompt=prompt, channel=channel).select_related("version").order_by("revision")
        )
        assert [row.revision for row in rows] == list(range(1, len(rows) + 1))
        instants = {FAR_PAST, timezone.now() - timedelta(days=3650)}
        instants |= {row.at + offset for row in rows for offset in (-TICK, timedelta(0), TICK)}
        for instant in sorted(instants):
            expected = replayed(rows, instant)
            assert answered(team, prompt, channel, instant) == expected
        # The same by the door, at the edges of each row.
        for instant in sorted({row.at for row in rows} | {row.at - TICK for row in rows} | {FAR_PAST}):
            assert served(reader, prompt, channel, instant) == replayed(rows, instant)


def two_channels(team: Team) -> list[Channel]:
    beta = create_channel(project=team.project, name="beta", policy=PRESETS["solo"], creator=None)
    return [team.stable, Channel.objects.select_related("policy").get(pk=beta.pk)]


@pytest.mark.parametrize("examples", [8, pytest.param(200, marks=[pytest.mark.full, pytest.mark.timeout(600)])])
def test_any_history_of_moves_agrees_with_its_ledger(team: Team, reader: Caller, examples: int) -> None:
    channels = two_channels(team)
    kinds: set[str] = set()
    refusals: set[str] = set()
    other = team.prompt(next(_names))  # whose releases must not show in the answers
    release(team, other, 1)

    @settings(_quick, max_examples=examples)
    @given(moves)
    def check(history: list[tuple[str, int, int]]) -> None:
        prompt = team.prompt(next(_names), versions=3)
        for kind, channel_number, number in history:
            channel, version = channels[channel_number], team.version(prompt, number)
            try:
                if kind == "promote":
                    promote(by=team.cleo, prompt=prompt, channel=channel, version=version)
                else:
                    target = version if kind == "rollback_to" else None
                    rollback(by=team.cleo, prompt=prompt, channel=channel, version=target, reason="It is worse")
                kinds.add(kind)
            except DomainError as error:
                refusals.add(error.code)
        assert_every_instant_agrees(team, reader, prompt, channels)

    check()
    assert kinds == {"promote", "rollback", "rollback_to"}
    assert refusals <= {
        "already_live",
        "nothing_to_roll_back",
        "rollback_target_never_live",
        "rollback_target_withdrawn",
    }


@pytest.mark.parametrize("examples", [8, pytest.param(200, marks=[pytest.mark.full, pytest.mark.timeout(600)])])
def test_any_imported_history_agrees_with_its_ledger(committed_db: str, examples: int) -> None:
    team = make_team("brought", preset="solo")
    reader = Caller(team.key())
    channels = two_channels(team)

    @settings(_quick, max_examples=examples)
    @given(gaps)
    def check(history: list[tuple[int, int, int]]) -> None:
        prompt = team.prompt(next(_names), versions=3)
        moment = timezone.now() - timedelta(days=30)
        for channel_number, number, gap in history:
            moment += timedelta(microseconds=gap)
            version = team.version(prompt, number)
            made = import_release(
                prompt=prompt,
                channel=channels[channel_number],
                version=version,
                decided_by=team.cleo.user,
                reason="",
                at=moment,
            )
            assert made.at == moment
        assert_every_instant_agrees(team, reader, prompt, channels)

    check()


def test_imports_bring_rising_dates_and_none_of_the_future(committed_db: str) -> None:
    team = make_team("brought", preset="solo")
    prompt = team.prompt(versions=2)
    past = timezone.now() - timedelta(days=1)

    def bring(number: int, at: datetime) -> Release:
        version = team.version(prompt, number)
        return import_release(
            prompt=prompt, channel=team.stable, version=version, decided_by=team.cleo.user, reason="", at=at
        )

    bring(1, past)
    for at in (past, past - TICK, timezone.now() + timedelta(minutes=1)):
        with pytest.raises(DomainError) as caught:
            bring(2, at)
        assert caught.value.code == "bad_timestamp"
    assert Release.objects.get().at == past
    bring(2, past + TICK)
    release(team, prompt, 1)
    with pytest.raises(DomainError) as caught:
        bring(2, timezone.now() - TICK)
    assert caught.value.code == "import_closed"
    assert list(Release.objects.order_by("id").values_list("revision", "kind")) == [
        (1, "import"),
        (2, "import"),
        (3, "promote"),
    ]


@pytest.mark.parametrize("seconds", [2.0, pytest.param(20.0, marks=pytest.mark.full)])
def test_an_answer_about_the_last_moments_stays(team: Team, seconds: float) -> None:
    """Readers ask about this very moment while two movers move, and ask again about the same instants at the end."""
    prompt = team.prompt(versions=3)
    release(team, prompt, 1)
    versions = [team.version(prompt, number) for number in (1, 2, 3)]
    end = time.monotonic() + seconds
    given_answers: list[tuple[datetime, tuple[int, int] | None]] = []

    def move() -> None:
        for version in itertools.cycle(versions):
            if time.monotonic() > end:
                return
            with suppress(DomainError):  # the other mover made it live already
                promote(by=team.cleo, prompt=prompt, channel=team.stable, version=version)

    def read() -> None:
        while time.monotonic() < end:
            with connections["default"].cursor() as cursor:
                cursor.execute("SELECT clock_timestamp() - interval '1 microsecond'")
                [instant] = cursor.fetchone()
            given_answers.append((instant, answered(team, prompt, team.stable, instant)))

    acts = (move, move, read, read)
    assert at_once(len(acts), lambda number: acts[number]()) == [None] * len(acts)
    rows = list(Release.objects.select_related("version").order_by("revision"))
    print(f"{len(given_answers)} answers about the present beside {len(rows)} releases")
    assert len(rows) > 10
    assert len(given_answers) > 20
    assert len({answer for _, answer in given_answers}) > 5
    for instant, answer in given_answers:
        assert replayed(rows, instant) == answer
        assert answered(team, prompt, team.stable, instant) == answer
