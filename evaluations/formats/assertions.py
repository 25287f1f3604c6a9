"""promptfoo's assertions as criteria: a literal table of what each becomes, or why it is left out. Nothing is run."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from evaluations.formats.lined_yaml import read_yaml
from evaluations.scoring import CRITERIA, as_json, read_criteria
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.json import canonical_json

_CODE = "is code, and PromptForge runs no code that is imported"
_TRACE = "looks at traces and tool calls, which PromptForge does not see"
_TOOLS = "checks calls of tools, which PromptForge does not make"
_GRAMMAR = "has no counterpart here; a regex or a judge can stand in"
_OVERLAP = "has no counterpart here; levenshtein or a judge can stand in"
_CONTEXT = "grades retrieved context by several calls of a model; write a judge that asks one thing"
_REDTEAM = "is a red-team grader whose rubric is not part of the file"
# What is known and left out, with the reason.
LEFT_OUT: Mapping[str, str] = {
    **dict.fromkeys(("javascript", "python", "ruby"), _CODE),
    "webhook": "asks another host, which PromptForge does not do while scoring",
    **dict.fromkeys(("is-xml", "contains-xml", "is-html", "contains-html", "is-sql", "contains-sql"), _GRAMMAR),
    **dict.fromkeys(("rouge-n", "rouge-l", "rouge-s", "bleu", "gleu", "meteor"), _OVERLAP),
    "similar": "compares embeddings, which call “approved” and “denied” alike; write a judge that asks one thing",
    **dict.fromkeys(("classifier", "moderation", "guardrails", "pi"), "asks a model of another host"),
    **dict.fromkeys(("perplexity", "perplexity-score"), "needs the model's own probabilities, which most do not tell"),
    **dict.fromkeys(("select-best", "max-score"), "compares the answers of several prompts with one another"),
    **dict.fromkeys(
        ("context-faithfulness", "context-recall", "context-relevance", "answer-relevance", "conversation-relevance"),
        _CONTEXT,
    ),
    **dict.fromkeys(("agent-rubric", "search-rubric", "research-rubric", "video-rubric"), _TRACE),
    **dict.fromkeys(
        (
            "is-valid-function-call",
            "is-valid-openai-function-call",
            "is-valid-openai-tools-call",
            "tool-call-f1",
            "skill-used",
        ),
        _TOOLS,
    ),
}
_PREFIXES = {"trajectory:": _TRACE, "trace-": _TRACE, "promptfoo:redteam:": _REDTEAM}
_LISTS = ("contains-any", "contains-all", "icontains-any", "icontains-all")
_FACTUAL = "The answer agrees with these facts and contradicts none of them:\n{}"
_CLOSED = "The answer meets this criterion:\n{}"
# A judge's question with something else than a plain rubric.
_JUDGES = {
    "g-eval": "{}",
    "model-graded-closedqa": _CLOSED,
    "factuality": _FACTUAL,
    "model-graded-factuality": _FACTUAL,
}
_ALIASES = {"grade": "llm-rubric", "finish_reason": "finish-reason", "refusal": "is-refusal"}
ELSEWHERE = re.compile(r"(?:file|https?|huggingface|exec|package|python|az|s3|gs)://|exec:")
_NUNJUCKS = re.compile(r"\{%|\{#|\{\{(?!\s*[A-Za-z][A-Za-z0-9_]*\s*\}\})")


class NotTaken(Exception):
    """An assertion is left out; the text says why."""


def criterion_of(
    given: Mapping[str, Any], note: Callable[[str], None], templates: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The criterion that an assertion becomes. Raises NotTaken; `note` is told what changes on the way."""
    given = _resolved(given, templates or {})
    kind = given.get("type")
    if not isinstance(kind, str):
        raise NotTaken("It has no type.")
    negated, name = kind.startswith("not-"), kind.removeprefix("not-")
    name = _ALIASES.get(name, name)
    _refuse(name, kind, given)
    for field in ("provider", "rubricPrompt", "config"):
        if given.get(field):
            note(f"{kind}: {field} was not taken; PromptForge has its own judge and connections.")
    raw: dict[str, Any] = {"type": name, "value": _value(name, kind, given, note), "not": negated}
    if name in _JUDGES:
        raw["type"] = "llm-rubric"
        note(f"{kind} became llm-rubric: a judge answers pass or fail.")
    raw["weight"] = given.get("weight", 1)
    threshold = given.get("threshold")
    if CRITERIA[raw["type"]].threshold != "none":
        raw["threshold"] = threshold
    elif threshold is not None:
        note(f"{kind}: the threshold was not taken; it passes or fails as a whole.")
    if isinstance(given.get("metric"), str) and given["metric"].strip():
        raw["name"] = given["metric"][:100]
    return checked(raw, kind)


