"""The one strict JSON parser for every door, and the one way JSON is written for storing and hashing.

Ordinary bodies take the fast path: the standard library's scanner, behind cheap scans of the raw bytes that can only
err on the side of suspicion. Suspicions are looked into; a body in which something is wrong is read a second time,
slowly, to tell exactly what and where.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from promptforge.lib.errors import DomainError, Fault, shorten

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None

MAX_BYTES = 1_048_576
MAX_DEPTH = 64
MIN_INTEGER = -(2**63)
MAX_INTEGER = 2**64 - 1
MAX_FAULTS = 20

_BLANK = b" \t\r\n"
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_DIGITS = bytes.maketrans(b"123456789E", b"000000000e")
_STRUCTURE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONG_RUN = b"0" * 19
_BAD_CHARACTER = re.compile("[\x00\ud800-\udfff]")


def parse_json(body: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Json:
    """The value of a JSON body in UTF-8; objects keep the order of their keys.

    Stricter than the standard library: no key twice, no NUL, no lone surrogate, no number outside what PostgreSQL and
    other languages hold (integers -2^63..2^64-1, finite floats), at most `max_depth` lists and objects inside each
    other, at most `max_bytes` bytes, no byte order mark.

    Raises DomainError: body_required, body_too_large, bom_not_allowed, invalid_utf8 (extra: offset, in bytes, from 0),
    json_syntax and json_too_deep (extra: line and column, in code points, from 1), duplicate_key, nul_not_allowed,
    invalid_unicode, number_out_of_range (faults name the places by JSON pointer, in document order, at most 20).
    """
    if len(body) > max_bytes:
        raise DomainError("body_too_large", f"The body has {len(body):,} bytes; at most {max_bytes:,} are read.")
    if not body.strip(_BLANK):
        raise DomainError("body_required", "The request has no body; send a JSON document.")
    text = _decoded(body)
    _check_depth(body, text, max_depth)
    try:
        if b"\0" not in body and b"\\u0000" not in body:
            value = (_CAREFUL if _has_large_numbers(body) else _FAST).decode(text)
            if not (b"\\ud" in body or b"\\uD" in body) or not _SURROGATE.search(_WRITER.encode(value)):
                return cast("Json", value)
    except _LooksWrong:
        pass
    except json.JSONDecodeError as error:
        raise _syntax_error(error) from None
    return _slowly(text)


def parse_object(body: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> dict[str, Json]:
    """`parse_json`, where the outermost value must be an object; else DomainError object_expected."""
    value = parse_json(body, max_bytes=max_bytes, max_depth=max_depth)
    if not isinstance(value, dict):
        raise DomainError(
            "object_expected",
            f"The body is {kind_of(value)}; send a JSON object: {{…}}.",
            [Fault("", "object_expected", f"This is {kind_of(value)}; a JSON object is expected here.")],
        )
    return value


@dataclass(frozen=True)
class Faulty:
    """Stands for an element of a list that cannot be used, with what is wrong in it."""

    faults: list[Fault]


def parse_rows(body: bytes, name: str, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """`parse_object`, in which a fault inside one element of the list `name` costs that element alone.

    In its place stands a `Faulty`. Such faults are duplicate_key, nul_not_allowed, invalid_unicode and
    number_out_of_range; every other fault concerns the whole body, as in `parse_json`.
    """
    try:
        return parse_object(body, max_bytes=max_bytes)
    except DomainError as refusal:
        if not any(fault.pointer.startswith(f"/{name}/") for fault in refusal.faults):
            raise
        document = _SLOW.decode(body.decode())
        rows = [item for key, item in document.pairs if key == name]
        around = _Pairs([(key, [] if key == name else item) for key, item in document.pairs])
        if len(rows) != 1 or not isinstance(rows[0], list) or any(_faults(around, ())):
            raise
        read = [_row(item, name, index) for index, item in enumerate(rows[0])]
        return cast("dict[str, Any]", _plain(around)) | {name: read}


_WRITER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def canonical_json(value: Any) -> str:
    """The text that is stored and hashed: no blanks, keys in their order, characters as themselves, floats by repr.

    Only `"`, `\\` and the control characters below U+0020 are escaped (`\\n`, `\\u001f`: lower-case hex). Writing what
    `parse_json` read, and reading what this wrote, changes nothing.

    Raises DomainError number_out_of_range for NaN and infinities, invalid_unicode for lone surrogates.
    """
    try:
        text = _WRITER.encode(value)
    except ValueError as error:
        if "Out of range float" not in str(error):
            raise
        raise DomainError("number_out_of_range", "JSON has no NaN and no infinity; send a finite number.") from None
    if not text.isascii() and _SURROGATE.search(text):
        raise DomainError("invalid_unicode", "A string holds half of a surrogate pair, which no UTF-8 text can carry.")
    return text


def pointer(*tokens: str | int) -> str:
    """A JSON pointer (RFC 6901) that can be sent back: no part longer than 80 characters, nothing that UTF-8 lacks."""
    return "".join("/" + _token(str(token)) for token in tokens)


def kind_of(value: object) -> str:
    """What a JSON value is, in words, for a sentence: `a number`, `a list`, `null`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "an object"


