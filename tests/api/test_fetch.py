"""GET /api/v1/prompts/{name}: what a caller of a prompt gets."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from delivery.receipts import read_receipt
from promptforge.lib.instants import format_instant
from prompts.actions.projects import PRESETS, create_channel
from prompts.actions.releases import promote
from prompts.models import Prompt, Release
from tests.api.conftest import Caller, body_of, problem_of, release, written
from tests.personas import Team

NAME = "support/greeting"


# --- What is selected ------------------------------------------------------------------------------------------------
def test_stable_is_the_default_and_the_whole_answer_is_as_promised(team: Team, prompt: Prompt, reader: Caller) -> None:
    answer = reader.fetch(NAME)
    body = body_of(answer)
    version = team.version(prompt, 2)
    assert list(body) == [
        "name", "version", "channel", "revision", "type", "content", "rendered", "variables", "config", "digest", "arm",
        "receipt",
    ]  # fmt: skip
    receipt = body.pop("receipt")
    assert body == {
        "name": NAME,
        "version": 2,
        "channel": "stable",
        "revision": 2,
        "type": "text",
        "content": "Text 2 for {{customer_name}}",
        "rendered": False,
        "variables": [
            {
                "name": "customer_name",
                "type": "string",
                "required": True,
                "default": None,
                "description": "",
                "max_length": None,
                "enum": None,
            }
        ],
        "config": {"model": "small", "temperature": 0.2},
        "digest": f"sha256:{bytes(version.digest).hex()}",
        "arm": None,
    }
    assert read_receipt(receipt) == (team.project.pk, prompt.pk, version.pk, team.stable.pk, 2, None)
    assert answer["PromptForge-Version"] == "2"
    assert answer["PromptForge-Channel"] == "stable"
    assert answer["PromptForge-Revision"] == "2"
    assert answer["Cache-Control"] == "private, no-cache"
    assert answer["ETag"].startswith('"')
    assert answer["ETag"].endswith('"')
    assert "Authorization" in answer["Vary"]


def test_latest_a_number_and_another_channel(team: Team, prompt: Prompt, reader: Caller) -> None:
    beta = create_channel(project=team.project, name="beta", policy=PRESETS["solo"], creator=None)
    promote(by=team.cleo, prompt=prompt, channel=beta, version=team.version(prompt, 1))

    latest = reader.fetch(NAME, _version="latest")
    body = body_of(latest)
    assert (body["version"], body["channel"], body["revision"]) == (3, None, None)
    assert latest["Cache-Control"] == "private, no-cache"
    assert "PromptForge-Channel" not in latest.headers
    assert "PromptForge-Revision" not in latest.headers

    pinned = reader.fetch(NAME, _version="1")
    body = body_of(pinned)
    assert (body["version"], body["channel"], body["revision"]) == (1, None, None)
    assert pinned["Cache-Control"] == "private, max-age=31536000, immutable"

    body = body_of(reader.fetch(NAME, _version="beta"))
    assert (body["version"], body["channel"], body["revision"]) == (1, "beta", 1)


def test_a_slash_in_the_name_may_be_percent_encoded(prompt: Prompt, reader: Caller) -> None:
    assert reader.get("prompts/support%2Fgreeting").content == reader.get(f"prompts/{NAME}").content


def test_a_chat_is_served_as_its_messages(team: Team, reader: Caller) -> None:
    messages = [
        {"role": "system", "content": "Be brief, {{ tone }}."},
        {"placeholder": "history"},
        {"role": "user", "content": "Grüße \\{{ raw }} 🙂\r\n"},
    ]
    team.prompt("chat", content=messages)
    body = body_of(reader.fetch("chat", _version="1"))
    assert (body["type"], body["content"]) == ("chat", messages)


def test_unknown_and_foreign_prompts_answer_alike(team: Team, prompt: Prompt, foreign: Team, reader: Caller) -> None:
    answers = []
    for name in ("secret/plan", "secret/none"):
        body = problem_of(reader.fetch(name), 404, "prompt_not_found")
        body.pop("request_id")
        answers.append(json.dumps(body).replace(name, "NAME"))
    assert answers[0] == answers[1]


def test_a_name_is_told_apart_by_case(prompt: Prompt, reader: Caller) -> None:
    problem_of(reader.fetch("Support/Greeting"), 404, "prompt_not_found")


def test_a_name_that_cannot_be_is_not_there(prompt: Prompt, reader: Caller) -> None:
    for name in ("a b", "ü", "..", "a//b", "a'b", "a\\b", "support/greeting/", "a\rb", "-", "x" * 3000):
        problem_of(reader.fetch(name), 404, "prompt_not_found")
    problem_of(reader.fetch("a\nb"), 404, "not_found")
    problem_of(reader.fetch(""), 404, "not_found")


def test_numbers_and_channels_that_do_not_exist(prompt: Prompt, reader: Caller) -> None:
    problem_of(reader.fetch(NAME, _version="4"), 404, "version_not_found")
    problem_of(reader.fetch(NAME, _version="2147483647"), 404, "version_not_found")
    problem_of(reader.fetch(NAME, _version="beta"), 404, "channel_not_found")


def test_a_channel_with_nothing_on_it(team: Team, reader: Caller) -> None:
    team.prompt()
    problem_of(reader.fetch(NAME), 404, "channel_empty")


def test_what_names_no_version(prompt: Prompt, reader: Caller) -> None:
    for text in (
        "0",
        "-1",
        "1.0",
        "٣",
        "1e3",
        "99999999999",
        "2147483648",
        "Stable",
        "pinned",
        "",
        "01",
        "+1",
        " 1",
        "1\n",
    ):
        problem_of(reader.fetch(NAME, _version=text), 400, "bad_version")


# --- As it stood -----------------------------------------------------------------------------------------------------
def test_at_tells_what_was_live_then(team: Team, prompt: Prompt, reader: Caller) -> None:
    first, second = Release.objects.order_by("revision")
    tick = timedelta(microseconds=1)
    for instant, version in ((first.at, 1), (second.at - tick, 1), (second.at, 2)):
        body = body_of(reader.fetch(NAME, _at=format_instant(instant)))
        assert (body["version"], body["revision"], body["channel"]) == (version, version, "stable")
    body = body_of(reader.fetch(NAME, _at=format_instant(second.at), _version="stable", customer_name="Noor"))
    assert body["content"] == "Text 2 for Noor"
    problem_of(reader.fetch(NAME, _at=format_instant(first.at - tick)), 404, "not_yet_released")
    problem_of(reader.fetch(NAME, _at="0001-01-01T00:00:00Z"), 404, "not_yet_released")


def test_at_takes_any_zone(team: Team, prompt: Prompt, reader: Caller) -> None:
    first = Release.objects.get(revision=1).at
    for hours in (-11, 5.5, 14):
        local = (first + timedelta(hours=hours)).replace(tzinfo=None).isoformat(timespec="microseconds")
        sign, minutes = "-" if hours < 0 else "+", int(abs(hours) * 60)
        written_instant = f"{local}{sign}{minutes // 60:02}:{minutes % 60:02}"
        assert body_of(reader.fetch(NAME, _at=written_instant))["version"] == 1


def test_at_that_is_no_instant(prompt: Prompt, reader: Caller) -> None:
    for text in (
        "2026-11-17T10:00:00",
        "2026-02-30T10:00:00Z",
        "2026-11-17T10:00:00+25:00",
        "2026-11-17",
        "2026-11-17T24:00:01Z",
        "2026-11-17T10:00:00.1234567Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "now",
        "1700000000",
        "٢026-11-17T10:00:00Z",
        "",
        format_instant(timezone.now() + timedelta(minutes=1)),
        "9999-12-31T23:59:59Z",
    ):
        problem_of(reader.fetch(NAME, _at=text), 400, "bad_timestamp")


def test_at_goes_with_a_channel_only(prompt: Prompt, reader: Caller) -> None:
    past = format_instant(datetime(2026, 1, 1, tzinfo=UTC))
    for selector in ("2", "latest"):
        problem_of(reader.fetch(NAME, _at=past, _version=selector), 400, "bad_version")


# --- Rendering -------------------------------------------------------------------------------------------------------
def test_a_variable_renders_and_render_overrules(prompt: Prompt, reader: Caller) -> None:
    body = body_of(reader.fetch(NAME, customer_name="{{x}} & Ö"))
    assert (body["content"], body["rendered"], body["unused"]) == ("Text 2 for {{x}} & Ö", True, [])
    body = body_of(reader.fetch(NAME, customer_name="Noor", _render="0"))
    assert (body["content"], body["rendered"]) == ("Text 2 for {{customer_name}}", False)
    assert "unused" not in body
    problem_of(reader.fetch(NAME, _render="1"), 422, "missing_variable")


def test_unused_variables_are_listed_and_refused_when_strict(prompt: Prompt, reader: Caller) -> None:
    given = {"customer_name": "Noor", "colour": "red", "size": "9"}
    assert body_of(reader.fetch(NAME, **given))["unused"] == ["colour", "size"]
    body = problem_of(reader.fetch(NAME, **given, _strict="1"), 422, "unknown_variable")
    assert [fault["pointer"] for fault in body["errors"]] == ["/variables/colour", "/variables/size"]
    assert body_of(reader.fetch(NAME, **given, _strict="0"))["rendered"]


def test_missing_variables_are_named_all_at_once(team: Team, reader: Caller) -> None:
    team.prompt(content="{{one}} {{two}} {{three}}")
    body = problem_of(reader.fetch(NAME, _version="1", two="2"), 422, "missing_variable")
    assert [(fault["pointer"], fault["code"]) for fault in body["errors"]] == [
        ("/variables/one", "missing_variable"),
        ("/variables/three", "missing_variable"),
    ]


def test_query_values_take_their_declared_type(team: Team, reader: Caller) -> None:
    types = {"s": "string", "n": "number", "i": "integer", "b": "boolean", "j": "json"}
    declared = [{"name": name, "type": kind} for name, kind in types.items()]
    declared.append({"name": "e", "type": "enum", "enum": ["red", "blue"]})
    team.prompt(content="{{s}}|{{n}}|{{i}}|{{b}}|{{j}}|{{e}}", variables=declared)
    good = {"s": "007", "n": "1.0", "i": "-7", "b": "true", "j": '{"b": 1, "a": [1.0, null]}', "e": "red"}
    body = body_of(reader.fetch(NAME, _version="1", **good))
    assert body["content"] == '007|1.0|-7|true|{"b":1,"a":[1.0,null]}|red'
    for name, text in (
        ("n", "hot"),
        ("i", "1.5"),
        ("i", "٣"),
        ("b", "yes"),
        ("j", "{"),
        ("j", '{"a":1,"a":2}'),
        ("e", "green"),
    ):
        body = problem_of(reader.fetch(NAME, _version="1", **(good | {name: text})), 422, "bad_variable")
        assert [fault["pointer"] for fault in body["errors"]] == [f"/variables/{name}"]


def test_defaults_fill_what_is_not_given(team: Team, reader: Caller) -> None:
    team.prompt(
        content="{{greeting}}, {{name}}{{mark}}",
        variables=[{"name": "greeting", "default": "Hello"}, {"name": "mark", "required": False}],
    )
    assert body_of(reader.fetch(NAME, _version="1", name="Noor"))["content"] == "Hello, Noor"


def test_any_character_can_be_a_value(team: Team, prompt: Prompt, reader: Caller) -> None:
    for value in ("", " ", "\ufffd", "\u202e\U000e0041", "a\r\nb\tc", "%00", "&=+#"):
        assert body_of(reader.fetch(NAME, customer_name=value))["content"] == f"Text 2 for {value}"


# --- Parameters ------------------------------------------------------------------------------------------------------
def test_parameters_of_ours_that_are_not_known_or_stand_twice(prompt: Prompt, reader: Caller) -> None:
    problem_of(reader.fetch(NAME, _label="x"), 400, "unknown_parameter")
    problem_of(reader.get(f"prompts/{NAME}?_version=1&_version=2"), 400, "unknown_parameter")
    problem_of(reader.get(f"prompts/{NAME}?customer_name=a&customer_name=b"), 400, "unknown_parameter")
    for name in ("_render", "_strict"):
        for value in ("2", "true", ""):
            problem_of(reader.fetch(NAME, **{name: value}), 400, "bad_value")


def test_a_user_has_at_most_256_characters(prompt: Prompt, reader: Caller) -> None:
    plain = reader.fetch(NAME).content
    assert reader.fetch(NAME, _user="ü" * 256).content == plain
    problem_of(reader.fetch(NAME, _user="u" * 257), 400, "bad_value")


def test_more_parameters_than_a_form_has_fields_are_a_bad_request(
    prompt: Prompt, reader: Caller, settings: Any
) -> None:
    most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
    problem_of(reader.fetch(NAME, **{f"v{n}": "x" for n in range(most + 1)}), 400, "bad_request")


# --- Conditional requests --------------------------------------------------------------------------------------------
def test_the_same_state_is_the_same_bytes_and_receipt(team: Team, prompt: Prompt, reader: Caller) -> None:
    other = Caller(team.key("prompts:read"))
    first, second = reader.fetch(NAME), other.fetch(NAME)
    assert first.content == second.content
    assert first["ETag"] == second["ETag"]
    release(team, prompt, 3)
    third = reader.fetch(NAME)
    assert third["ETag"] != first["ETag"]
    assert body_of(third)["receipt"] != body_of(first)["receipt"]


def test_a_known_etag_answers_304_with_headers_and_without_body(team: Team, prompt: Prompt, reader: Caller) -> None:
    first = reader.fetch(NAME)
    for known in (first["ETag"], f'"other", {first["ETag"]}', f"W/{first['ETag']}", "*"):
        again = reader.fetch(NAME, {"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        names = ("ETag", "Cache-Control", "Vary", "PromptForge-Version", "PromptForge-Channel", "PromptForge-Revision")
        for name in names:
            assert again[name] == first[name]
        assert "Content-Type" not in again.headers
    assert body_of(reader.fetch(NAME, {"If-None-Match": '"other"'})) == body_of(first)
    release(team, prompt, 1)
    assert body_of(reader.fetch(NAME, {"If-None-Match": first["ETag"]}))["version"] == 1


def test_renderings_have_etags_of_their_own(prompt: Prompt, reader: Caller) -> None:
    answers = [reader.fetch(NAME), reader.fetch(NAME, customer_name="a"), reader.fetch(NAME, customer_name="b")]
    assert len({answer["ETag"] for answer in answers}) == 3


def test_head_answers_like_get_without_the_body(prompt: Prompt, reader: Caller) -> None:
    full, head = reader.fetch(NAME), reader.send("HEAD", f"prompts/{NAME}")
    assert (head.status_code, head.content) == (200, b"")
    own = {"X-Request-ID", "Content-Length"}
    assert {k: v for k, v in head.items() if k not in own} == {k: v for k, v in full.items() if k not in own}
    assert reader.send("HEAD", f"prompts/{NAME}", If_None_Match=full["ETag"]).status_code == 304
    assert reader.send("HEAD", "prompts/none").status_code == 404


def test_a_fetch_writes_nothing(prompt: Prompt, reader: Caller) -> None:
    before: Any = written()
    reader.fetch(NAME)
    reader.fetch(NAME, _at=format_instant(timezone.now() - timedelta(seconds=1)))
    reader.fetch("none")
    assert written() == before
