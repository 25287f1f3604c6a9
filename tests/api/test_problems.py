"""Every refusal of the API is a problem that says what is wrong; none is a 500, none shows what is inside."""

import json
import re
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from delivery.api.views import FetchView
from prompts.models import Prompt
from tests.api.conftest import Caller, body_of, problem_of, release, written
from tests.personas import Team

NAME = "support/greeting"


@pytest.fixture
def prompt(team: Team) -> Prompt:
    prompt = team.prompt()
    release(team, prompt, 1)
    return prompt


# --- Bodies ----------------------------------------------------------------------------------------------------------
DEEP = 100_000
BODIES: list[tuple[str, bytes, str]] = [
    ("1 empty", b"", "body_required"),
    ("1 blank", b" \n ", "body_required"),
    ("2 truncated", b'{"content": "x', "json_syntax"),
    ("2 trailing comma", b'{"content": "x",}', "json_syntax"),
    ("2 single quotes", b"{'content': 'x'}", "json_syntax"),
    ("3 list", b"[]", "object_expected"),
    ("3 string", b'"x"', "object_expected"),
    ("3 null", b"null", "object_expected"),
    ("4 key twice", b'{"content": "safe", "content": "evil"}', "duplicate_key"),
    ("4 key twice, escaped", b'{"content": "safe", "c\\u006fntent": "evil"}', "duplicate_key"),
    ("5 deep list", b'{"content":' + b"[" * DEEP + b"]" * DEEP + b"}", "json_too_deep"),
    ("5 deep object", b'{"a":' * DEEP + b"1" + b"}" * DEEP, "json_too_deep"),
    ("5 one too deep", b'{"config":' + b"[" * 64 + b"]" * 64 + b"}", "json_too_deep"),
    ("6 too large", b'{"content": "' + b"x" * 1_048_576 + b'"}', "body_too_large"),
    ("6 far too large", b'{"content": "' + b"x" * 10_000_000 + b'"}', "body_too_large"),
    ("7 NUL", b'{"content": "a\\u0000b"}', "nul_not_allowed"),
    ("8 NUL nested", b'{"content": "x", "config": {"a": [{"b": "\\u0000"}]}}', "nul_not_allowed"),
    ("9 NUL in a key", b'{"content": "x", "config": {"\\u0000": 1}}', "nul_not_allowed"),
    ("10 lone surrogate", b'{"content": "\\ud800"}', "invalid_unicode"),
    ("10 lone surrogate in a key", b'{"content": "x", "config": {"\\udfff": 1}}', "invalid_unicode"),
    ("11 invalid UTF-8", b'{"content": "\xff"}', "invalid_utf8"),
    ("11 surrogate in UTF-8", b'{"content": "\xed\xa0\x80"}', "invalid_utf8"),
    ("12 byte order mark", b'\xef\xbb\xbf{"content": "x"}', "bom_not_allowed"),
    ("13 NaN", b'{"content": "x", "config": {"t": NaN}}', "number_out_of_range"),
    ("13 Infinity", b'{"content": "x", "config": {"t": -Infinity}}', "number_out_of_range"),
    ("13 1e400", b'{"content": "x", "config": {"t": 1e400}}', "number_out_of_range"),
    ("14 5,000 digits", b'{"content": "x", "config": {"t": ' + b"9" * 5000 + b"}}", "number_out_of_range"),
    ("15 number as text", b'{"PROMPT": "NAME", "content": 5}', "string_expected"),
    ("16 unknown field", b'{"PROMPT": "NAME", "content": "x", "is_admin": true}', "unknown_field"),
    ("17 read-only field", b'{"PROMPT": "NAME", "content": "x", "number": 7}', "read_only_field"),
]
DOORS = {
    "versions": "prompt",
    "prompts": "name",
    f"prompts/{NAME}": "version",
    "releases": "prompt",
    "api-keys": "name",
}


