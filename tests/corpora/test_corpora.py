"""Bad input, at every door that takes it: its own code, its place, a sentence that helps, and nothing written."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from promptforge.lib.errors import CODES
from prompts.models import Prompt
from prompts.models.prompts import PromptType
from tests.api.conftest import Caller, problem_of, written
from tests.api.people import BACKEND
from tests.authorization.world import everything
from tests.corpora.conftest import corpus, unfolded
from tests.personas import Team

LONGEST_ECHO = 80
SMALLEST = 60
# The doors that read a JSON body, by what they are asked for; {…} is filled with things of the shop.
BODIES = (
    ("POST", "prompts"),
    ("POST", "versions"),
    ("POST", "releases"),
    ("POST", "channels"),
    ("POST", "channels/stable/freezes"),
    ("POST", "members"),
    ("POST", "api-keys"),
    ("PATCH", "channels/stable"),
    ("PATCH", "prompts/support/greeting"),
    ("POST", "prompts/support/greeting"),
)
Wrong = list[tuple[str, ...]]


@pytest.mark.parametrize("surface", ["api", "templates", "values", "wire"])
def test_the_corpora_are_as_large_as_promised(surface: str) -> None:
    rows = corpus(surface)
    assert len(rows) >= SMALLEST
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        assert row["expect_code"] is None or CODES[row["expect_code"]].status == row["expect_status"], row["id"]


# --- What every refusal is -------------------------------------------------------------------------------------------
def echoes(said: str, sent: str) -> str | None:
    """A run of the input, longer than a message may repeat, that the answer holds."""
    length = LONGEST_ECHO + 1
    for start in range(min(len(said), 20_000) - length + 1):
        if (run := said[start : start + length]) in sent and not run.isspace():
            return run
    return None


def judge(row: dict[str, Any], answer: HttpResponse, sent: str) -> str | None:
    """What is wrong with the answer, None when it is as the row wants it."""
    if answer["Content-Type"] != "application/problem+json":
        return f"{answer.status_code} {answer.content[:150]!r}"
    body = json.loads(answer.content)
    code = row["expect_code"] or body["code"]
    if (answer.status_code, body["code"]) != (row["expect_status"], code):
        return f"{answer.status_code} {body['code']}: {body['detail'][:150]}"
    problem_of(answer, row["expect_status"], code)
    pointers = [fault["pointer"] for fault in body["errors"]]
    if row["expect_pointer"] is not None and row["expect_pointer"] not in pointers:
        return f"pointers {pointers}"
    return bad_words(row, [body["detail"], *(fault["detail"] for fault in body["errors"])], pointers, sent)


def bad_words(row: dict[str, Any], details: list[str], pointers: list[str], sent: str) -> str | None:
    """What a refusal's sentences say that they should not."""
    for text in details + pointers:
        if (run := echoes(text, sent)) is not None:
            return f"echoes {run}"
        if found := [word for word in row["must_not"] if word in text]:
            return f"says {found}"
    return next((f"is no sentence: {text}" for text in details if not re.search(r"[.:…?]$", text)), None)


def assert_all(wrong: Wrong, before: Any) -> None:
    assert not wrong, "\n" + "\n".join(" | ".join(line) for line in wrong)
    assert everything() == before


# --- The API itself --------------------------------------------------------------------------------------------------
def raw_bytes(raw: Any) -> bytes:
    if isinstance(raw, dict) and "bytes" in raw:
        return bytes.fromhex(raw["bytes"])
    text: str = unfolded(raw)
    return text.encode()


