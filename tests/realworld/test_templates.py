"""The main job on real input: other people's templates, saved, released, served, rolled back and read in the past."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.api.conftest import Caller, body_of, problem_of
from tests.personas import Team
from tests.plugin import ROOT

TEMPLATES = [
    json.loads(line)
    for line in (ROOT / "tests" / "realworld" / "templates.jsonl").read_text(encoding="utf-8").splitlines()
]
SAMPLE_STEP = 20  # 24 of 480 in the default run
AS_THEY_ARE = 318  # of all 480; the others hold Jinja expressions, and are saved with their braces escaped


def escaped(text: str) -> str:
    """The same text with every `{{` kept as it stands: in these templates the braces mean something else."""
    return text.replace("{{", "\\{{")


def saved(api: Caller, name: str, text: str) -> tuple[str, str]:
    """Make a prompt of a template: what it holds in the end, and how it got in."""
    answer = api.post("prompts", {"name": name, "content": text})
    if answer.status_code == 201:
        return text, "as it is"
    body = json.loads(answer.content)
    problem_of(answer, 422, body["code"])
    [fault] = body["errors"]
    assert fault["pointer"] == "/content"
    assert "line" in fault["detail"] or ":" in fault["detail"]
    body_of(api.post("prompts", {"name": name, "content": escaped(text)}), 201)
    return escaped(text), body["code"]


@pytest.mark.parametrize("step", [SAMPLE_STEP, pytest.param(1, marks=[pytest.mark.full, pytest.mark.timeout(300)])])
def test_every_template_goes_through_the_main_job(team: Team, step: int) -> None:
    api = Caller(team.key("prompts:read", "versions:write", "releases:write"))
    reader = Caller(team.key("prompts:read"))
    ways: Counter[str] = Counter()
    for number, template in enumerate(TEMPLATES[::step]):
        name, text = f"{template['package']}/t{number}", template["text"]
        content, way = saved(api, name, text)
        ways[way] += 1
        through_the_main_job(api, reader, name, content)
        if way != "as it is":
            # Rendered, the escaped template is its author's own text again.
            assert body_of(reader.fetch(name, _version="1", _render="1"))["content"] == text
    print(f"{ways.total()} templates: {dict(ways)}")
    assert ways.total() == len(TEMPLATES[::step])
    assert set(ways) <= {"as it is", "bad_variable_name", "reserved_name", "unclosed_tag", "confusable_variable"}
    if step == 1:
        assert (ways.total(), ways["as it is"]) == (480, AS_THEY_ARE)


def through_the_main_job(api: Caller, reader: Caller, name: str, content: str) -> None:
    """Served byte for byte, promoted, followed by a second version, rolled back, and read as it stood."""

    def move(kind: str, **more: Any) -> dict[str, Any]:
        return body_of(api.post("releases", {"kind": kind, "prompt": name, **more}), 201)

    assert body_of(reader.fetch(name, _version="1"))["content"] == content
    first = move("promote", version=1)
    later = f"{content}\nSay it in one sentence."
    assert body_of(api.post("versions", {"prompt": name, "content": later, "base_version": 1}), 201)["number"] == 2
    assert body_of(reader.fetch(name))["content"] == content
    second = move("promote", version=2)
    assert body_of(reader.fetch(name))["content"] == later
    back = move("rollback", reason="The longer one is worse")
    assert (back["version"], back["previous_version"], back["revision"]) == (1, 2, 3)
    assert body_of(reader.fetch(name))["content"] == content
    for release, text in ((first, content), (second, later), (back, content)):
        then = body_of(reader.fetch(name, _at=release["at"]))
        assert (then["content"], then["revision"]) == (text, release["revision"])


def test_served_bytes_are_the_templates_bytes(team: Team) -> None:
    """The answer's JSON holds exactly the text: nothing trimmed, normalised or turned."""
    api, reader = Caller(team.key("versions:write")), Caller(team.key())
    odd = [t for t in TEMPLATES if not t["text"].isascii() or t["text"] != t["text"].strip() or "\t" in t["text"]]
    assert len(odd) > 40
    for number, template in enumerate(odd[::3]):
        content, _ = saved(api, f"odd/{number}", template["text"])
        answer = reader.fetch(f"odd/{number}", _version="latest")
        assert f'"content":{json.dumps(content, ensure_ascii=False)}'.encode() in answer.content
