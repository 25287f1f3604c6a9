"""Templates under random texts: what holds of every one of them."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from promptforge.lib.errors import CODES, DomainError
from prompts.templating import (
    Include,
    Included,
    Variable,
    check_content,
    declared_variables,
    expand,
    parse,
    parse_query_value,
    render,
)
from tests.prompts.test_templating import INJECTIONS, attempt, lookup

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
BRACES = st.text("{}\\ab_>@.1 \n\ré😀", max_size=40)
NAMES = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_]{0,5}\Z")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
DECLARATIONS = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b", "ab"])},
    optional={
        "type": st.sampled_from(["string", "number", "integer", "boolean", "enum", "json"]) | JSON,
        "required": st.booleans() | JSON,
        "default": JSON,
        "max_length": st.integers(-1, 5),
        "enum": st.lists(st.text(max_size=3), max_size=3) | JSON,
    },
)


@given(TEXT.filter(lambda text: "{{" not in text))
@example("\U000e0041\U0010ffff\U00020000\u202e\ufeff}}")
def test_literal_text_of_all_planes_comes_out_as_it_went_in(text: str) -> None:
    assert render(text, []).content == text
    assert expand(text, lookup).content == text


@given(BRACES)
def test_parts_cover_the_text(text: str) -> None:
    try:
        parts = parse(text)
    except DomainError as error:
        line, column = error.extra["line"], error.extra["column"]
        assert text.split("\n")[line - 1][column - 1 :].startswith("{{")
        return
    assert [part.start for part in parts] == [0, *(part.end for part in parts)][: len(parts)]
    assert (parts[-1].end if parts else 0) == len(text)
    for part in parts:
        if isinstance(part, Variable):
            assert text[part.start : part.end].strip("{} \t") == part.name
            assert text.split("\n")[part.line - 1][part.column - 1 :].startswith("{{")


@given(BRACES, BRACES, BRACES)
def test_an_include_never_changes_what_stands_around_it(before: str, included: str, after: str) -> None:
    try:
        whole = [*parse(before + " {{> x}} " + after)]
        inner = parse(included)
        expanded = expand(f"{before}{{{{> x}}}}{after}", lambda *_: Included(1, included))
    except DomainError:
        return
    if any(isinstance(p, Include) for p in inner) or sum(isinstance(p, Include) for p in whole) != 1:
        return
    variables = [p.name for p in parse(before) + inner + parse(after) if isinstance(p, Variable)]
    assert [p.name for p in parse(str(expanded.content)) if isinstance(p, Variable)] == variables


@given(st.lists(st.tuples(TEXT.filter(lambda t: "{" not in t and "\\" not in t), NAMES), max_size=6), st.data())
def test_values_are_inserted_once_and_verbatim(pieces: list[tuple[str, str]], data: st.DataObject) -> None:
    values = {name: data.draw(st.one_of(TEXT, BRACES, st.sampled_from(INJECTIONS))) for _, name in pieces}
    content = "".join(f"{text}{{{{{name}}}}}" for text, name in pieces)
    rendered = render(content, [{"name": name} for name in values], values)
    assert rendered.content == "".join(text + values[name] for text, name in pieces)
    assert rendered.unused == []


@given(BRACES | TEXT, st.lists(DECLARATIONS, max_size=2) | JSON, JSON, JSON, st.booleans())
@example("{{a}}", [{"name": "a", "type": "json"}], {"a": "\ud800"}, {}, False)
def test_nothing_but_refusals_is_raised(text: str, declared: Any, values: Any, messages: Any, strict: bool) -> None:
    for kind, content in (("text", text), ("chat", [{"role": "user", "content": text}, {"placeholder": "h"}])):
        _, error = attempt(saved_and_rendered, kind, content, declared, values, messages, strict)
        assert error is None or error.code in CODES


def saved_and_rendered(kind: str, content: Any, declared: Any, values: Any, messages: Any, strict: bool) -> bytes:
    checked = expand(check_content(kind, content), lookup)
    variables = declared_variables(checked.content, declared, checked.inherited)
    rendered = render(checked.content, variables, values, messages, strict=strict)
    return json.dumps(rendered.content, ensure_ascii=False).encode()


@given(st.dictionaries(st.sampled_from(["a", "b", "c", "d", "z"]), JSON), st.booleans())
def test_whatever_is_given_renders_or_is_refused(values: dict[str, Any], strict: bool) -> None:
    declarations = [
        {"name": "a"},
        {"name": "b", "type": "json"},
        {"name": "c", "type": "number", "default": 1},
        {"name": "d", "type": "boolean", "required": False},
    ]
    rendered, error = attempt(render, "{{a}}|{{b}}|{{c}}|{{d}}", declarations, values, strict=strict)
    if error is not None:
        assert error.code in {"missing_variable", "bad_variable", "unknown_variable", "invalid_unicode"}
        return
    assert isinstance(rendered.content, str)
    assert rendered.unused == [name for name in values if name == "z" and values[name] is not None]


@given(BRACES | TEXT, st.sampled_from(["string", "number", "integer", "boolean", "json"]))
def test_query_values_are_read_or_refused(text: str, kind: str) -> None:
    value, error = attempt(parse_query_value, text, {"name": "a", "type": kind})
    if error is not None:
        assert error.code in {"bad_variable", "nul_not_allowed"}
    else:
        assert kind != "string" or value == text
