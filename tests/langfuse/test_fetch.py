"""One prompt as Langfuse's clients read it: every field, every way to name a version, every refusal."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.test import Client

from delivery.receipts import read_receipt
from prompts.actions.channels import add_channel
from prompts.actions.releases import promote
from prompts.actions.versions import create_prompt, save_version
from prompts.models import Prompt
from tests.api.conftest import basic, release, written
from tests.api.promised import assert_promised
from tests.personas import Team

NAME = "support/greeting"


class Reader:
    """Asks Django's views with HTTP Basic; every answer must have the shape that the schema promises."""

    def __init__(self, authorization: str | None) -> None:
        self.headers = {} if authorization is None else {"Authorization": authorization}
        self.client = Client()

    def send(self, method: str, path: str, query: str = "", body: bytes = b"", **headers: str) -> Any:
        address = f"/api/public/v2/prompts{path}" + (f"?{query}" if query else "")
        kind = "application/json"
        return self.client.generic(method, address, body, content_type=kind, headers=self.headers | headers)

    def get(self, name: str | None = NAME, /, **parameters: Any) -> Any:
        path = "" if name is None else f"/{quote(name, safe='')}"
        answer = self.send("GET", path, urlencode(parameters))
        assert answer.status_code == 200, answer.content
        assert answer["Content-Type"] == "application/json"
        assert_promised(answer, "GET", answer.request["PATH_INFO"])
        return json.loads(answer.content)

    def refused(self, name: str | None = NAME, /, **parameters: Any) -> tuple[int, str]:
        answer = self.send("GET", "" if name is None else f"/{quote(name, safe='')}", urlencode(parameters))
        return answer.status_code, refusal(answer)["code"]


ERRORS = {400: "InvalidRequestError", 401: "UnauthorizedError", 403: "ForbiddenError", 404: "LangfuseNotFoundError"}


