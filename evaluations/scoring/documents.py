"""Scorers that read JSON in an answer. Schemas are looked at locally, with a bounded number of steps."""

import json
import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from evaluations.scoring.criteria import Question, Score, held, unmeasured
from evaluations.scoring.texts import pattern
from promptforge.lib.errors import shorten
from promptforge.lib.json import canonical_json

MAX_JSON = 200_000  # characters of an answer that are read as JSON
MAX_SCHEMA = 64 * 1024
MAX_STEPS = 20_000  # rules of a schema that one answer may make us look at
MAX_STARTS = 200  # places at which JSON is looked for inside a text
_START = re.compile(r"[{\[]")
_STEPS: ContextVar[list[int]] = ContextVar("steps")


class NotJson(ValueError):
    """A text is no JSON; says why."""


class TooManySteps(Exception):
    """A schema asks for more comparisons than one answer is worth."""


def is_json(question: Question) -> Score:
    try:
        found = read_json(question.text)
    except NotJson as error:
        return held(False, f"The answer is no JSON: {error}")
    return _by_schema([found], question.criterion.value, "The answer is JSON")


def contains_json(question: Question) -> Score:
    found = list(_inside(question.text[:MAX_JSON]))
    if not found:
        cut = f" in its first {MAX_JSON:,} characters" if len(question.text) > MAX_JSON else ""
        return held(False, f"There is no JSON object or list{cut}.")
    return _by_schema(found, question.criterion.value, "It contains JSON")


def read_json(text: str) -> Any:
    if len(text) > MAX_JSON:
        raise NotJson(f"it has {len(text):,} characters; at most {MAX_JSON:,} are read.")
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg} at {error.lineno}:{error.colno} (line:column).") from None
    except RecursionError:
        raise NotJson("it is nested too deeply.") from None
    except ValueError as error:
        raise NotJson(f"{shorten(error)}.") from None


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values mean the same: 1 and 1.0 do, true and 1 do not, the order of keys does not matter."""
    return _key(one) == _key(other)


def check_schema(value: Any) -> Any:
    """A JSON schema that asks nothing of other hosts; None is none."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ValueError("value is a JSON schema, an object.")  # noqa: TRY004  every wrong value is told alike
    if len(canonical_json(value)) > MAX_SCHEMA:
        raise ValueError(f"the schema is too long; at most {MAX_SCHEMA:,} characters are taken.")
    for place, keyword, given in _walk(value, ""):
        if keyword in ("$ref", "$dynamicRef", "$recursiveRef") and not str(given).startswith("#"):
            raise ValueError(f"{keyword} at {place} leads out of the schema; only #/… is followed.")
        if keyword == "patternProperties":
            raise ValueError("patternProperties is not taken; name the properties.")
        if keyword == "pattern" and isinstance(given, str):
            try:
                pattern(given)
            except ValueError as error:
                raise ValueError(f"the pattern at {place} is no regular expression of RE2's: {error}") from None
    from jsonschema.exceptions import SchemaError

    try:
        _validator(canonical_json(value)).check_schema(value)
    except SchemaError as error:
        raise ValueError(f"the schema is none: {shorten(error.message, 200)}.") from None
    return value


# --- Inside ----------------------------------------------------------------------------------------------------------
def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON's")


_DECODER = json.JSONDecoder(parse_constant=_constant)


def _inside(text: str) -> Iterator[Any]:
    """The objects and lists that stand in a text, outermost first."""
    at = 0
    for _ in range(MAX_STARTS):
        start = _START.search(text, at)
        if start is None:
            return
        try:
            found, at = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            at = start.end()
        else:
            yield found


def _by_schema(found: list[Any], schema: Any, told: str) -> Score:
    if schema is None:
        return held(True, f"{told}.")
    steps = _STEPS.set([0])
    try:
        validator = _validator(canonical_json(schema))(schema, registry=_no_registry())
        wrong = ""
        for document in found:
            error = next(iter(validator.iter_errors(document)), None)
            if error is None:
                return held(True, f"{told} that follows the schema.")
            wrong = wrong or f"{error.json_path}: {shorten(error.message, 200)}"
        return held(False, f"{told}, but {wrong}.")
    except TooManySteps:
        return unmeasured(f"The schema took more than {MAX_STEPS:,} steps on this answer.")
    except RecursionError:
        return unmeasured("The schema leads into itself without end.")
    except Exception as error:  # noqa: BLE001  whatever a schema and a text bring about together is an answer, no crash
        return unmeasured(f"The schema cannot be applied: {shorten(error, 200)}.")
    finally:
        _STEPS.reset(steps)


def _no_registry() -> Any:
    """Knows no other document, so that nothing is ever fetched."""
    from referencing import Registry

    return Registry()


@lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    """The validator of a schema's draft, each of its rules counted and its slow rules replaced by fast ones."""
    from jsonschema import validators
    from jsonschema.exceptions import ValidationError

    def by_pattern(_: Any, wanted: str, instance: Any, __: Any) -> Iterator[ValidationError]:
        if isinstance(instance, str) and not pattern(wanted).search(instance.encode(errors="replace").decode()):
            yield ValidationError(f"{shorten(instance)} does not match {shorten(wanted)}")

    def unique(_: Any, wanted: Any, instance: Any, __: Any) -> Iterator[ValidationError]:
        if wanted and isinstance(instance, list) and len({_key(item) for item in instance}) < len(instance):
            yield ValidationError("the list holds something twice")

    def counted(rule: Callable[..., Any]) -> Callable[..., Any]:
        def apply(validator: Any, wanted: Any, instance: Any, whole: Any) -> Any:
            spent = _STEPS.get()
            spent[0] += 1
            if spent[0] > MAX_STEPS:
                raise TooManySteps
            return rule(validator, wanted, instance, whole)

        return apply

    base = validators.validator_for(json.loads(schema), default=validators.Draft202012Validator)
    rules = {**base.VALIDATORS, "pattern": by_pattern, "uniqueItems": unique}
    return validators.extend(base, {name: counted(rule) for name, rule in rules.items()})


def _key(value: Any) -> str:
    """A text that two values share exactly when they mean the same."""

    def plain(item: Any) -> Any:
        if isinstance(item, float) and item.is_integer():
            return int(item)
        if isinstance(item, list):
            return [plain(entry) for entry in item]
        return {name: plain(entry) for name, entry in item.items()} if isinstance(item, dict) else item

    try:
        return json.dumps(plain(value), sort_keys=True)
    except (RecursionError, ValueError):
        return repr(type(value))


def _walk(value: Any, place: str) -> Iterator[tuple[str, str, Any]]:
    if isinstance(value, dict):
        for keyword, item in value.items():
            yield f"{place}/{keyword}", keyword, item
            yield from _walk(item, f"{place}/{keyword}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, f"{place}/{index}")
