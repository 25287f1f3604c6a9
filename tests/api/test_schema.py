"""The OpenAPI schema: it is one, it names every door, and real answers fit what it promises."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any
from unittest import mock

import pytest
import yaml
from django.core.management import call_command
from django.http import JsonResponse
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from jsonschema import ValidationError

from tests.api.conftest import Caller, release
from tests.api.people import person
from tests.api.promised import assert_promised, fits, schema, template_of
from tests.api.test_problems import OPEN, routes
from tests.personas import Team

NAME = "support/greeting"


def test_the_schema_is_valid_openapi() -> None:
    assert schema()["openapi"].startswith("3.")
    validate_schema(schema())


def test_it_is_made_once_and_asked_after_by_its_etag() -> None:
    for accept in ("application/vnd.oai.openapi", "application/vnd.oai.openapi+json", "application/json"):
        first = Client().get("/api/v1/schema", headers={"Accept": accept})
        assert first["Content-Type"].partition(";")[0] == accept
        with mock.patch.object(SchemaGenerator, "get_schema", side_effect=AssertionError):
            again = Client().get("/api/v1/schema", headers={"Accept": accept})
            held = Client().get("/api/v1/schema", headers={"Accept": accept, "If-None-Match": first["ETag"]})
        assert (again.status_code, again.content, again["ETag"]) == (200, first.content, first["ETag"])
        assert (held.status_code, held.content) == (304, b"")
        assert "Accept" in again["Vary"]
    assert yaml.safe_load(Client().get("/api/v1/schema", headers={"Accept": "application/yaml"}).content) == schema()


def test_making_the_schema_warns_of_nothing() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


def test_every_route_is_in_it() -> None:
    mine = {
        template_of(route)
        for route in routes(get_resolver().url_patterns)
        if route.startswith("api/v1/") and route not in OPEN
    }
    assert mine <= set(schema()["paths"])
    names = [operation["operationId"] for path in schema()["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"data": [], "next": None, "more": 1}),
        (200, {"data": []}),
        (200, {"data": [{"name": "a"}], "next": None}),
        (202, {"data": [], "next": None}),
        (404, {"data": [], "next": None}),
    ],
)
def test_an_answer_that_is_not_promised_is_seen(status: int, body: dict[str, Any]) -> None:
    good = JsonResponse({"data": [], "next": None})
    assert_promised(good, "GET", "/api/v1/releases")
    with pytest.raises(AssertionError):
        assert_promised(good, "GET", "/api/v1/nowhere")
    for path in ("/api/v1/releases", "/api/public/v2/prompts"):
        with pytest.raises((AssertionError, ValidationError)):
            assert_promised(JsonResponse(body, status=status), "GET", path)


def test_answers_have_the_promised_shapes(team: Team) -> None:
    api = Caller(team.key("prompts:read", "versions:write", "releases:write", "manage"))
    chat = [{"role": "user", "content": "Hi {{name}}"}, {"placeholder": "history"}]
    team.prompt("house-style", content="Kind.")
    fits(api.post("prompts", {"name": "chat", "content": chat}), "prompts", "post")
    prompt = team.prompt(
        content="{{> house-style }} {{customer_name}}", variables=[{"name": "customer_name", "enum": ["a"]}]
    )
    release(team, prompt, 1)
    fits(api.post("versions", {"prompt": NAME, "content": "New {{b}}", "config": {"a": [1.5]}}), "versions", "post")
    fits(api.post("versions", {"prompt": NAME, "content": "New {{b}}"}), "versions", "post")
    fits(api.fetch(NAME), "prompts/{name}", "get")
    fits(api.fetch(NAME, customer_name="a", x="1"), "prompts/{name}", "get")
    fits(api.fetch("chat", _version="latest"), "prompts/{name}", "get")
    fits(api.fetch(NAME, {"If-None-Match": "*"}), "prompts/{name}", "get")
    fits(api.post(f"prompts/{NAME}", {"variables": {"customer_name": "a"}}), "prompts/{name}", "post")
    fits(api.get("prompts"), "prompts", "get")
    fits(api.get("versions", {"prompt": NAME}), "versions", "get")
    fits(api.get("versions", {"prompt": "chat"}), "versions", "get")
    fits(api.get(f"versions/{NAME}@1"), "versions/{reference}", "get")
    fits(api.get("diff", {"from": f"{NAME}@1", "to": f"{NAME}@2"}), "diff", "get")
    fits(api.post("releases", {"kind": "promote", "prompt": NAME, "version": 2}), "releases", "post")
    fits(api.get("releases"), "releases", "get")
    made = api.post("api-keys", {"name": "x", "scopes": ["prompts:read"]})
    fits(made, "api-keys", "post")
    fits(api.get("api-keys"), "api-keys", "get")
    service = Caller(team.key("observations:write", "observations:read", "feedback:write"))
    uid = "0198c0de-7a5e-7000-8000-0123456789ab"
    rows = [{"id": uid, "prompt": NAME, "version": 2, "channel": "stable", "input": ["x"]}, {"prompt": NAME}]
    fits(service.post("observations", {"observations": rows}), "observations", "post")
    fits(service.post("feedback", {"observation": uid, "name": "thumb", "value": True}), "feedback", "post")
    for reading in (service, person(team, "noor")):
        fits(reading.get("observations"), "observations", "get")
        fits(reading.get("feedback"), "feedback", "get")
        fits(reading.get(f"observations/{uid}"), "observations/{observation_id}", "get")
    fits(api.send("DELETE", f"api-keys/{json.loads(made.content)['id']}"), "api-keys/{key_id}", "delete")


def test_promotions_have_the_promised_shapes(careful_team: Team) -> None:
    team = careful_team
    team.prompt(versions=2)
    ada, ben, cleo = (person(team, name) for name in ("ada", "ben", "cleo"))
    made = ada.post("promotions", {"prompt": NAME, "version": 1})
    fits(made, "promotions", "post")
    one = json.loads(made.content)
    path, shape = f"promotions/{one['id']}", "promotions/{promotion_id}"
    approve = {"decision": "approve", "diff_digest": one["diff_digest"]}
    given = ben.post(f"{path}/reviews", approve)
    fits(given, f"{shape}/reviews", "post")
    at = (timezone.now() + timedelta(hours=1)).isoformat()
    fits(cleo.post(f"{path}/apply", {"at": at}), f"{shape}/apply", "post")
    fits(cleo.post(f"{path}/unschedule", None), f"{shape}/unschedule", "post")
    fits(cleo.post(f"{path}/apply", {}), f"{shape}/apply", "post")
    second = json.loads(ada.post("promotions", {"prompt": NAME, "version": 2}).content)["id"]
    fits(ben.post(f"promotions/{second}/reject", {"reason": "No"}), f"{shape}/reject", "post")
    third = json.loads(ada.post("promotions", {"prompt": NAME, "version": 2}).content)
    asked = {"decision": "request_changes", "diff_digest": third["diff_digest"]}
    review = json.loads(ben.post(f"promotions/{third['id']}/reviews", asked).content)["id"]
    dismiss = f"promotions/{third['id']}/reviews/{review}/dismiss"
    fits(cleo.post(dismiss, {"reason": "Settled"}), f"{shape}/reviews/{{review_id}}/dismiss", "post")
    cleo.post("releases", {"kind": "rollback", "prompt": NAME, "reason": "None is left"})
    fits(ada.post(f"promotions/{third['id']}/renew", None), f"{shape}/renew", "post")
    fits(ada.post(f"promotions/{third['id']}/withdraw", None), f"{shape}/withdraw", "post")
    fits(ada.get("promotions"), "promotions", "get")
    fits(ada.get(path), shape, "get")
    fits(cleo.post(f"{path}/apply", {}), f"{shape}/apply", "post")


def test_refusals_have_the_promised_shape(team: Team) -> None:
    api = Caller(team.key("prompts:read", "versions:write", "releases:write", "manage"))
    team.prompt()
    fits(Caller(None).get("prompts"), "prompts", "get")
    fits(Caller(team.key("manage")).get("prompts"), "prompts", "get")
    fits(api.get("prompts", {"limit": 0}), "prompts", "get")
    fits(api.fetch("none"), "prompts/{name}", "get")
    fits(api.fetch(NAME, _version="1", _render="1"), "prompts/{name}", "get")
    fits(api.send("POST", "versions", b"x", content_type="text/plain"), "versions", "post")
    fits(api.post("prompts", {"name": NAME, "content": "x"}), "prompts", "post")
    fits(api.post("prompts", {"name": "y", "content": "x" * 262_145}), "prompts", "post")
    # These carry a field of their own beside the promised ones.
    for answer, more in (
        (api.post("versions", {"prompt": NAME, "content": "x", "base_version": 9}), "latest"),
        (api.post("releases", {"kind": "promote", "prompt": NAME, "version": 1, "expected_revision": 9}), "head"),
    ):
        assert answer.status_code == 409
        assert more in json.loads(answer.content)