def test_the_api(shop: Team, keys: dict[str, str | None]) -> None:
    wrong: Wrong = []
    cases, before = 0, everything()
    for row in corpus("api"):
        asked = row["input"]
        data = json.dumps(asked["body"]).encode() if "body" in asked else raw_bytes(asked.get("raw", ""))
        headers = dict(asked.get("headers", {}))
        kind = headers.pop("Content-Type", "application/json")
        for method, path in BODIES if asked["path"] == "*" else [(asked["method"], asked["path"])]:
            caller = Caller(keys[asked.get("key", "all")])
            answer = caller.send(method, path, data, content_type=kind, **headers)
            cases += 1
            sent = data.decode("utf-8", "replace") + path + str(headers)
            if (fault := judge(row, answer, sent)) is not None:
                wrong.append((row["id"], method, path[:60], fault))
    print(f"{cases} requests of {len(corpus('api'))} bad inputs")
    assert_all(wrong, before)


# --- Templates -------------------------------------------------------------------------------------------------------
def by_prompts(caller: Caller, fields: dict[str, Any]) -> HttpResponse:
    answer: HttpResponse = caller.post("prompts", {"name": "corpus/new"} | fields)
    return answer


def by_versions(caller: Caller, fields: dict[str, Any]) -> HttpResponse:
    fields = dict(fields)
    chat = fields.pop("type", None) == "chat" or isinstance(fields["content"], list)
    name = "talk" if chat and isinstance(fields["content"], list) else "support/greeting"
    answer: HttpResponse = caller.post("versions", {"prompt": name} | fields)
    return answer


@pytest.mark.parametrize("door", [by_prompts, by_versions])
def test_templates_by_rest(
    shop: Team, keys: dict[str, str | None], door: Callable[[Caller, dict[str, Any]], HttpResponse]
) -> None:
    wrong: Wrong = []
    caller, before = Caller(keys["all"]), everything()
    for row in corpus("templates"):
        fields = unfolded(row["input"])
        if door is by_versions and fields.get("type") == "text":
            fields = fields | {"type": None}
        if row["id"] in NOT_AT.get(door.__name__, ()):
            continue
        if (fault := judge(row, door(caller, fields), json.dumps(fields, ensure_ascii=False))) is not None:
            wrong.append((row["id"], fault))
    assert_all(wrong, before)


# A version of a text takes no list at all, and one that exists can be included.
NOT_AT = {"by_versions": ("chat-in-a-text", "include-self")}


def signed_in_editor(team: Team) -> Client:
    team.ada.user.is_staff = True
    team.ada.user.save()
    client = Client()
    client.force_login(team.ada.user, backend=BACKEND)
    return client


def complaints(page: HttpResponse) -> str:
    """What the form says is wrong, without its tags."""
    found = re.findall(r'<ul class="errorlist[^>]*>(.*?)</ul>', page.content.decode(), re.DOTALL)
    return re.sub(r"<[^>]+>", " ", " ".join(found))


@pytest.mark.full
def test_templates_by_the_form(shop: Team) -> None:
    """The admin's form refuses the same, says something, and repeats no long input."""
    client, wrong = signed_in_editor(shop), []
    page = reverse("admin:prompts_prompt_add")
    before = everything()
    for row in corpus("templates"):
        fields = unfolded(row["input"])
        chat = isinstance(fields["content"], list)
        posted = {
            "project": shop.project.pk,
            "name": "corpus/new",
            "type": PromptType.CHAT if chat else PromptType.TEXT,
            "content": json.dumps(fields["content"]) if chat else fields["content"],
            "config": json.dumps(fields["config"]) if "config" in fields else "",
            "variables": json.dumps(fields["variables"]) if "variables" in fields else "",
        }
        if row["id"] == "chat-in-a-text":
            continue  # typed into a text's field, it is a text
        answer = client.post(page, posted)
        said = complaints(answer)
        if answer.status_code != 200 or not said.strip():
            wrong.append((row["id"], f"{answer.status_code} {answer.content[:100]!r}"))
        elif (run := echoes(said, str(fields["content"]))) is not None:
            wrong.append((row["id"], f"echoes {run}"))
        wrong += [(row["id"], f"says {word}") for word in row["must_not"] if word in said]
    assert_all(wrong, before)
    assert not Prompt.objects.filter(name="corpus/new").exists()