def checked(raw: Mapping[str, Any], kind: str) -> dict[str, Any]:
    try:
        return as_json(read_criteria([raw], "")[0])
    except DomainError as refusal:
        raise NotTaken(f"{kind}: {refusal.faults[0].detail if refusal.faults else refusal.detail}") from None


def text_of(value: Any) -> str:
    """A plain value as promptfoo writes it into a text."""
    return value if isinstance(value, str) else canonical_json(value)


def has_logic(value: Any) -> bool:
    """Whether a text holds more of Nunjucks than plain names."""
    return isinstance(value, str) and _NUNJUCKS.search(value) is not None


def _resolved(given: Mapping[str, Any], templates: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = given.get("$ref")
    if reference is None:
        return given
    name = str(reference).removeprefix("#/assertionTemplates/")
    template = templates.get(name)
    if not isinstance(template, dict) or "$ref" in template:
        raise NotTaken(f"The template {shorten(reference, 60)} is not in the file.")
    return {**template, **{key: value for key, value in given.items() if key != "$ref"}}


def _refuse(name: str, kind: str, given: Mapping[str, Any]) -> None:
    """Leave out what is code, what leads elsewhere, and what is not known."""
    for field in ("transform", "contextTransform"):
        if given.get(field):
            raise NotTaken(f"{kind}: its {field} {_CODE}.")
    if name in LEFT_OUT:
        raise NotTaken(f"{kind} {LEFT_OUT[name]}.")
    for prefix, why in _PREFIXES.items():
        if name.startswith(prefix):
            raise NotTaken(f"{shorten(kind, 60)} {why}.")
    if name not in CRITERIA and name not in _JUDGES:
        raise NotTaken(f"{shorten(kind, 60)} is no assertion that PromptForge knows.")
    if isinstance(given.get("value"), str) and ELSEWHERE.match(given["value"]):
        raise NotTaken(f"{kind}: its value is read from elsewhere ({shorten(given['value'], 60)}); write it out.")


def _value(name: str, kind: str, given: Mapping[str, Any], note: Callable[[str], None]) -> Any:
    value = given.get("value")
    if has_logic(value):
        note(f"{kind}: only plain {{{{names}}}} are filled in; the rest of its value stays as it is written.")
    if name in ("latency", "cost", "is-refusal"):
        return None
    if name in ("is-json", "contains-json"):
        return _schema(value, kind)
    if name in _LISTS and isinstance(value, str | list):
        parts = value.split(",") if isinstance(value, str) else value
        return [text_of(part).strip() for part in parts]
    if name in _JUDGES or name == "llm-rubric":
        return _JUDGES.get(name, "{}").replace("{}", _question(value, kind))
    if name == "word-count" and isinstance(value, str) and value.strip().isdecimal() and len(value) < 10:
        return int(value)
    # A text that YAML took for a number or for true is a text again.
    return text_of(value) if isinstance(value, int | float) and name != "word-count" else value


def _question(value: Any, kind: str) -> str:
    if value in (None, "", []):
        raise NotTaken(f"{kind}: it asks the judge nothing; give it a value.")
    return "\n".join(map(text_of, value)) if isinstance(value, list) else text_of(value)


def _schema(value: Any, kind: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return read_yaml(value.encode(errors="replace"))
    except DomainError as refusal:
        raise NotTaken(f"{kind}: its schema cannot be read. {refusal.detail}") from None


# --- promptfoo's short form, as it stands in tables -------------------------------------------------------------------
_SHORT = re.compile(
    r"(?P<kind>(?:not-)?[a-z][a-z-]*)(?:\((?P<threshold>\d+(?:\.\d+)?)\))?(?::(?P<value>.*))?", re.DOTALL
)
_CODE_SHORT = {"fn": "javascript", "eval": "javascript"}


def expected_of(cell: str) -> dict[str, Any]:
    """The assertion of a cell of `__expected`: `type(threshold):value`; anything else must be equalled."""
    short = _SHORT.fullmatch(cell.strip())
    kind = short["kind"] if short else ""
    plain = kind.removeprefix("not-")
    known = plain in CRITERIA or plain in LEFT_OUT or plain in _JUDGES or plain in ("grade", *_CODE_SHORT)
    if short is None or not known or (short["value"] is None and not _stands_alone(plain)):
        if ELSEWHERE.match(cell.strip()):
            return {"type": "javascript", "value": cell}
        return {"type": "equals", "value": cell}
    value = short["value"]
    given: dict[str, Any] = {"type": _CODE_SHORT.get(kind, kind), "value": None if value is None else value.strip()}
    if short["threshold"] is not None:
        given["threshold"] = float(short["threshold"])
    elif plain in ("latency", "cost") and value:
        given["threshold"] = _number(value)
    return given


def _stands_alone(kind: str) -> bool:
    return kind in ("is-json", "contains-json", "is-refusal", "latency", "cost", "no-pii", "no-secret")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
