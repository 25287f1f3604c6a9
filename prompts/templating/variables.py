"""Variables: which ones a content has, what is declared about them, and whether a value fits.

A declaration is `{"name", "type", "required", "default", "description", "max_length", "enum"}`; only the name must be
given. Types: string, number, integer, boolean, enum, json. Unless said otherwise: a required string without default.
A default makes a variable not required, whatever `required` says. A variable that is not required and has no default
renders as nothing. `max_length` counts code points of a string; `enum` lists the strings allowed (string or enum).
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.json import MAX_INTEGER, MIN_INTEGER, canonical_json, kind_of, parse_json
from prompts.templating.contents import Content, check_look_alikes, refused, variable_places
from prompts.templating.grammar import check_name

MAX_VARIABLES = 200
MAX_DESCRIPTION = 1_000
MAX_CHOICES = 200
MAX_LENGTH = 1_048_576
FIELDS = ("name", "type", "required", "default", "description", "max_length", "enum")

type Declaration = Mapping[str, Any]

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class DoesNotFit(ValueError):
    """A value does not fit its declaration; the text says why, without the value."""


def declared_variables(
    content: Content, declarations: object = None, inherited: Iterable[Declaration] = ()
) -> list[dict[str, Any]]:
    """The full declaration of every variable of an expanded content, in order of first occurrence.

    A declaration of the prompt's own stands before one that an include brings along; bare variables are required
    strings. Raises DomainError: the codes of `parse`, too_many_variables (more than 200), confusable_variable (names
    that differ by case alone), list_expected, object_expected, unknown_field, field_required, and bad_variable for
    everything in a declaration that makes no sense: no such variable in the content, declared twice, a default that
    does not fit, or two includes that declare one variable differently. Pointers are `/variables/<index>/<field>`.
    """
    places = variable_places(content)
    if len(places) > MAX_VARIABLES:
        raise refused(
            "too_many_variables",
            "/content",
            f"The prompt has {len(places):,} variables; at most {MAX_VARIABLES} are allowed.",
        )
    check_look_alikes(list(places), "variable", places)
    own = _own(declarations, places)
    brought = _brought(inherited, own)
    return [own.get(name) or brought.get(name) or complete({"name": name}) for name in places]


def complete(given: Declaration) -> dict[str, Any]:
    """A checked declaration with every field present, in the order of FIELDS."""
    default = given.get("default")
    return {
        "name": given["name"],
        "type": given.get("type", "string"),
        "required": given.get("required", True) and default is None,
        "default": default,
        "description": given.get("description", ""),
        "max_length": given.get("max_length"),
        "enum": given.get("enum"),
    }


def _own(declarations: object, places: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    if declarations is None:
        return {}
    if not isinstance(declarations, list):
        raise refused(
            "list_expected", "/variables", f"The variables are {kind_of(declarations)}; send a list of declarations."
        )
    own: dict[str, dict[str, Any]] = {}
    for index, given in enumerate(declarations):
        pointer = f"/variables/{index}"
        declaration = check_declaration(given, pointer)
        name = declaration["name"]
        if name in own:
            raise refused("bad_variable", f"{pointer}/name", f"{name} is declared twice.")
        if name not in places:
            raise refused(
                "bad_variable",
                f"{pointer}/name",
                f"{name} is declared but does not occur in the content; write {{{{{name}}}}} there.",
            )
        own[name] = declaration
    return own


def _brought(inherited: Iterable[Declaration], own: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What includes declare. One that says nothing gives way; two that disagree are for the prompt to settle."""
    brought: dict[str, dict[str, Any]] = {}
    for given in inherited:
        name = given["name"]
        new = complete(given)
        known = brought.get(name)
        if known is None or known == complete({"name": name}):
            brought[name] = new
        elif new not in (known, complete({"name": name})) and name not in own:
            raise refused(
                "bad_variable",
                "/variables",
                f"Two included prompts declare {name} differently; declare it in this prompt.",
            )
    return brought


def check_declaration(given: Any, pointer: str) -> dict[str, Any]:
    """One declaration as it was sent, checked and completed."""
    name = _declared_name(given, pointer)
    # null means "not given" for the fields that have a null of their own, as our own answers show them.
    nullable = {"default", "max_length", "enum"}
    said = {key: value for key, value in given.items() if value is not None or key not in nullable}
    for field, check in _FIELD_CHECKS.items():
        if field in said and (wrong := check(said[field], said)):
            raise refused("bad_variable", f"{pointer}/{field}", f"The declaration of {name}: {wrong}")
    if said.get("type") == "enum" and "enum" not in said:
        raise refused("bad_variable", f"{pointer}/enum", f"The declaration of {name}: type enum needs enum, a list.")
    declaration = complete(said)
    if declaration["default"] is not None:
        try:
            text_of(declaration["default"], declaration)
        except DoesNotFit as error:
            raise refused(
                "bad_variable", f"{pointer}/default", f"The default of {name} does not fit: {error}"
            ) from None
    return declaration


def _declared_name(given: object, pointer: str) -> str:
    if not isinstance(given, dict):
        raise refused("object_expected", pointer, f"A declaration is {kind_of(given)}; an object is expected.")
    for field in given:
        if field not in FIELDS:
            raise refused(
                "unknown_field",
                f"{pointer}/{shorten(field)}",
                f"{shorten(field, 40)} is not known; fields are {', '.join(FIELDS)}.",
            )
    if "name" not in given:
        raise refused("field_required", f"{pointer}/name", "A declaration has no name.")
    name = given["name"]
    if not isinstance(name, str):
        raise refused("string_expected", f"{pointer}/name", f"The name is {kind_of(name)}; a string is expected.")
    try:
        check_name(name)
    except DomainError as error:
        raise refused(error.code, f"{pointer}/name", f"{error.detail[0].upper()}{error.detail[1:]}") from None
    return name


