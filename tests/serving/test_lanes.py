"""Both lanes say the same: status, headers and bytes, for requests of every kind."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from urllib.parse import quote, urlencode

import pytest

from accounts.actions.api_keys import recognise_key, revoke_key
from accounts.models import User
from delivery import limits
from prompts.actions.channels import add_channel
from prompts.actions.prompts import change_prompt
from prompts.actions.releases import rollback
from prompts.actions.versions import create_prompt, save_version
from prompts.models import Channel, Prompt
from tests.api.conftest import basic, release
from tests.personas import Team, make_team
from tests.serving.conftest import Answered, BothLanes

PROMPTS = "/api/v1/prompts/"
LANGFUSE = "/api/public/v2/prompts/"
CHAT = [{"role": "system", "content": "Speak {{language}}."}, {"placeholder": "history"}]


type Request = tuple[str, str, str, dict[str, str]]  # path, query, method, headers


@dataclass
class World:
    """What requests can be about."""

    keys: dict[str, str | None]
    names: list[str]


@pytest.fixture
def world(team: Team) -> World:
    greeting = team.prompt(versions=3)
    release(team, greeting, 1)
    release(team, greeting, 2)
    rollback(by=team.cleo, prompt=greeting, channel=team.stable, reason="Back")
    chat, _ = create_prompt(by=team.ada, name="chat/answer", content=CHAT, config={"temperature": 0.20, "n": 1.0})
    release(team, chat, 1)
    team.prompt("never/live")
    typed = [
        {"name": "n", "type": "integer", "required": True},
        {"name": "who", "type": "string", "default": "you", "max_length": 5},
        {"name": "kind", "type": "enum", "enum": ["a", "b"], "required": False},
        {"name": "data", "type": "json", "required": False},
    ]
    numbers, _ = create_prompt(
        by=team.ada, name="typed.Numbers-1", content="{{n}} {{who}} {{kind}} {{data}} \\{{ ☃", variables=typed
    )
    release(team, numbers, 1)
    save_version(by=team.ada, prompt=numbers, content="{{n}}\r\n", variables=typed[:1])
    old = team.prompt("archived/one")
    release(team, old, 1)
    change_prompt(by=team.ada, prompt=old, archived=True)
    staging = add_channel(by=team.farah, name="staging", policy={})
    release_on(team, greeting, 3, staging)
    rival = make_team("rival", preset="solo")
    release(rival, rival.prompt("secret/plan"), 1)
    revoked, off = team.key(), team.key()
    revoke_key(key=recognise_key(revoked), by=team.farah)
    switched = recognise_key(off)
    User.objects.filter(pk=switched.service_account_id).update(is_active=False)
    good = team.key()
    keys = {
        "good": good,
        "channels": team.key(channels=["stable", "pinned"]),
        "latest": team.key(channels=["latest"]),
        "patterns": team.key(prompts=["support/*", "typed*"]),
        "writer": team.key("versions:write"),
        "revoked": revoked,
        "expired": team.expired_key(),
        "off": off,
        "rival": rival.key(),
        "malformed": good[:-1] + ("0" if good[-1] != "0" else "1"),
        "unknown": "pf_dev_0000000000_" + good.split("_")[3],
        "none": None,
    }
    names = [
        "support/greeting",
        "chat/answer",
        "never/live",
        "typed.Numbers-1",
        "archived/one",
        "secret/plan",
        "nope",
        "Support/greeting",
        "support",
        "a b",
        "ü/ß",
    ]
    return World(keys, names)


def release_on(team: Team, prompt, number: int, channel: Channel) -> None:
    from prompts.actions.releases import promote

    promote(by=team.cleo, prompt=prompt, channel=channel, version=team.version(prompt, number))


def unlike(answer: Answered) -> tuple[int, dict[str, str], bytes]:
    """What must be equal: all but how much is left of the rate, which each request lessens."""
    headers = {name: re.sub(r"r=\d+;t=\d+", "r;t", value) for name, value in answer.headers.items()}
    return answer.status, headers, answer.body


VERSIONS = [
    "stable",
    "staging",
    "latest",
    "1",
    "2",
    "3",
    "9",
    "0",
    "pinned",
    "nowhere",
    "Stable",
    "",
    "99999999999",
    "2147483648",
]
VARIABLES = [
    ("customer_name", "Ada"),
    ("customer_name", ""),
    ("n", "5"),
    ("n", "x"),
    ("n", "5.0"),
    ("who", "too long"),
    ("kind", "a"),
    ("kind", "c"),
    ("data", '{"a": [1.0, "ü"]}'),
    ("data", "{"),
    ("language", "日本語"),
    ("language", "{{n}}"),
    ("other", "1"),
    ("data", '{"a":1,"a":2}'),
]
OURS = [
    ("_render", "1"),
    ("_render", "0"),
    ("_render", "yes"),
    ("_strict", "1"),
    ("_strict", "0"),
    ("_user", "u-17"),
    ("_user", "x" * 257),
    ("_nope", "1"),
    ("_at", "2026-01-01T00:00:00Z"),
]


def some_request(random: Random, world: World, etags: list[str]) -> Request:
    name = quote(random.choice(world.names), safe=random.choice(["/", ""]))
    pairs: list[tuple[str, str]] = []
    if random.random() < 0.7:
        pairs.append(("_version", random.choice(VERSIONS[:6] if random.random() < 0.7 else VERSIONS)))
    pairs += random.sample(VARIABLES, random.choice([0, 0, 0, 1, 2, 4]))
    pairs += random.sample(OURS, random.choice([0, 0, 0, 1, 2]))
    if pairs and random.random() < 0.1:
        pairs.append(random.choice(pairs))
    random.shuffle(pairs)
    query = (
        urlencode(pairs)
        if random.random() < 0.9
        else random.choice(["&&", "=", "a", "%00=1", "x=%ff", "ü", "a=b=c;d", "+=+"])
    )
    headers = {}
    key = world.keys[random.choice(["good"] * 8 + list(world.keys))]
    if key is not None:
        headers["Authorization"] = random.choice(
            [f"Bearer {key}"] * 8 + [f"bearer  {key} ", f"Basic {key}", "Bearer", key]
        )
    if random.random() < 0.3:
        headers["If-None-Match"] = random.choice(
            ["*", '"nope"', 'W/"nope", *', *etags[-5:], *(f'W/{tag}, "x"' for tag in etags[-5:])]
        )
    if random.random() < 0.1:
        headers["Accept"] = random.choice(["*/*", "application/json", "text/html", "application/json;q=0.5, */*;q=0.1"])
    return PROMPTS + name, query, random.choice(["GET", "GET", "GET", "HEAD"]), headers


LANGFUSE_PAIRS = [
    *(("label", label) for label in ("production", "production", "stable", "staging", "latest")),
    *(("label", label) for label in ("nowhere", "pinned", "1", "Prod_EU", "", "x" * 300)),
    *(("version", text) for text in ("1", "2", "3", "9", "0", "x", "01", "-1", "", "2147483648", "9" * 5000)),
    *(("resolve", text) for text in ("true", "false", "false", "false", "1")),
    ("limit", "1"),
    ("_at", "2026-01-01T00:00:00Z"),
]


def some_langfuse_request(random: Random, world: World, etags: list[str]) -> Request:
    name = quote(random.choice(world.names), safe=random.choice(["/", "", ""]))
    pairs = random.sample(LANGFUSE_PAIRS, random.choice([0, 1, 1, 1, 2]))
    if pairs and random.random() < 0.05:
        pairs.append(random.choice(pairs))
    query = urlencode(pairs) if random.random() < 0.95 else random.choice(["&&", "=", "a", "%00=1", "x=%ff", "ü"])
    headers = {}
    key = world.keys[random.choice(["good"] * 8 + list(world.keys))]
    if key is not None:
        headers["Authorization"] = random.choice(
            [basic(key)] * 8
            + [basic(key, "0000000000"), basic(key, ""), basic(key).replace("B", "b", 1), f"Bearer {key}"]
            + [f"Basic {key}", "Basic", "Basic ü", "Basic gA=="]
        )
    if random.random() < 0.3:
        headers["If-None-Match"] = random.choice(["*", "*", "*", '"nope"', *etags[-2:]])
    if random.random() < 0.1:
        headers["Accept"] = random.choice(["*/*", "application/json", "text/html"])
    return LANGFUSE + name, query, random.choice(["GET", "GET", "GET", "HEAD"]), headers


def compare(
    lanes: BothLanes, world: World, seed: int, count: int, some: Callable[..., Request] = some_request
) -> dict[str, set[int]]:
    """Send random requests through both; by what the answers were, which lane gave them."""
    random, etags, answered = Random(seed), [], {"lane": set(), "django": set()}
    for _ in range(count):
        path, query, method, headers = some(random, world, etags)
        slow = lanes.through_django(path, query, method, **headers)
        fast = lanes.through_lane(path, query, method, **headers)
        if fast is None:
            answered["django"].add(slow.status)
            assert left_to_django(query, headers), (path, query, headers, slow)
            continue
        answered["lane"].add(fast.status)
        assert unlike(fast) == unlike(slow), (path, query, method, headers)
        etags += [slow.headers["etag"]] if "etag" in slow.headers else []
    return answered


def left_to_django(query: str, headers: dict[str, str]) -> bool:
    """What the lane may leave to Django: nothing that is a plain fetch."""
    return (
        "_at=" in query
        or "resolve=false" in query
        or query in ("%00=1", "x=%ff", "ü")
        or headers.get("Accept") not in (None, "*/*", "application/json")
    )


def test_random_requests(team: Team, world: World, lanes: BothLanes) -> None:
    answered = compare(lanes, world, seed=1, count=400)
    assert {200, 304, 400, 401, 403, 404, 422} <= answered["lane"]


@pytest.mark.parametrize("named_production", [False, True])
def test_random_requests_as_langfuse_has_them(
    team: Team, world: World, lanes: BothLanes, *, named_production: bool
) -> None:
    if named_production:
        channel = add_channel(by=team.farah, name="production", policy={})
        release_on(team, Prompt.objects.get(name="support/greeting"), 3, channel)
    answered = compare(lanes, world, 2, 250, some_langfuse_request)
    assert {200, 304, 400, 401, 403, 404} <= answered["lane"]
    assert 200 in answered["django"]  # the sources


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("some", [some_request, some_langfuse_request])
@pytest.mark.parametrize("seed", range(10))
def test_many_random_requests(
    team: Team, world: World, lanes: BothLanes, seed: int, some: Callable[..., Request]
) -> None:
    compare(lanes, world, 100 + seed, 2_000, some)


def test_the_same_words_when_the_rate_is_used_up(team: Team, world: World, lanes: BothLanes, settings) -> None:
    settings.RATE_FETCH = 2
    both = ((PROMPTS, f"Bearer {world.keys['good']}"), (LANGFUSE, basic(world.keys["good"])))  # from one bucket
    heard = {}
    for send in (lanes.through_django, lanes.through_lane):
        limits.FETCHES.forget()
        heard[send.__name__] = [
            send(f"{door}support/greeting", Authorization=key) for _ in range(3) for door, key in both
        ]
    for slow, fast in zip(*heard.values(), strict=True):
        assert (slow.status, slow.headers, slow.body) == (fast.status, fast.headers, fast.body)
    assert [answer.status for answer in heard["through_lane"]] == [200] * 4 + [429] * 2


def test_a_key_in_the_address(team: Team, world: World, lanes: BothLanes) -> None:
    for path, query in (
        (f"support/{world.keys['good']}", ""),
        ("support/greeting", f"a={world.keys['good']}"),
        ("support/greeting", "pf%5Fdev%5Fx=1"),
    ):
        for door in (PROMPTS, LANGFUSE):
            for headers in ({}, {"Authorization": f"Bearer {world.keys['good']}"}):
                fast = lanes.through_lane(door + path, query, **headers)
                assert fast is not None
                assert fast.status == 400
                assert unlike(fast) == unlike(lanes.through_django(door + path, query, **headers))


def test_a_name_that_no_prompt_can_have_is_not_remembered(team: Team, world: World, lanes: BothLanes) -> None:
    for door, key in ((PROMPTS, f"Bearer {world.keys['good']}"), (LANGFUSE, basic(world.keys["good"]))):
        for name in ("x" * 200, "x" * 201, "folder/" * 8_000 + "x"):
            fast = lanes.through_lane(door + name, Authorization=key)
            assert fast is not None
            assert unlike(fast) == unlike(lanes.through_django(door + name, Authorization=key))
    assert [*lanes.lane.engine.snapshot.projects[team.project.pk].prompts] == ["x" * 200]


@pytest.mark.parametrize(
    ("door", "query"),
    [(PROMPTS, "_at=2026-01-01T00:00:00Z"), (PROMPTS, "%5Fat=x"), (PROMPTS, "n=5&_at"), (LANGFUSE, "resolve=false")],
)
def test_what_is_left_to_django_is_counted_once(
    team: Team, world: World, lanes: BothLanes, settings, door: str, query: str
) -> None:
    settings.RATE_FETCH = 2
    key = basic(world.keys["good"]) if door == LANGFUSE else f"Bearer {world.keys['good']}"
    assert lanes.through_lane(f"{door}support/greeting", query, Authorization=key) is None
    answer = lanes.through_django(f"{door}support/greeting", query, Authorization=key)
    assert answer.headers["ratelimit"].startswith('"fetch";r=3;')


def test_a_variable_may_be_named_like_the_past(team: Team, world: World, lanes: BothLanes) -> None:
    key = f"Bearer {world.keys['good']}"
    fast = lanes.through_lane(f"{PROMPTS}support/greeting", "created_at=5&customer_name=_at", Authorization=key)
    assert fast is not None
    slow = lanes.through_django(f"{PROMPTS}support/greeting", "created_at=5&customer_name=_at", Authorization=key)
    assert unlike(fast) == unlike(slow)
