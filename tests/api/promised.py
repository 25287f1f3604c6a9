"""Every answer of the API is held against the OpenAPI schema: status, media type, and each field of the body."""

import json
import re
from functools import cache
from typing import Any

import jsonschema
from django.http import HttpResponse
from django.test import Client
from django.urls import Resolver404, resolve


@cache
def schema() -> dict[str, Any]:
    answer = Client().get("/api/v1/schema", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert answer.status_code == 200, answer.content
    document: dict[str, Any] = json.loads(answer.content)
    return document


def template_of(route: str) -> str:
    """A route as the schema writes it."""
    return "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", route)


def assert_promised(answer: HttpResponse, method: str, path: str) -> None:
    """The schema knows what was answered there; what it does not describe is refused."""
    try:
        template = template_of(resolve(path).route)
    except Resolver404:
        template = "nowhere"
    operation = schema()["paths"].get(template, {}).get(method.lower().replace("head", "get"))
    place = (f"{method} {template}", answer.status_code)
    if operation is None:
        assert answer.status_code >= 400, place
        return
    responses = operation["responses"]
    assert str(answer.status_code) in responses, (place, sorted(responses))
    shapes = responses[str(answer.status_code)].get("content", {})
    if not shapes or method == "HEAD":
        assert not answer.content, place
        return
    kind = answer["Content-Type"].partition(";")[0]
    assert kind in shapes, (place, kind, list(shapes))
    if kind in ("application/json", "application/problem+json"):
        _validator(template, method.lower(), answer.status_code, kind).validate(json.loads(answer.content))


def fits(answer: Any, path: str, method: str) -> None:
    """It was this operation that answered, as the schema promises."""
    asked = answer.request["PATH_INFO"]
    assert template_of(resolve(asked).route) == f"/api/v1/{path}"
    assert_promised(answer, method.upper(), asked)


@cache
def _validator(template: str, method: str, status: int, kind: str) -> Any:
    shape = schema()["paths"][template][method]["responses"][str(status)]["content"][kind]["schema"]
    whole = {**_closed(shape), "components": _components()}
    return jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker())


@cache
def _components() -> Any:
    return _closed(schema()["components"])


def _closed(node: Any) -> Any:
    """The same shape, in which a field that is not promised is a fault; `nullable` as JSON Schema says it."""
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(value) for key, value in node.items()}
    if "properties" in closed and isinstance(closed.get("properties"), dict) and closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    if closed.pop("nullable", False):
        if isinstance(closed.get("type"), str):
            closed["type"] = [closed["type"], "null"]
        elif "type" not in closed:
            closed = {"anyOf": [closed, {"type": "null"}]}
    return closed