@pytest.mark.parametrize("door", DOORS)
def test_bodies_of_the_corpus(prompt: Prompt, api: Caller, door: str) -> None:
    before = written()
    for why, body, code in BODIES:
        if door not in ("versions", "prompts") and why.startswith(("15", "16", "17")):
            continue  # those are other doors' fields
        sent = body.replace(b"PROMPT", DOORS[door].encode()).replace(b"NAME", NAME.encode())
        answer = api.post(door, sent)
        status = 413 if code == "body_too_large" else 400
        assert answer.status_code == status, (why, answer.content)
        told = problem_of(answer, status, code)
        assert len(answer.content) < 4000, why
        if code == "json_syntax":
            assert (told["line"], ":" in told["detail"]) == (1, True)
    assert written() == before


@pytest.mark.parametrize("door", DOORS)
def test_bodies_of_another_kind(prompt: Prompt, api: Caller, door: str) -> None:
    before = written()
    good = json.dumps({"name": "x", "prompt": NAME, "content": "x"}).encode()
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
        "x",
    ):
        problem_of(api.send("POST", door, good, content_type=kind), 415, "unsupported_media_type")
    for encoding in ("gzip", "br", "identity, gzip"):
        problem_of(api.post(door, good, Content_Encoding=encoding), 415, "encoding_not_supported")
    assert written() == before
    accepted = api.send(
        "POST",
        f"prompts/{NAME}",
        b'{"variables": {"customer_name": "x"}}',
        content_type="application/json; charset=utf-8",
    )
    body_of(accepted)


# --- Addresses, methods, forms ---------------------------------------------------------------------------------------
def test_addresses_where_nothing_is(api: Caller) -> None:
    for path in (
        "",
        "none",
        "prompts/",
        "versions/",
        "Prompts",
        "releases/1",
        "diff/x",
        "a%0Ab",
        "../v1/none",
        "%2e%2e",
    ):
        problem_of(api.get(path), 404, "not_found")
    for path in ("/api/", "/api/v2/prompts", "/api/none"):
        problem_of(api.client.get(path), 404, "not_found")


def test_addresses_that_cannot_be_read(prompt: Prompt, api: Caller) -> None:
    for path in ("prompts/a%00b", f"prompts/{NAME}?customer_name=%00", "prompts?q=%00", "releases?prompt=%00"):
        problem_of(api.get(path), 400, "nul_not_allowed")
    for path in (f"prompts/{NAME}?customer_name=%ff", "prompts?q=%ed%a0%80", "prompts?%c3=1"):
        problem_of(api.get(path), 400, "invalid_utf8")


def test_methods_that_are_not_allowed_name_those_that_are(prompt: Prompt, api: Caller) -> None:
    before = written()
    for path in ("prompts", "versions", f"versions/{NAME}@1", "diff", "releases", "api-keys"):
        for method in ("PUT", "TRACE" if path != "diff" else "POST"):
            answer = api.send(method, path, {})
            problem_of(answer, 405, "method_not_allowed")
            allowed = answer["Allow"].split(", ")
            assert method not in allowed
            assert "GET" in allowed
    problem_of(api.send("DELETE", "releases"), 405, "method_not_allowed")
    problem_of(api.send("PATCH", "releases", {}), 405, "method_not_allowed")
    problem_of(api.send("DELETE", f"versions/{NAME}@1"), 405, "method_not_allowed")
    assert written() == before


def test_answers_in_another_form(prompt: Prompt, reader: Caller) -> None:
    for accept in ("text/html", "application/xml", "application/json;version=2, text/html;q=0.1"):
        answer = reader.fetch(NAME, {"Accept": accept})
        if answer.status_code != 200:
            problem_of(answer, 406, "not_acceptable")
    problem_of(reader.fetch(NAME, {"Accept": "text/html"}), 406, "not_acceptable")
    for accept in ("*/*", "application/*", "text/html, application/json;q=0.5", "application/json"):
        body_of(reader.fetch(NAME, {"Accept": accept}))


def test_a_host_that_is_not_ours(prompt: Prompt, reader: Caller) -> None:
    problem_of(reader.fetch(NAME, {"Host": "evil.example"}), 400, "bad_request")


