"""Prompt content: the shared vectors, and what must hold for every text, value and template."""

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest

from promptforge.lib.errors import CODES, DomainError
from promptforge.lib.json import parse_json
from prompts.templating import (
    MAX_CONFIG,
    MAX_CONTENT,
    MAX_RENDERED,
    Include,
    Included,
    Literal,
    Part,
    Template,
    Variable,
    check_config,
    check_content,
    declared_variables,
    expand,
    parse,
    parse_query_value,
    render,
)

TESTS = Path(__file__).resolve().parent.parent
VECTORS: dict[str, Any] = json.loads((TESTS / "vectors" / "templating.json").read_text("utf-8"))
TEMPLATES = [json.loads(line) for line in (TESTS / "realworld" / "templates.jsonl").read_text("utf-8").splitlines()]


def cases(section: str) -> Any:
    return pytest.mark.parametrize("case", VECTORS[section], ids=lambda case: case["name"][:50])


def lookup(name: str, number: int | None) -> Included | None:
    found = [v for v in VECTORS["library"] if v["prompt"] == name and number in {None, v["number"]}]
    if not found:
        return None
    newest = max(found, key=lambda v: v["number"])
    return Included(newest["number"], newest["content"], newest["variables"], newest.get("type", "text"))


def assert_refused(expected: dict[str, Any], error: DomainError) -> None:
    assert error.code == expected["code"]
    for key in ("line", "column", "message"):
        if key in expected:
            assert error.extra[key] == expected[key]
    if "line" in expected:
        assert f"ine {expected['line']}, column {expected['column']}: " in error.detail
    if "message" in expected:
        assert error.detail.startswith(f"Message {expected['message']}, line")
    if "pointer" in expected:
        assert [fault.pointer for fault in error.faults] == [expected["pointer"]]
    if "pointers" in expected:
        assert [fault.pointer for fault in error.faults] == expected["pointers"]
    assert {fault.code for fault in error.faults} <= set(CODES)
    assert error.detail[0].isupper() or not error.detail[0].isalpha() or error.detail.split()[0].islower()
    assert error.detail.endswith((".", "}}."))


def refusal(call: Any, *args: Any, **named: Any) -> DomainError:
    with pytest.raises(DomainError) as caught:
        call(*args, **named)
    return caught.value


def attempt(call: Any, *args: Any, **named: Any) -> tuple[Any, DomainError | None]:
    """The answer or the refusal; any other exception fails the test."""
    try:
        return call(*args, **named), None
    except DomainError as error:
        return None, error


def as_vector(part: Part) -> dict[str, Any]:
    if isinstance(part, Literal):
        return {"literal": part.text}
    place = {"line": part.line, "column": part.column}
    if isinstance(part, Include):
        return {"include": part.name, "number": part.number} | place
    return {"variable": part.name} | place


@cases("parse")
def test_parse(case: dict[str, Any]) -> None:
    if "error" in case:
        assert_refused(case["error"], refusal(parse, case["text"]))
        return
    parts = parse(case["text"])
    assert [{k: v for k, v in as_vector(p).items() if k in e} for p, e in zip(parts, case["parts"], strict=True)] == (
        case["parts"]
    )
    assert "".join(case["text"][part.start : part.end] for part in parts) == case["text"]


@cases("content")
def test_content(case: dict[str, Any]) -> None:
    if "error" in case:
        assert_refused(case["error"], refusal(check_content, case["type"], case["content"]))
    else:
        assert check_content(case["type"], case["content"]) == case["content"]


@cases("expand")
def test_expand(case: dict[str, Any]) -> None:
    if "error" in case:
        assert_refused(case["error"], refusal(expand, case["content"], lookup))
        return
    expanded = expand(case["content"], lookup)
    assert (expanded.content, expanded.includes) == (case["expanded"], case["includes"])
    assert expand(expanded.content, lookup).content == expanded.content


@cases("declare")
def test_declare(case: dict[str, Any]) -> None:
    expanded = expand(case["content"], lookup)
    if "error" in case:
        error = refusal(declared_variables, expanded.content, case["declarations"], expanded.inherited)
        assert_refused(case["error"], error)
        return
    declared = declared_variables(expanded.content, case["declarations"], expanded.inherited)
    assert json.dumps(declared) == json.dumps(case["variables"])
    assert declared_variables(expanded.content, declared) == declared  # what we answer can be sent back


@cases("render")
def test_render(case: dict[str, Any]) -> None:
    given = (case["content"], case["variables"], case["values"], case["messages"])
    if "error" in case:
        assert_refused(case["error"], refusal(render, *given, strict=case["strict"]))
    else:
        assert render(*given, strict=case["strict"]) == (case["rendered"], case["unused"])


@cases("query")
def test_query_value(case: dict[str, Any]) -> None:
    [declaration] = declared_variables("{{a}}", [case["declaration"]])
    if "error" not in case:
        value = parse_query_value(case["text"], declaration)
        assert (value, type(value)) == (case["value"], type(case["value"]))
        return

    def both() -> None:  # a choice is judged when it is rendered
        render("{{a}}", [declaration], {"a": parse_query_value(case["text"], declaration)})

    assert refusal(both).code == "bad_variable"


