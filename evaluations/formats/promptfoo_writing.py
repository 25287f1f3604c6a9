"""A set as a promptfoo config. What promptfoo has no word for stands in `metadata.promptforge`, which comes back."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from evaluations.formats.assertions import ELSEWHERE, NotTaken, criterion_of, has_logic
from evaluations.formats.promptfoo import OURS
from evaluations.formats.records import Case

_OWN_FIELDS = ("messages", "expected", "tags", "group", "critical")
_USUAL: tuple[Any, ...] = (None, {}, [], False)


def write_promptfoo(name: str, description: str, criteria: Sequence[Mapping[str, Any]], cases: Sequence[Case]) -> bytes:
    """YAML that promptfoo runs and that `read_promptfoo` reads back; criteria may change their order."""
    config: dict[str, Any] = {"description": description or name}
    common = _asserted(criteria)
    if common:
        config["defaultTest"] = common
    config["tests"] = [_test(case) for case in cases]
    head = "# Made by PromptForge. Add prompts and providers to run it with promptfoo.\n"
    text = yaml.dump(config, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)
    return (head + text).encode()


class _Dumper(yaml.SafeDumper):
    """Without aliases, and with every text in quotes that any reader of YAML could take for something else."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  the library's signature
        return True


def _text(dumper: Any, value: str) -> Any:
    plain = value.replace(" ", "").isalpha() and value == value.strip() and value.isascii()
    words = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
    style = None if plain and value.lower() not in words else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _test(case: Case) -> dict[str, Any]:
    """A case. Values that promptfoo would follow or evaluate are kept where it only stores them."""
    ours: dict[str, Any] = {field: case[field] for field in _OWN_FIELDS if case[field] not in _USUAL}
    odd = {name: value for name, value in case["variables"].items() if _is_followed(value)}
    if odd:
        ours["variables"] = odd
    test: dict[str, Any] = {}
    if case["key"]:
        test["description"], ours["key"] = case["key"], case["key"]
    test["vars"] = {name: value for name, value in case["variables"].items() if name not in odd}
    if any(isinstance(value, list) for value in case["variables"].values()):
        test["options"] = {"disableVarExpansion": True}
    asserted = _asserted(case["criteria"])
    ours |= asserted.pop("metadata", {}).get(OURS, {})
    test |= asserted
    return test | ({"metadata": {OURS: ours}} if ours else {})


def _is_followed(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_is_followed, value))
    return isinstance(value, str) and (bool(ELSEWHERE.match(value)) or "{{" in value or has_logic(value))


def _asserted(criteria: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Criteria as assertions where promptfoo has the same, the others as ours."""
    written: list[dict[str, Any]] = []
    kept: list[Mapping[str, Any]] = []
    for criterion in criteria:
        assertion = _assertion(criterion)
        if assertion is None:
            kept.append(criterion)
        else:
            written.append(assertion)
    return ({"assert": written} if written else {}) | ({"metadata": {OURS: {"criteria": kept}}} if kept else {})


_ONLY_OURS = ("length-ratio", "no-pii", "no-secret", "language", "tone", "assert-set")


def _assertion(criterion: Mapping[str, Any]) -> dict[str, Any] | None:
    """The assertion that means the same to promptfoo and is read back as the same criterion; None where none is."""
    if criterion["type"] in _ONLY_OURS:
        return None
    assertion: dict[str, Any] = {"type": ("not-" if criterion["not"] else "") + criterion["type"]}
    for field, usual in (("value", None), ("threshold", None), ("weight", 1)):
        if criterion[field] != usual:
            assertion[field] = criterion[field]
    if "name" in criterion:
        assertion["metric"] = criterion["name"]
    notes: list[str] = []
    try:
        same = criterion_of(assertion, notes.append) == criterion
    except NotTaken:
        return None
    return assertion if same and not notes and (criterion["value"] is not None or _needs_none(criterion)) else None


def _needs_none(criterion: Mapping[str, Any]) -> bool:
    return criterion["type"] in ("is-json", "contains-json", "latency", "cost", "is-refusal")