class _LooksWrong(Exception):
    """The fast path met something that only the slow path can name."""


def _token(text: str) -> str:
    # A NUL or a lone surrogate would break the answer that carries the pointer; it is shown escaped instead.
    shown = shorten(text) if len(text) > 80 or _BAD_CHARACTER.search(text) else text
    return shown.replace("~", "~0").replace("/", "~1")


def _decoded(body: bytes) -> str:
    if body.startswith(b"\xef\xbb\xbf"):
        raise DomainError(
            "bom_not_allowed", "The body starts with a byte order mark (EF BB BF); send plain UTF-8 without it."
        )
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DomainError(
            "invalid_utf8",
            f"Byte {error.start:,} (0x{body[error.start]:02x}) is not valid UTF-8; JSON is sent in UTF-8.",
            extra={"offset": error.start},
        ) from None


def _has_large_numbers(body: bytes) -> bool:
    """Whether a number may be out of range. Ids in hexadecimal look like that too: a false alarm costs time only."""
    # Out of range takes an exponent of three digits or 19 digits in a row, other than behind the point.
    # With every digit made a zero, plain searching finds both fast.
    digits = body.translate(_DIGITS)
    if b"e000" in digits or b"e+000" in digits:
        return True
    run = digits.find(_LONG_RUN)
    while run >= 0 and digits[run - 1 : run] == b".":
        run = digits.find(_LONG_RUN, run + len(_LONG_RUN))
    return run >= 0