# --- Values ----------------------------------------------------------------------------------------------------------
def value_requests(row: dict[str, Any], caller: Caller) -> Iterator[tuple[str, Any, HttpResponse]]:
    asked = unfolded(row["input"])
    path = f"prompts/{quote(asked.pop('prompt'))}"
    yield "body", asked, caller.post(path, asked)
    if row.get("doors") != ["body"]:
        values = {name: value for name, value in asked["variables"].items() if value is not None}
        given = values | ({"_strict": "1"} if asked.get("strict") else {}) | {"_render": "1"}
        yield "query", given, caller.send("GET", f"{path}?{urlencode(given)}")


def test_values(shop: Team, keys: dict[str, str | None]) -> None:
    wrong: Wrong = []
    before = written()
    for row in corpus("values"):
        for door, sent, answer in value_requests(row, Caller(keys["reader"])):
            if (fault := judge(row, answer, json.dumps(sent, ensure_ascii=False))) is not None:
                wrong.append((row["id"], door, fault))
    assert not wrong, "\n" + "\n".join(" | ".join(line) for line in wrong)
    assert written() == before


# --- What must not be refused ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "value", ["{{secret}}", "{{a}}{{b}}", "\\{{x}}", "{name:{name.__class__}}", "${7*7}", "<%= 7 %>", "{% raw %}"]
)
def test_a_value_is_put_in_once_and_verbatim(shop: Team, keys: dict[str, str | None], value: str) -> None:
    caller = Caller(keys["reader"])
    for answer in (
        caller.post("prompts/values/text", {"variables": {"a": value, "b": "!"}}),
        caller.get("prompts/values/text", {"a": value, "b": "!"}),
    ):
        assert json.loads(answer.content)["content"] == f"{value} and !"
    made = caller_of_editor(keys).post("prompts", {"name": "literal", "content": "x " + value.replace("{{", "\\{{")})
    assert made.status_code == 201


def caller_of_editor(keys: dict[str, str | None]) -> Caller:
    return Caller(keys["all"])


def test_hidden_text_and_long_lines_are_saved(shop: Team, keys: dict[str, str | None]) -> None:
    caller = caller_of_editor(keys)
    tags = "Say hi" + "".join(chr(0xE0000 + ord(c)) for c in "ignore all")
    for number, content in enumerate((tags, "a\u202eb", "x" * 200_000, "{name:{name.__class__}}", "sk-" + "a" * 40)):
        assert caller.post("prompts", {"name": f"kept-{number}", "content": content}).status_code == 201
    diff = json.loads(caller.get("diff", {"from": "support/greeting@1", "to": "kept-0@1"}).content)
    assert diff["hidden"]


def test_the_command_line(shop: Team, capsys: pytest.CaptureFixture[str]) -> None:
    """The same instants and versions, typed: one sentence, and the exit of a refusal."""
    wrong, before = [], everything()
    for row in corpus("api"):
        _, _, query = row["input"]["path"].partition("?")
        given = dict(parse_qsl(query, keep_blank_values=True, errors="replace"))
        if row["id"].startswith("version-"):
            words = ["promote", f"support/greeting@{given['_version']}"]
            options = {"reason": "x", "as": "cleo@shop.example"}
        elif row["id"].startswith("at-") and "_version" not in given:
            words, options = ["at", "support/greeting", given["_at"]], {}
        else:
            continue
        with pytest.raises((SystemExit, CommandError)) as end:
            call_command(*words, *(f"--{name}={value}" for name, value in options.items()), "--project=shop")
        said = capsys.readouterr().err.strip() or str(end.value)
        if echoes(said, " ".join(words)) or "\n" in said or not said.endswith(f". ({row['expect_code']})"):
            wrong.append((row["id"], said))
    assert_all(wrong, before)
