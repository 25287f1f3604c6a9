"""The strict JSON parser: what it refuses, with which code and place, and that what it accepts comes back unchanged."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptforge.lib.errors import CODES, DomainError
from promptforge.lib.json import MAX_BYTES, MAX_INTEGER, MIN_INTEGER, canonical_json, parse_json, parse_object, pointer


def refusal(body: bytes, **limits: int) -> DomainError:
    with pytest.raises(DomainError) as caught:
        parse_json(body, **limits)
    assert caught.value.code in CODES
    return caught.value


REFUSED = [
    # body, code, pointer of the first fault (None: no faults)
    (b"", "body_required", None),
    (b" \r\n\t", "body_required", None),
    (b'{"content": "Hel', "json_syntax", None),
    (b'{"a":1,}', "json_syntax", None),
    (b"{'a':1}", "json_syntax", None),
    (b'{"a":01}', "json_syntax", None),
    (b'{"a":.5}', "json_syntax", None),
    (b'{"a":+1}', "json_syntax", None),
    (b'{"a":1} {"b":2}', "json_syntax", None),
    (b'"a\nb"', "json_syntax", None),
    (b'"\\x41"', "json_syntax", None),
    (b'"\\ud8"', "json_syntax", None),
    (b"{" * 65, "json_too_deep", None),
    (b"[1,2 3]", "json_syntax", None),
    (b"tru", "json_syntax", None),
    (b"a=1&b=2", "json_syntax", None),
    (b"\xef\xbb\xbf{}", "bom_not_allowed", None),
    (b'{"a":"\xff"}', "invalid_utf8", None),
    (b'{"a":"\xed\xa0\x80"}', "invalid_utf8", None),
    (b'{"a":"\xc0\x80"}', "invalid_utf8", None),
    ('{"a":1}'.encode("utf-16"), "invalid_utf8", None),
    ('{"a":1}'.encode("utf-16-le"), "nul_not_allowed", None),
    (b'{"a":"x\x00y"}', "nul_not_allowed", None),
    (b'{"body":"safe","body":"evil"}', "duplicate_key", "/body"),
    (b'{"config":{"a":[{"x":1,"x":1}]}}', "duplicate_key", "/config/a/0/x"),
    (b'{"a":1,"\\u0061":2}', "duplicate_key", "/a"),
    (b'{"":1,"":2}', "duplicate_key", "/"),
    (b'{"content":"a\\u0000b"}', "nul_not_allowed", "/content"),
    (b'{"config":{"stop":["x","\\u0000"]}}', "nul_not_allowed", "/config/stop/1"),
    (b'{"config":{"a\\u0000":1}}', "nul_not_allowed", "/config/a\\u0000"),
    (b'"\\u0000"', "nul_not_allowed", ""),
    (b'{"content":"\\ud800"}', "invalid_unicode", "/content"),
    (b'{"content":"\\uDC00\\uD800"}', "invalid_unicode", "/content"),
    (b'{"content":"\\ud83d \\ude00"}', "invalid_unicode", "/content"),
    (b'{"variables":{"\\udfff":1}}', "invalid_unicode", "/variables/\\udfff"),
    (b'{"a/b":{"c~d":"\\ud800"}}', "invalid_unicode", "/a~1b/c~0d"),
    (b'{"temperature":NaN}', "number_out_of_range", "/temperature"),
    (b'{"temperature":Infinity}', "number_out_of_range", "/temperature"),
    (b'{"temperature":-Infinity}', "number_out_of_range", "/temperature"),
    (b'{"temperature":1e400}', "number_out_of_range", "/temperature"),
    (b'{"temperature":-1E+400}', "number_out_of_range", "/temperature"),
    (b'{"temperature":1' + b"0" * 308 + b"e1}", "number_out_of_range", "/temperature"),
    (b'{"temperature":1' + b"0" * 400 + b".5}", "number_out_of_range", "/temperature"),
    (b'{"temperature":1e0000000400}', "number_out_of_range", "/temperature"),
    (b'{"seed":' + b"9" * 5000 + b"}", "number_out_of_range", "/seed"),
    (b'{"seed":18446744073709551616}', "number_out_of_range", "/seed"),
    (b'{"seed":-9223372036854775809}', "number_out_of_range", "/seed"),
]


@pytest.mark.parametrize(("body", "code", "place"), REFUSED)
def test_refused_with_code_and_place(body: bytes, code: str, place: str | None) -> None:
    error = refusal(body)
    assert error.code == code
    assert (error.faults[0].pointer if error.faults else None) == place
    assert error.status == CODES[code].status
    json.dumps(error.detail).encode()
    for fault in error.faults:
        (fault.pointer + fault.detail).encode()


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        (b'{"content": "Hel', 1, 13),
        (b'{\n  "a": 1,\n  "b" 2}', 3, 7),
        ('{\r\n "\u00e9\U0001f600": tru}'.encode(), 2, 8),
        (b"[" * 65 + b"]" * 65, 1, 65),
        (b"\n\n " + b"[" * 65, 3, 66),
        (b'{"a":\n"\x00"}', 2, 2),
    ],
)
def test_line_and_column_count_code_points(body: bytes, line: int, column: int) -> None:
    error = refusal(body)
    assert (error.extra["line"], error.extra["column"]) == (line, column)
    assert f"{line}:{column}" in error.detail


def test_invalid_utf8_names_the_byte() -> None:
    error = refusal('{"é":"'.encode() + b'\xfe"}')
    assert error.extra == {"offset": 7}
    assert "Byte 7 (0xfe)" in error.detail


def test_size_limit_counts_bytes() -> None:
    body = b'"' + b"a" * (MAX_BYTES - 2) + b'"'
    assert parse_json(body) == "a" * (MAX_BYTES - 2)
    assert refusal(body[:-1] + b'a"').code == "body_too_large"
    assert refusal(b"[1]", max_bytes=2).code == "body_too_large"


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("closed", [True, False])
def test_depth_of_100_000_does_not_recurse(opening: bytes, closed: bool) -> None:
    closing = opening.replace(b'"a":', b"").translate(bytes.maketrans(b"[{", b"]}"))[::-1]
    assert refusal(opening * 100_000 + (b"1" + closing * 100_000 if closed else b"")).code == "json_too_deep"


def test_depth_counts_brackets_outside_strings_only() -> None:
    assert parse_json(b"[" * 64 + b"]" * 64)
    assert refusal(b"[" * 65 + b"]" * 65).code == "json_too_deep"
    assert refusal(b'{"\\\\":' * 65 + b"1" + b"}" * 65).code == "json_too_deep"
    text = '[{\\"\\\\' * 200 + "\n\u20ac"
    assert parse_json(json.dumps([text, {text: text}]).encode()) == [text, {text: text}]
    assert parse_json(json.dumps(["[" * 100, '"' + "{" * 100]).encode()) == ["[" * 100, '"' + "{" * 100]
    flat: list[list[int]] = [[] for _ in range(10_000)]
    assert parse_json(json.dumps(flat).encode()) == flat


@pytest.mark.parametrize("body", [b"]" * 100, b"[]]" * 100, b'"' + b"[" * 100, b'["\\' + b"[" * 100])
def test_many_brackets_that_do_not_match_are_a_matter_of_syntax(body: bytes) -> None:
    assert refusal(body).code == "json_syntax"


def test_every_fault_is_named_in_document_order_up_to_twenty() -> None:
    error = refusal(b'{"a":"\\u0000","b":[1e999,{"c":1,"c":"\\ud800"}]}')
    assert [(fault.pointer, fault.code) for fault in error.faults] == [
        ("/a", "nul_not_allowed"),
        ("/b/0", "number_out_of_range"),
        ("/b/1/c", "duplicate_key"),
        ("/b/1/c", "invalid_unicode"),
    ]
    assert len(refusal(b"[" + b",".join([b"NaN"] * 1000) + b"]").faults) == 20


def test_no_more_than_80_characters_of_input_come_back() -> None:
    key = "k" * 5000
    error = refusal(json.dumps({key: "\0"}).encode())
    assert len(error.faults[0].pointer) <= 81
    assert len(refusal(b'{"a":' + b"9" * 5000 + b"}").detail) < 300


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"null", None),
        (b" [ ] ", []),
        (b"9223372036854775807", 2**63 - 1),
        (b"18446744073709551615", MAX_INTEGER),
        (b"-9223372036854775808", MIN_INTEGER),
        (b"1e308", 1e308),
        (b"1e-400", 0.0),
        (b"0.1000000000000000000000000000000001", 0.1),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\u0000"', "\\u0000"),
        (b'"\\\\ud800"', "\\ud800"),
        (b'"\xf3\xa0\x81\x81\xe2\x80\xae"', "\U000e0041\u202e"),
        (b'{"z":1,"a":2}', {"z": 1, "a": 2}),
        (b'{"e":"1e999","n":"NaN"}', {"e": "1e999", "n": "NaN"}),
    ],
)
def test_accepted(body: bytes, value: object) -> None:
    assert parse_json(body) == value
    assert type(parse_json(body)) is type(value)


@pytest.mark.parametrize("body", [b"[]", b'"a"', b"1", b"null", b"true"])
def test_an_object_is_demanded(body: bytes) -> None:
    with pytest.raises(DomainError, match="send a JSON object") as caught:
        parse_object(body)
    assert (caught.value.code, caught.value.faults[0].pointer) == ("object_expected", "")


def test_canonical_form() -> None:
    value = {"z": [1, 1.0, 1e16, -0.0, 0.1, True, None], "a": '\u00e9\U0001f600\u2028/"\\\n\x1f\x7f', "": {}}
    assert canonical_json(value) == (
        '{"z":[1,1.0,1e+16,-0.0,0.1,true,null],"a":"\u00e9\U0001f600\u2028/\\"\\\\\\n\\u001f\x7f","":{}}'
    )
    assert parse_json(canonical_json(value).encode()) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf], {"a": math.nan}])
def test_canonical_form_refuses_what_is_not_finite(value: object) -> None:
    with pytest.raises(DomainError) as caught:
        canonical_json(value)
    assert caught.value.code == "number_out_of_range"


def test_canonical_form_refuses_lone_surrogates() -> None:
    with pytest.raises(DomainError) as caught:
        canonical_json({"\ud800": 1})
    assert caught.value.code == "invalid_unicode"


def test_pointer_escapes() -> None:
    assert pointer("a/b", 0, "c~d", "") == "/a~1b/0/c~0d/"


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(MIN_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=25
)


@given(VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_what_the_standard_library_writes_is_read_back(value: object, escaped: bool, indent: int | None) -> None:
    read = parse_json(json.dumps(value, ensure_ascii=escaped, indent=indent).encode())
    assert repr(read) == repr(value)


@given(VALUES)
def test_the_canonical_form_is_stable(value: object) -> None:
    text = canonical_json(value)
    assert canonical_json(parse_json(text.encode())) == text


@given(st.binary(max_size=60) | st.text('{}[]",:\\u0d8e1NaN \n', max_size=60).map(str.encode))
@settings(max_examples=500)
def test_whatever_comes_in_is_read_or_refused(body: bytes) -> None:
    try:
        value = parse_json(body)
    except DomainError as error:
        (error.detail + "".join(f.pointer + f.detail for f in error.faults)).encode()
    else:
        assert parse_json(canonical_json(value).encode()) == value