def _check_depth(body: bytes, text: str, limit: int) -> None:
    """Refuse before the scanner recurses. Only brackets outside strings count."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return
    # Without escapes, every second piece between quotes is a string; what is left of the rest is brackets alone.
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(_ONE_KIND, _NOT_STRUCTURE)
    brackets = b"".join(bare.split(b'"')[::2]).translate(_ONE_KIND)
    for _ in range(limit):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")  # takes the innermost level away
    if not brackets:
        return
    depth = 0
    for match in _STRUCTURE.finditer(text):
        if match[0] in "[{":
            depth += 1
            if depth > limit:
                line, column = position(text, match.start())
                raise DomainError(
                    "json_too_deep",
                    f"Line {line}:{column} opens level {depth}; at most {limit} lists and objects may be nested.",
                    extra={"line": line, "column": column},
                )
        elif match[0] in "]}":
            depth -= 1


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, both from 1, columns in code points; a line ends at a line feed."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _syntax_error(error: json.JSONDecodeError) -> DomainError:
    what = error.msg.removesuffix(" at").removesuffix(" starting")  # the place is told already
    return DomainError(
        "json_syntax",
        f"Not valid JSON at {error.lineno}:{error.colno} (line:column): {what}.",
        extra={"line": error.lineno, "column": error.colno},
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _LooksWrong
    return value


def _constant(_: str) -> Any:
    raise _LooksWrong


def _integer_in_range(digits: str) -> int:
    value = _integer(digits)
    if isinstance(value, _OutOfRange):
        raise _LooksWrong
    return value


def _finite(digits: str) -> float:
    value = _float(digits)
    if isinstance(value, _OutOfRange):
        raise _LooksWrong
    return value


_FAST = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
_CAREFUL = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer_in_range, parse_float=_finite
)


@dataclass(frozen=True)
class _OutOfRange:
    """Stands for a number that cannot be held."""

    digits: str


@dataclass(frozen=True)
class _Pairs:
    """An object as it was written, with keys that stand twice."""

    pairs: list[tuple[str, Any]]


def _integer(digits: str) -> int | _OutOfRange:
    # Converting thousands of digits takes quadratic time, so the length is looked at first.
    if len(digits) > 20:
        return _OutOfRange(digits)
    value = int(digits)
    return value if MIN_INTEGER <= value <= MAX_INTEGER else _OutOfRange(digits)


def _float(digits: str) -> float | _OutOfRange:
    value = float(digits)
    return value if abs(value) != float("inf") else _OutOfRange(digits)


_SLOW = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=_integer, parse_float=_float, parse_constant=_OutOfRange)


def _slowly(text: str) -> Json:
    """Read a suspicious document, naming every fault by its place."""
    if (offset := text.find("\0")) >= 0:
        line, column = position(text, offset)
        raise DomainError(
            "nul_not_allowed",
            f"The body holds a NUL character at {line}:{column} (line:column); remove it.",
            extra={"line": line, "column": column},
        )
    try:
        value = _SLOW.decode(text)
    except json.JSONDecodeError as error:
        raise _syntax_error(error) from None
    faults: list[Fault] = []
    for fault in _faults(value, ()):
        faults.append(fault)
        if len(faults) == MAX_FAULTS:
            break
    if faults:
        raise DomainError(faults[0].code, f"{faults[0].detail} It stands at {faults[0].pointer or 'the top'}.", faults)
    return _plain(value)


def _faults(value: Any, path: tuple[str | int, ...]) -> Iterator[Fault]:
    """Every fault below `path`, in document order. The depth is bounded, so that recursion is safe."""
    if isinstance(value, str):
        if code := _text_fault(value):
            yield Fault(pointer(*path), code, _TEXT_FAULTS[code].format("This string"))
    elif isinstance(value, _OutOfRange):
        yield Fault(
            pointer(*path),
            "number_out_of_range",
            f"{shorten(value.digits, 24)} is out of range: integers go from -2^63 to 2^64-1, others are finite.",
        )
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(item, (*path, index))
    elif isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, item in value.pairs:
            if code := _text_fault(key):
                yield Fault(pointer(*path, key), code, _TEXT_FAULTS[code].format(f"The key {shorten(key)}"))
            if key in seen:
                yield Fault(pointer(*path, key), "duplicate_key", f"The key {shorten(key)} stands twice in one object.")
            seen.add(key)
            yield from _faults(item, (*path, key))


def _row(item: Any, name: str, index: int) -> Any:
    faults = list(islice(_faults(item, (name, index)), MAX_FAULTS))
    return Faulty(faults) if faults else _plain(item)


_TEXT_FAULTS = {
    "nul_not_allowed": "{} holds the NUL character (U+0000); remove it.",
    "invalid_unicode": "{} holds half of a surrogate pair (\\ud800 to \\udfff); send both halves or neither.",
}


def _text_fault(text: str) -> str | None:
    found = _BAD_CHARACTER.search(text)
    if found is None:
        return None
    return "nul_not_allowed" if found[0] == "\0" else "invalid_unicode"


def _plain(value: Any) -> Json:
    if isinstance(value, _Pairs):
        return {key: _plain(item) for key, item in value.pairs}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return cast("Json", value)
