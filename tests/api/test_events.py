"""GET /api/v1/events: what happened, in the order of commits."""

from datetime import timedelta

from django.utils import timezone

from accounts.models import ApiKey, User
from events.kinds import EventKind
from events.models import EventSeal
from promptforge.lib.ids import encode
from promptforge.lib.instants import format_instant
from prompts.models import Release
from tests.api.conftest import Caller, body_of, problem_of, release
from tests.api.people import person
from tests.personas import Team


def kinds(caller: Caller, **parameters: str) -> list[str]:
    return [event["kind"] for event in body_of(caller.get("events", parameters))["data"]]


def test_every_act_stands_there_newest_first(team: Team, api: Caller) -> None:
    auditor = Caller(team.key("audit:read"))
    prompt = team.prompt(versions=2)
    made = release(team, prompt, 2)
    body_of(api.post("channels", {"name": "beta"}), 201)
    events = body_of(auditor.get("events"))["data"]
    assert [event["kind"] for event in events[:5]] == [
        "channel.created",
        "release.made",
        "version.saved",
        "version.saved",
        "prompt.created",
    ]
    # Each kind of thing has a prefix of its own, so that no id passes for another's.
    assert [event["subject"]["id"][:4] for event in events[:5]] == ["chn_", "rel_", "ver_", "ver_", "prm_"]
    assert [event["seq"] for event in events] == list(range(len(events), 0, -1))
    seal = EventSeal.objects.select_related("event").get(event__kind="release.made")
    assert events[1] == {
        "id": encode("evt", seal.event_id),
        "seq": seal.seq,
        "kind": "release.made",
        "subject": {"kind": "release", "id": encode("rel", made.pk)},
        "data": {
            "move": "promote",
            "prompt": prompt.name,
            "channel": "stable",
            "revision": 1,
            "version": 2,
            "digest": bytes(Release.objects.get().digest).hex(),
        },
        "at": format_instant(seal.event.at),
        "digest": f"sha256:{bytes(seal.digest).hex()}",
        "actor": {"email": "cleo@shop.example", "name": "Cleo"},
    }
    key = ApiKey.objects.get(scopes__contains=["manage"])
    assert events[0]["actor"] == {"key": key.public_id, "name": "test"}
    assert events[-1]["actor"] == {"email": "emil@shop.example", "name": "Emil"}


def test_the_command_line_acts_as_nobody(team: Team) -> None:
    made = body_of(person(team, "noor").get("events", {"kind": "member.added"}))["data"]
    assert {event["actor"] for event in made} == {None}


def test_events_are_narrowed_by_kind_and_time(team: Team, api: Caller) -> None:
    noor = person(team, "noor")
    team.prompt(versions=3)
    assert kinds(noor, kind="version.saved") == ["version.saved"] * 3
    seals = {seal.event.at: seal for seal in EventSeal.objects.select_related("event")}
    middle = sorted(seals)[-2]
    since, until = kinds(noor, since=format_instant(middle)), kinds(noor, until=format_instant(middle))
    assert since == ["version.saved", "version.saved"]
    assert len(since) + len(until) == len(seals)
    assert kinds(noor, since=format_instant(timezone.now() + timedelta(days=1))) == []
    for kind in EventKind.values:
        assert set(kinds(noor, kind=kind)) <= {kind}


def test_pages_are_not_shifted_by_what_happens_meanwhile(team: Team) -> None:
    noor = person(team, "noor")
    team.prompt(versions=3)
    seen, cursor = [], None
    while True:
        page = body_of(noor.get("events", {"limit": "3"} | ({"cursor": cursor} if cursor else {})))
        seen += [event["seq"] for event in page["data"]]
        if (cursor := page["next"]) is None:
            break
        if len(seen) == 3:
            team.prompt("other")
    assert seen == list(range(seen[0], 0, -1))


def test_parameters_that_mean_nothing(team: Team) -> None:
    noor = person(team, "noor")
    for parameters, code in (
        ({"kind": "version"}, "bad_value"),
        ({"kind": ""}, "bad_value"),
        ({"since": "yesterday"}, "bad_timestamp"),
        ({"until": "2026-11-17T10:00:00"}, "bad_timestamp"),
        ({"since": "2026-02-30T10:00:00Z"}, "bad_timestamp"),
        ({"actor": "ada"}, "unknown_parameter"),
        ({"limit": "0"}, "bad_limit"),
        ({"limit": "1e2"}, "bad_limit"),
        ({"cursor": "x"}, "bad_cursor"),
    ):
        problem_of(noor.get("events", parameters), 400, code)
    problem_of(noor.send("GET", "events?kind=release.made&kind=version.saved"), 400, "unknown_parameter")


def test_who_may_read_them(team: Team, foreign: Team, api: Caller, reader: Caller) -> None:
    problem_of(api.get("events"), 403, "key_scope")
    problem_of(reader.get("events"), 403, "key_scope")
    problem_of(Caller(None).get("events"), 401, "not_authenticated")
    for name in ("ada", "ben", "cleo", "emil", "farah", "noor"):
        body_of(person(team, name).get("events"))
    ours = body_of(Caller(team.key("audit:read")).get("events", {"limit": "200"}))["data"]
    addresses = {event["actor"]["email"] for event in ours if event["actor"] and "email" in event["actor"]}
    assert addresses <= set(User.objects.filter(email__endswith="@shop.example").values_list("email", flat=True))


def test_there_is_nothing_to_write(team: Team, api: Caller) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = api.send(method, "events", {})
        problem_of(answer, 405, "method_not_allowed")
        assert answer["Allow"] == "GET, HEAD, OPTIONS"