def _wrong_type(value: object, _: Declaration) -> str | None:
    known = ("string", "number", "integer", "boolean", "enum", "json")
    if isinstance(value, str) and value in known:
        return None
    return f"type is one of {', '.join(known)}."


def _wrong_required(value: object, _: Declaration) -> str | None:
    return None if isinstance(value, bool) else f"required is {kind_of(value)}; write true or false."


def _wrong_description(value: object, _: Declaration) -> str | None:
    if isinstance(value, str) and len(value) <= MAX_DESCRIPTION:
        return None
    return f"description is a string of at most {MAX_DESCRIPTION:,} characters."


def _wrong_max_length(value: object, given: Declaration) -> str | None:
    if given.get("type", "string") != "string":
        return "max_length is for strings only."
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_LENGTH:
        return None
    return f"max_length is a whole number from 1 to {MAX_LENGTH:,}."


def _wrong_enum(value: object, given: Declaration) -> str | None:
    if given.get("type", "string") not in {"string", "enum"}:
        return "enum is for the types enum and string only."
    if not isinstance(value, list) or not value or len(value) > MAX_CHOICES:
        return f"enum is a list of 1 to {MAX_CHOICES} strings."
    if not all(isinstance(choice, str) for choice in value):
        return "enum holds strings only."
    return None if len(set(value)) == len(value) else "enum names a choice twice."


_FIELD_CHECKS: Mapping[str, Callable[[Any, Declaration], str | None]] = {
    "type": _wrong_type,
    "required": _wrong_required,
    "description": _wrong_description,
    "max_length": _wrong_max_length,
    "enum": _wrong_enum,
}


def text_of(value: object, declaration: Declaration) -> str:
    """What a value is rendered as: a string verbatim, anything else as compact JSON. Raises DoesNotFit."""
    kind = declaration["type"]
    if kind in {"string", "enum"}:
        if not isinstance(value, str):
            raise DoesNotFit(f"it is {kind_of(value)}; a string is expected.")
        _check_string(value, declaration["max_length"], declaration["enum"])
        return value
    if kind == "json":
        return _json_text(value)
    if kind == "boolean":
        if isinstance(value, bool):
            return "true" if value else "false"
        raise DoesNotFit(f"it is {kind_of(value)}; true or false is expected.")
    if isinstance(value, bool) or not isinstance(value, int if kind == "integer" else (int, float)):
        raise DoesNotFit(f"it is {kind_of(value)}; {'an integer' if kind == 'integer' else 'a number'} is expected.")
    return _number_text(value)


def _check_string(value: str, max_length: int | None, choices: Sequence[str] | None) -> None:
    if max_length is not None and len(value) > max_length:
        raise DoesNotFit(f"it has {len(value):,} characters; at most {max_length:,} are allowed.")
    if choices is not None and value not in choices:
        raise DoesNotFit(f"it is none of the choices: {shorten(', '.join(choices), 200)}.")


def _number_text(value: float) -> str:
    if isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER:
        raise DoesNotFit("it is out of range; integers go from -2^63 to 2^64-1.")
    if not math.isfinite(value):
        raise DoesNotFit("it is not a finite number.")
    return repr(value)


def _json_text(value: object) -> str:
    try:
        return canonical_json(value)
    except DomainError as error:
        raise DoesNotFit(error.detail) from None
    except (TypeError, ValueError, RecursionError):
        raise DoesNotFit("it cannot be written as JSON.") from None


def parse_query_value(text: str, declaration: Declaration | None) -> object:
    """The value that a query string means: its text, read as the declared type (None: not declared, stays text).

    `true` and `false` are the booleans; numbers are written as in JSON. Raises DomainError bad_variable when the text
    cannot be read, nul_not_allowed and invalid_unicode.
    """
    name = "" if declaration is None else declaration["name"]
    pointer = f"/variables/{name}"
    if "\0" in text:
        raise refused(
            "nul_not_allowed", pointer, f"The value of {name or 'a variable'} holds the NUL character (U+0000)."
        )
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise refused("invalid_unicode", pointer, f"The value of {name or 'a variable'} is not valid Unicode.")
    if declaration is None:
        return text
    kind = declaration["type"]
    try:
        return _READERS[kind](text) if kind in _READERS else text
    except DoesNotFit as error:
        raise refused("bad_variable", pointer, f"{name} cannot be read as {kind}: {error}") from None


def _read_integer(text: str) -> int:
    if len(text) > 20 or not _INTEGER.fullmatch(text):
        raise DoesNotFit("write a whole number, such as 42.")
    return int(text)


def _read_number(text: str) -> float:
    if len(text) > 400 or not _NUMBER.fullmatch(text):
        raise DoesNotFit("write a number as in JSON, such as 0.5.")
    return _read_integer(text) if _INTEGER.fullmatch(text) else float(text)


def _read_boolean(text: str) -> bool:
    if text not in {"true", "false"}:
        raise DoesNotFit("write true or false.")
    return text == "true"


def _read_json(text: str) -> object:
    try:
        return parse_json(text.encode())
    except DomainError as error:
        raise DoesNotFit(error.detail) from None


_READERS: Mapping[str, Callable[[str], object]] = {
    "integer": _read_integer,
    "number": _read_number,
    "boolean": _read_boolean,
    "json": _read_json,
}