def test_there_are_enough_vectors_and_each_has_its_own_name() -> None:
    assert sum(len(cases) for cases in VECTORS.values() if isinstance(cases, list)) > 200
    for section in ("content", "parse", "expand", "declare", "render", "query"):
        names = [case["name"] for case in VECTORS[section]]
        assert len(set(names)) == len(names)


# Limits


def test_content_is_measured_in_bytes() -> None:
    assert check_content("text", "a" * MAX_CONTENT)
    assert refusal(check_content, "text", "a" * (MAX_CONTENT + 1)).code == "content_too_large"
    assert refusal(check_content, "text", "é" * (MAX_CONTENT // 2 + 1)).code == "content_too_large"
    message = {"role": "user", "content": "x"}
    assert refusal(check_content, "chat", [message] * 10_000).code == "content_too_large"


def test_expanded_content_is_measured_too() -> None:
    big = Included(1, "a" * 60_000)
    assert len(expand("{{> a}}" * 4, lambda *_: big).content) == 240_000
    error = refusal(expand, "{{> a}}" * 5, lambda *_: big)
    assert (error.code, error.status) == ("content_too_large", 413)
    started = time.perf_counter()
    assert (
        refusal(expand, [{"role": "user", "content": "{{> a}}" * 30_000}], lambda *_: big).code == "content_too_large"
    )
    assert time.perf_counter() - started < 2


def test_config() -> None:
    assert check_config({"z": 1, "a": [1.0, None]}) == '{"z":1,"a":[1.0,null]}'
    assert refusal(check_config, []).code == "object_expected"
    assert refusal(check_config, {"a": "x" * MAX_CONFIG}).code == "config_too_large"


def test_rendered_size_is_bounded_before_it_is_written() -> None:
    template = Template("{{a}}" * 50_000, [{"name": "a"}])
    started = time.perf_counter()
    error = refusal(template.render, {"a": "x" * 1_000_000})
    assert (error.code, error.status) == ("content_too_large", 413)
    assert time.perf_counter() - started < 1
    assert len(render("{{a}}", [{"name": "a"}], {"a": "x" * MAX_RENDERED}).content) == MAX_RENDERED
    assert refusal(render, "{{a}}", [{"name": "a"}], {"a": "é" * (MAX_RENDERED // 2 + 1)}).code == "content_too_large"
    chat = [{"role": "user", "content": "{{a}}"}, {"placeholder": "h"}]
    history = [{"role": "user", "content": "x" * (MAX_RENDERED // 2)}]
    assert render(chat, [{"name": "a"}], {"a": "x" * (MAX_RENDERED // 2)}, {"h": history})
    assert refusal(render, chat, [{"name": "a"}], {"a": "x" * (MAX_RENDERED // 2 + 1)}, {"h": history}).code == (
        "content_too_large"
    )


@pytest.mark.parametrize(
    "text", ["{{a}}" * 52_000, "{{a}}\n" * 43_000, "\\{{" * 87_000, "{" * 1_000 + " ", "\\" * 262_000]
)
def test_long_texts_are_parsed_in_time(text: str) -> None:
    started = time.perf_counter()
    _, error = attempt(parse, text)
    assert error is None or error.code == "unclosed_tag"
    assert time.perf_counter() - started < 2


def test_lookup_is_asked_once_for_each_reference() -> None:
    asked = []

    def count(name: str, number: int | None) -> Included:
        asked.append((name, number))
        return Included(7, "x")

    expanded = expand("{{> a}}{{> a}}{{> a@7}}", count)
    assert asked == [("a", None), ("a", 7)]
    assert expanded.includes == [{"prompt": "a", "version": 7}]


VAST = 10**5000  # Python refuses to write it out


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, VAST, {1, 2}, [math.nan], [VAST], object(), b"x", {"\ud800": 1}],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("kind", ["number", "integer", "json"])
def test_values_that_json_cannot_carry_do_not_fit(value: object, kind: str) -> None:
    assert refusal(render, "{{a}}", [{"name": "a", "type": kind}], {"a": value}).code == "bad_variable"


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1])
@pytest.mark.parametrize("kind", ["number", "integer"])
def test_integers_out_of_range_do_not_fit(value: int, kind: str) -> None:
    assert refusal(render, "{{a}}", [{"name": "a", "type": kind}], {"a": value}).code == "bad_variable"


def test_a_value_nested_without_end_does_not_fit() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    assert refusal(render, "{{a}}", [{"name": "a", "type": "json"}], {"a": value}).code == "bad_variable"


def test_lone_surrogates_are_refused_wherever_they_come_from() -> None:
    assert refusal(render, "{{a}}", [{"name": "a"}], {"a": "\ud800"}).code == "invalid_unicode"
    assert refusal(parse_query_value, "\udc80", {"name": "a", "type": "string"}).code == "invalid_unicode"
    assert refusal(parse_query_value, "\0", None).code == "nul_not_allowed"
    assert refusal(check_content, "text", "a\udfff").code == "invalid_unicode"


def test_no_value_is_repeated_in_a_refusal() -> None:
    error = refusal(render, "{{a}}", [{"name": "a", "type": "integer"}], {"a": "hunter2" * 100})
    assert "hunter2" not in error.detail + error.faults[0].detail
    long = refusal(render, "x", [], {"z" * 5000: 1}, strict=True)
    assert len(long.detail) < 200
    assert len(long.faults[0].detail) < 200


# What others' template engines would do with these is the reason for our names-only grammar.
INJECTIONS = [
    "{{7*7}}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{config.items()}}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{x}}{% endfor %}",
    "{{request|attr('application')|attr('\\x5f\\x5fglobals\\x5f\\x5f')}}",
    "{{self._TemplateReference__context.cycler.__init__.__globals__.os.popen('id').read()}}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{% include '/etc/passwd' %}",
    "{# comment #}{{a}}{{ b }}{{> house-style@3}}\\{{a}}",
    "{name.__class__.__init__.__globals__}",
    "{0.__class__}{!r}{:>99999999}%n%s%(x)s",
    "${7*7}#{7*7}<%= 7*7 %>${{7*7}}@(7*7)",
    "{{#each this}}{{/each}}{{{raw}}}{{&raw}}{{^a}}{{!c}}",
    "{{constructor.constructor('return process')()}}",
    "{{=<% %>=}}<script>alert(1)</script>&lt;",
    "}}{{", "{{", "}}", "{", "\\", "\\{{", "{{a", "a}}",
]  # fmt: skip


@pytest.mark.parametrize("attack", INJECTIONS)
def test_injections_come_out_verbatim_as_values(attack: str) -> None:
    declarations = [{"name": "a"}, {"name": "b", "default": attack}, {"name": "c", "type": "json"}]
    rendered = render("{{a}}|{{b}}|{{c}}|{{a}}", declarations, {"a": attack, "c": [attack]})
    assert rendered.content == f"{attack}|{attack}|{json.dumps([attack], separators=(',', ':'))}|{attack}"
    history = [{"role": "user", "content": attack}]
    assert render([{"placeholder": "h"}], [], {}, {"h": history}).content == history


@pytest.mark.parametrize("attack", [a for a in INJECTIONS if "{{" not in a])
def test_injections_without_our_braces_are_literal_text(attack: str) -> None:
    assert render(attack, []).content == attack


def test_escaping_makes_any_text_literal() -> None:
    for attack in INJECTIONS:
        if not attack.endswith("{"):
            assert render(attack.replace("{{", "\\{{"), []).content == attack


# Prompts that people wrote for other engines


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: f"{t['package']}:{t['name']}"[:60])
def test_real_prompts_parse_or_are_refused_at_a_place(template: dict[str, str]) -> None:
    text = template["text"]
    parts, error = attempt(parse, text)
    if error is not None:
        assert error.code in {"bad_variable_name", "reserved_name", "unclosed_tag", "confusable_variable"}
        assert text.split("\n")[error.extra["line"] - 1][error.extra["column"] - 1 :].startswith("{{")
        return
    names = list(dict.fromkeys(part.name for part in parts if isinstance(part, Variable)))
    if len({name.lower() for name in names}) < len(names):
        assert refusal(declared_variables, text).code == "confusable_variable"
        return
    assert [v["name"] for v in declared_variables(text)] == names
    marked = render(text, declared_variables(text), {name: f"{{{{{name}}}}}" for name in names}).content
    assert marked == "".join(p.text if isinstance(p, Literal) else f"{{{{{p.name}}}}}" for p in parts)


def test_a_prompt_of_two_kilobytes_renders_in_microseconds() -> None:
    line = "Some words that stay as they are, as long as a line of a prompt usually is, and some more of them: "
    content = "".join(f"{line}{{{{ v{i} }}}}\n" for i in range(15)) + line * 4
    template = Template(content, declared_variables(content))
    values = {f"v{i}": f"value {i}" for i in range(15)}
    best = math.inf
    for _ in range(20):
        started = time.perf_counter()
        for _ in range(100):
            template.render(values)
        best = min(best, time.perf_counter() - started)
    assert best / 100 < 100e-6  # 8 µs on an idle machine; a busy one may take ten times that


def test_json_bodies_reach_rendering_with_their_types() -> None:
    body = parse_json(b'{"a":1.0,"b":{"y":1,"x":[true]},"c":18446744073709551615}')
    assert isinstance(body, dict)
    declarations = [{"name": "a", "type": "number"}, {"name": "b", "type": "json"}, {"name": "c", "type": "integer"}]
    assert render("{{a}} {{b}} {{c}}", declarations, body).content == '1.0 {"y":1,"x":[true]} 18446744073709551615'