def refusal(answer: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(answer.content)
    assert list(body) == ["message", "error", "code", "request_id"]
    assert body["error"] == (ERRORS | {405: "MethodNotAllowedError"})[answer.status_code]
    assert body["message"].endswith(".")
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("application/json", "no-store")
    assert answer.get("WWW-Authenticate") == ('Basic realm="PromptForge"' if answer.status_code == 401 else None)
    return body


@pytest.fixture
def reader(team: Team) -> Reader:
    return Reader(basic(team.key()))


@pytest.fixture
def greeting(team: Team) -> Prompt:
    team.prompt("house-style", content="Be kind.")
    prompt, _ = create_prompt(
        by=team.ada,
        name=NAME,
        content="{{> house-style }} Hello {{ name }}! \\{{",
        config={"z": 1.0, "a": {"t": 0.20}},
        tags=["shop", "de"],
        message="First",
    )
    release(team, prompt, 1)
    save_version(by=team.ada, prompt=prompt, content="Hi {{name}}!")
    return prompt


def test_every_field_of_a_text(team: Team, reader: Reader, greeting: Prompt) -> None:
    body = reader.get()
    release = greeting.releases.get()
    ours = body.pop("promptforge")
    assert (ours["channel"], ours["revision"]) == ("stable", 1)
    receipt = read_receipt(ours["receipt"])
    assert receipt is not None
    assert (receipt.version, receipt.channel, receipt.revision) == (release.version_id, team.stable.pk, 1)
    assert ours["digest"] == f"sha256:{bytes(release.version.digest).hex()}"
    assert body.pop("id").startswith("ver_")
    assert body.pop("projectId").startswith("prj_")
    assert body.pop("createdBy").startswith("usr_")
    assert body.pop("createdAt") < body["updatedAt"]
    assert body == {
        "name": NAME,
        "version": 1,
        "type": "text",
        "prompt": "Be kind. Hello {{ name }}! \\{{",
        "config": {"z": 1.0, "a": {"t": 0.2}},
        "labels": ["production", "stable"],
        "tags": ["shop", "de"],
        "commitMessage": "First",
        "updatedAt": body["updatedAt"],
        "isActive": True,
        "resolutionGraph": None,
    }
    assert '"config":{"z":1.0,"a":{"t":0.2}}' in reader.send("GET", f"/{NAME}").content.decode()


def test_a_chat_has_langfuses_messages(team: Team, reader: Reader) -> None:
    messages = [{"role": "system", "content": "Speak {{language}}."}, {"placeholder": "history"}]
    chat, _ = create_prompt(by=team.ada, name="chat", content=messages)
    release(team, chat, 1)
    body = reader.get("chat")
    assert (body["type"], body["commitMessage"], body["isActive"]) == ("chat", None, True)
    assert body["prompt"] == [
        {"type": "chatmessage", "role": "system", "content": "Speak {{language}}."},
        {"type": "placeholder", "name": "history"},
    ]


def test_the_source_as_it_was_typed(reader: Reader, greeting: Prompt) -> None:
    assert reader.get(resolve="false")["prompt"] == "{{> house-style }} Hello {{ name }}! \\{{"
    assert reader.get(resolve="true")["prompt"] == "Be kind. Hello {{ name }}! \\{{"


def test_versions_and_labels(team: Team, reader: Reader, greeting: Prompt) -> None:
    assert reader.get(version=2)["labels"] == ["latest"]
    assert reader.get(version=2)["promptforge"]["channel"] is None
    assert reader.get(label="latest")["version"] == 2
    assert reader.get(label="production") == reader.get(label="stable") == reader.get()
    production = add_channel(by=team.farah, name="production", policy={})
    assert reader.refused() == (404, "channel_empty")
    promote(by=team.cleo, prompt=greeting, channel=production, version=team.version(greeting, 2))
    assert (reader.get()["version"], reader.get()["labels"]) == (2, ["latest", "production"])
    assert (reader.get(label="stable")["version"], reader.get(label="stable")["isActive"]) == (1, False)


def test_what_is_not_there_or_cannot_be_asked(reader: Reader, greeting: Prompt) -> None:
    assert reader.refused("nope") == (404, "prompt_not_found")
    assert reader.refused(version=3) == (404, "version_not_found")
    for label in ("staging", "1", "pinned", "Prod_EU", ""):  # no fallback, and a label of digits is no number
        assert reader.refused(label=label) == (404, "channel_not_found")
    for version in ("x", "0", "-1", "1.0", "", "99999999999"):
        assert reader.refused(version=version) == (400, "bad_version")
    assert reader.refused(version=1, label="stable") == (400, "bad_version")
    assert reader.refused(resolve="1") == (400, "bad_value")
    assert reader.refused(labels="stable") == (400, "unknown_parameter")
    assert refusal(reader.send("GET", f"/{NAME}", "label=a&label=b"))["code"] == "unknown_parameter"


def test_nobody_else_comes_in(team: Team, greeting: Prompt) -> None:
    key = team.key()
    for authorization, code in (
        (None, "not_authenticated"),
        (f"Bearer {key}", "not_authenticated"),
        (f"Basic {key}", "not_authenticated"),
        ("Basic", "not_authenticated"),
        (basic(key, "0000000000"), "key_unknown"),
        (basic(key, ""), "key_unknown"),
        (basic(team.key(), key.split("_")[2]), "key_unknown"),
        (basic(key[:-1] + ("0" if key[-1] != "0" else "1")), "key_malformed"),
        (basic("pf_dev_0000000000_x"), "key_malformed"),
    ):
        assert Reader(authorization).refused() == (401, code), authorization
    assert Reader(basic(key)).get()["version"] == 1


def test_what_a_key_is_narrowed_to(team: Team, greeting: Prompt) -> None:
    assert Reader(basic(team.key("versions:write"))).refused() == (403, "key_scope")
    assert Reader(basic(team.key(prompts=["docs/*"]))).refused() == (404, "prompt_not_found")
    stable = Reader(basic(team.key(channels=["stable"])))
    assert stable.get(label="production")["version"] == stable.get()["version"] == 1
    assert stable.refused(version=1) == (403, "key_scope")
    assert stable.refused(label="latest") == (403, "key_scope")
    assert stable.refused("nope", label="latest") == (404, "prompt_not_found")
    add_channel(by=team.farah, name="production", policy={})
    assert stable.refused(label="production") == (403, "key_scope")


def test_writing_is_refused_with_where_to_write(reader: Reader, greeting: Prompt) -> None:
    before = written()
    for method, path in (
        ("POST", ""),
        ("PATCH", f"/{NAME}/versions/1"),
        ("DELETE", f"/{NAME}"),
        ("PUT", f"/{NAME}"),
    ):
        answer = reader.send(method, path, body=b'{"newLabels": ["production"]}')
        assert answer.status_code == 405
        assert "POST /api/v1/releases" in refusal(answer)["message"]
        assert answer["Allow"] == "GET, HEAD, OPTIONS"
    assert written() == before


def test_an_answer_that_is_known_already(reader: Reader, greeting: Prompt) -> None:
    first = reader.send("GET", f"/{NAME}")
    assert first["Cache-Control"] == "private, no-cache"
    again = reader.send("GET", f"/{NAME}", **{"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (again["PromptForge-Version"], again["PromptForge-Revision"]) == ("1", "1")


def test_what_is_elsewhere_below_its_address_is_refused_in_its_form(reader: Reader) -> None:
    for address in ("/api/public/projects", "/api/public/otel/v1/traces", "/api/public/v2/prompts/a%00b"):
        answer = reader.client.get(address)
        assert refusal(answer)["code"] in ("not_found", "nul_not_allowed")