# --- What a problem holds --------------------------------------------------------------------------------------------
def test_a_harmless_request_id_is_taken_over(reader: Caller) -> None:
    assert (
        problem_of(reader.fetch("none", {"X-Request-ID": "a.b_C-1"}), 404, "prompt_not_found")["request_id"]
        == "a.b_C-1"
    )
    for odd in ("a b", "x" * 65, "é", "<script>"):
        assert problem_of(reader.fetch("none", {"X-Request-ID": odd}), 404, "prompt_not_found")["request_id"] != odd
    first, second = (problem_of(reader.fetch("none"), 404, "prompt_not_found")["request_id"] for _ in range(2))
    assert first != second


def test_no_more_than_eighty_characters_of_the_input_come_back(prompt: Prompt, api: Caller) -> None:
    long = "Z" * 5000
    for answer in (
        api.get("prompts", {long: 1}),
        api.get("prompts", {"limit": long}),
        api.fetch(long),
        api.fetch(NAME, _version=long),
        api.fetch(NAME, _at=long),
        api.fetch(NAME, _render=long),
        api.fetch(NAME, **{"_" + long: "1"}),
        api.fetch(NAME, customer_name="x", _strict="1", **{long: "1"}),
        api.post("versions", {"prompt": long, "content": "x"}),
        api.post("versions", {"prompt": NAME, "content": "x", long: 1}),
        api.post("prompts", {"name": long, "content": "x"}),
        api.post("prompts", {"name": "a", "content": "{{" + long + ".a}}"}),
        api.post("prompts", {"name": "a", "content": "x", "type": long}),
        api.post("releases", {"kind": long, "prompt": NAME}),
        api.post("api-keys", {"name": "x", "scopes": [long]}),
        api.send("PUT", "prompts", {}, content_type=long),
        api.send("POST", "prompts", b"x", content_type=long),
    ):
        assert answer.status_code in (400, 404, 405, 415, 422), answer.content
        body = problem_of(answer, answer.status_code, json.loads(answer.content)["code"])
        assert "Z" * 81 not in json.dumps(body), body


def test_a_fault_of_ours_shows_nothing(
    team: Team, prompt: Prompt, api: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("SELECT secret FROM vault -- pf_dev_secret")

    monkeypatch.setattr(FetchView, "get", fail)
    monkeypatch.setattr(FetchView, "post", fail)
    for answer in (api.fetch(NAME), api.post(f"prompts/{NAME}", {})):
        body = problem_of(answer, 500, "server_error")
        assert "vault" not in json.dumps(body)
        assert set(body) == {"type", "title", "status", "code", "detail", "errors", "request_id"}
    assert "vault" in caplog.text  # the log has it


def test_a_fault_ahead_of_the_views_is_a_problem_too(
    prompt: Prompt, api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.middleware.common import CommonMiddleware

    def fail(*args: Any) -> None:
        raise RuntimeError("SELECT secret FROM vault")

    monkeypatch.setattr(CommonMiddleware, "process_request", fail)
    api.client.raise_request_exception = False
    problem_of(api.fetch(NAME), 500, "server_error")


# --- Nobody comes in unasked -----------------------------------------------------------------------------------------
def routes(patterns: Any, prefix: str = "") -> list[str]:
    found = []
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            found += routes(pattern.url_patterns, prefix + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            found.append(prefix + str(pattern.pattern))
    return found


OPEN = {"api/v1/schema", "api/docs/", "api/"}


def test_every_route_asks_who_is_there(prompt: Prompt) -> None:
    nobody, unknown = Caller(None), Caller("pf_dev_x")
    closed = [route for route in routes(get_resolver().url_patterns) if route.startswith("api/") and route not in OPEN]
    assert len(closed) >= 8
    for route in closed:
        path = re.sub(r"<\w+:\w+>", "1", route.removeprefix("api/v1/"))
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            answer = nobody.send(method, path, {})
            assert answer.status_code in (401, 404, 405), (method, route, answer.status_code)
            if answer.status_code == 401:
                problem_of(answer, 401, "not_authenticated")
                problem_of(unknown.send(method, path, {}), 401, "key_malformed")
