"""A caller of the REST API, and what every refusal of it looks like."""

import json
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.http import HttpResponse
from django.test import Client

from events.models import Event, ServedChange
from promptforge.lib.errors import CODES
from prompts.actions.releases import promote
from prompts.models import Head, Prompt, PromptVersion, Release
from tests.api.promised import assert_promised
from tests.personas import Team, make_team

ALL_SCOPES = ("prompts:read", "versions:write", "releases:write", "manage")


@dataclass
class Caller:
    """Speaks to `/api/v1` with one key (or with none), and reads answers as JSON."""

    key: str | None
    headers: dict[str, str] = field(default_factory=dict)
    client: Client = field(default_factory=Client)

    def send(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", **headers: str):
        sent = dict(self.headers)
        if self.key is not None:
            sent["Authorization"] = f"Bearer {self.key}"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        answer = self.client.generic(method, f"/api/v1/{path}", data, content_type=content_type, headers=sent)
        assert_promised(answer, method, answer.request["PATH_INFO"])
        return answer

    def get(self, path: str, parameters: dict[str, Any] | None = None, **headers: str):
        return self.send("GET", path + ("?" + urlencode(parameters) if parameters else ""), **headers)

    def post(self, path: str, body: Any, **headers: str):
        return self.send("POST", path, body, **headers)

    def fetch(self, prompt: str, headers: dict[str, str] | None = None, /, **parameters: str):
        """Parameters as keywords: `_version="latest"`, `customer_name="Noor"`."""
        return self.get(f"prompts/{quote(prompt)}", parameters, **(headers or {}))


def basic(key: str, user: str | None = None) -> str:
    """An Authorization header by which Langfuse's clients send a key: its id as the user, all of it as the password."""
    return "Basic " + b64encode(f"{key.split('_')[2] if user is None else user}:{key}".encode()).decode()


def body_of(response: HttpResponse, status: int = 200) -> Any:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    return json.loads(response.content)


def problem_of(response: HttpResponse, status: int, code: str) -> dict[str, Any]:
    """The body of a refusal, of which every part is checked."""
    assert response["Content-Type"] == "application/problem+json", response.content
    body: dict[str, Any] = json.loads(response.content)
    assert (response.status_code, body["status"], body["code"]) == (status, status, code), body
    assert list(body)[:7] == ["type", "title", "status", "code", "detail", "errors", "request_id"]
    assert body["type"] == f"/docs/errors#{code}"
    assert body["title"] == CODES[code].title
    assert body["detail"]
    assert body["request_id"] == response["X-Request-ID"]
    for fault in body["errors"]:
        assert set(fault) - {"url"} == {"pointer", "code", "detail"}
        assert fault["code"] in CODES
    assert response["Cache-Control"] == "no-store"
    text = response.content.decode()
    for secret in ("Traceback", 'File "', "SELECT ", "INSERT ", "psycopg"):
        assert secret not in text
    return body


def written() -> dict[str, int]:
    """How many rows there are of everything that a request can write; equal before and after what was refused."""
    models = (Prompt, PromptVersion, Release, Event, ServedChange)
    return {model.__name__: model.objects.count() for model in models} | {
        "revisions": sum(Head.objects.values_list("revision", flat=True))
    }


@pytest.fixture
def api(team: Team) -> Caller:
    """A caller whose key opens everything in the team's project."""
    return Caller(team.key(*ALL_SCOPES))


@pytest.fixture
def reader(team: Team) -> Caller:
    """A caller whose key may read."""
    return Caller(team.key("prompts:read"))


@pytest.fixture
def prompt(team: Team) -> Prompt:
    """`support/greeting` with three versions, of which 2 is live on stable as revision 2."""
    prompt = team.prompt(versions=3, config={"model": "small", "temperature": 0.2})
    release(team, prompt, 1, reason="First")
    release(team, prompt, 2)
    return prompt


@pytest.fixture
def foreign(team: Team) -> Team:
    """Another project with people of its own and a prompt `secret/plan`, live."""
    other = make_team("rival", preset="solo")
    prompt = other.prompt("secret/plan")
    release(other, prompt, 1)
    return other


def release(team: Team, prompt: Prompt, number: int, reason: str = "") -> Release:
    return promote(
        by=team.cleo, prompt=prompt, channel=team.stable, version=team.version(prompt, number), reason=reason
    )
