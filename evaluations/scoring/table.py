"""The literal table of criteria, and scoring by it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evaluations.scoring import documents, measures, texts
from evaluations.scoring.criteria import MAX_TEXT, SHOWN, Answer, Criterion, Kind, Question, Score, held, unmeasured
from promptforge.lib.errors import shorten
from promptforge.lib.json import canonical_json

MAX_VALUE = 20_000
MAX_WORDS = 200


# --- What values may be ----------------------------------------------------------------------------------------------
def _nothing(value: Any) -> None:
    if value is not None:
        raise ValueError("value has no meaning here; leave it out.")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("value is a text that is not empty.")
    if len(value) > MAX_VALUE:
        raise ValueError(f"value has {len(value):,} characters; at most {MAX_VALUE:,} are taken.")
    return value


def _text_or_json(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if len(canonical_json(value)) > MAX_VALUE:
        raise ValueError(f"value is too long; at most {MAX_VALUE:,} characters are taken.")
    return value


def _list(value: Any) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_WORDS:
        raise ValueError(f"value is a list of 1 to {MAX_WORDS} texts.")
    return [_text(item) for item in value]


def _count(value: Any) -> Any:
    if isinstance(value, dict) and value and not set(value) - {"min", "max"}:
        return measures.check_range(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError('value is a number of words, or {"min", "max"}.')
    return value


# --- Scorers of criteria that lean on others --------------------------------------------------------------------------
def _rubric(question: Question) -> Score:
    """What the judge said; nothing else here can answer it."""
    return question.judgements.get(question.criterion.name) or unmeasured("No judge has answered.")


def _set(question: Question) -> Score:
    """Several criteria as one: their weighted mean, which reaches the threshold, or else all of them pass."""
    members: Sequence[Criterion] = question.criterion.value
    scores = [
        score(member, question.answer, question.expected, question.variables, question.judgements) for member in members
    ]
    whole = total(members, scores, question.criterion.threshold)
    said = "; ".join(
        f"{sentence(member)}: {_OUTCOME[found.passed]}" for member, found in zip(members, scores, strict=True)
    )
    if whole.passed is None:
        return unmeasured(shorten(said, 1_000))
    return held(whole.passed, shorten(said, 1_000), whole.value)


_OUTCOME = {True: "yes", False: "no", None: "not measured"}


# --- What they say to people -----------------------------------------------------------------------------------------
def _says(verb: str) -> Callable[[Criterion], str]:
    return lambda criterion: f"{verb} {texts.says_of(criterion.value)}"


def _says_most(what: str, default: float | None = None) -> Callable[[Criterion], str]:
    def say(criterion: Criterion) -> str:
        most = default if criterion.threshold is None else criterion.threshold
        return what.format(f"{most:,g}")

    return say


def _says_json(verb: str) -> Callable[[Criterion], str]:
    return lambda criterion: f"{verb} JSON" + (" that follows the schema" if criterion.value else "")


def _says_words(criterion: Criterion) -> str:
    wanted = criterion.value
    least, most = (wanted, wanted) if isinstance(wanted, int) else (wanted.get("min"), wanted.get("max"))
    return f"have {texts.between(least, most)} words"


def _says_distance(criterion: Criterion) -> str:
    most = texts.DEFAULT_DISTANCE if criterion.threshold is None else criterion.threshold
    return f"be within {most:,g} characters of {texts.says_of(criterion.value)}"


def _says_set(criterion: Criterion) -> str:
    each = "; ".join(sentence(member) for member in criterion.value)
    if criterion.threshold is None:
        return f"fulfil all of: {each}"
    return f"reach {criterion.threshold:g} over: {each}"


CRITERIA: Mapping[str, Kind] = {
    "equals": Kind(_text_or_json, texts.equals, _says("be exactly"), expects=True),
    "contains": Kind(_text, texts.contains, _says("contain"), expects=True, invariant=True),
    "icontains": Kind(_text, texts.icontains, _says("contain, in capitals or not,"), expects=True, invariant=True),
    "contains-any": Kind(_list, texts.contains_any, _says("contain one of"), invariant=True),
    "contains-all": Kind(_list, texts.contains_all, _says("contain"), invariant=True),
    "icontains-any": Kind(_list, texts.icontains_any, _says("contain, in capitals or not, one of"), invariant=True),
    "icontains-all": Kind(_list, texts.icontains_all, _says("contain, in capitals or not,"), invariant=True),
    "starts-with": Kind(_text, texts.starts_with, _says("begin with"), expects=True, invariant=True),
    "regex": Kind(texts.check_pattern, texts.regex, texts.says_pattern, invariant=True),
    "is-json": Kind(documents.check_schema, documents.is_json, _says_json("be"), invariant=True),
    "contains-json": Kind(documents.check_schema, documents.contains_json, _says_json("contain"), invariant=True),
    "levenshtein": Kind(
        _text, texts.levenshtein, _says_distance, threshold="optional", highest=texts.MAX_COMPARED, expects=True
    ),
    "llm-rubric": Kind(_text, _rubric, _says("satisfy a judge that asks"), judged=True),
    "latency": Kind(
        _nothing, measures.latency, _says_most("take at most {} ms"), threshold="required", highest=3_600_000
    ),
    "cost": Kind(_nothing, measures.cost, _says_most("cost at most ${}"), threshold="required", highest=1_000),
    "word-count": Kind(_count, texts.word_count, _says_words),
    "length-ratio": Kind(
        _nothing,
        measures.length_ratio,
        _says_most("be at most {} times as long as the live version's answers", measures.DEFAULT_RATIO),
        threshold="optional",
        highest=100,
        needs_baseline=True,
    ),
    "is-refusal": Kind(_nothing, measures.refusal, lambda _: "decline to help"),
    "finish-reason": Kind(_text, measures.finish_reason, _says("end for the reason")),
    "no-pii": Kind(measures.check_kinds, measures.no_pii, lambda _: "show no personal data", invariant=True),
    "no-secret": Kind(_nothing, measures.no_secret, lambda _: "show no key or password", invariant=True),
    "language": Kind(measures.check_language, measures.language, _says("be in the language")),
    "tone": Kind(measures.check_tone, measures.tone, measures.says_tone),
    "assert-set": Kind(lambda value: value, _set, _says_set, threshold="optional", highest=1),
}


def sentence(criterion: Criterion) -> str:
    """What is asked, to people: `must contain “refund”`."""
    return f"must {'not ' if criterion.negated else ''}{CRITERIA[criterion.type].says(criterion)}"


def label(criterion: Criterion) -> str:
    """The name of a criterion that was given none: what it asks, short."""
    said = CRITERIA[criterion.type].says(criterion)
    return shorten(f"{'not ' if criterion.negated else ''}{said}", SHOWN)


def score(
    criterion: Criterion,
    answer: Answer,
    expected: str | None,
    variables: Mapping[str, Any],
    judgements: Mapping[str, Score] | None = None,
) -> Score:
    """What one criterion says of one answer; `judgements` holds what judges said, by the criterion's name.

    Never raises, whatever the answer is: what cannot be measured is unmeasured, with the reason.
    """
    text = answer.output[:MAX_TEXT].encode(errors="replace").decode()
    filled = replace(criterion, value=_filled(criterion, variables))
    question = Question(filled, answer, text, expected, variables, judgements or {})
    found = CRITERIA[criterion.type].score(question)
    if len(answer.output) > MAX_TEXT:
        note = f" Only the first {MAX_TEXT:,} characters were read."
        found = replace(found, explanation=found.explanation + note)
    if not criterion.negated or found.value is None:
        return found
    return Score(1.0 - found.value, not found.passed, found.explanation)


@dataclass(frozen=True, slots=True)
class Total:
    """What all criteria together say of one answer; both None while one that counts is unmeasured."""

    value: float | None
    passed: bool | None


def total(criteria: Sequence[Criterion], scores: Sequence[Score], threshold: float | None = None) -> Total:
    """The weighted mean of the criteria that count, which passes at the threshold, or else when each of them passed."""
    counted = [(c, s) for c, s in zip(criteria, scores, strict=True) if c.gates]
    if any(s.value is None for _, s in counted):
        return Total(None, None)
    if not counted:
        return Total(1.0, True)
    mean = sum(c.weight * (s.value or 0.0) for c, s in counted) / sum(c.weight for c, _ in counted)
    passed = all(s.passed for _, s in counted) if threshold is None else mean >= threshold - 1e-9
    return Total(mean, passed)


def _filled(criterion: Criterion, variables: Mapping[str, Any]) -> Any:
    """The value with the case's variables in place of {{name}}; what is filled in is text, never a pattern."""
    value = criterion.value
    if not variables or not isinstance(value, str | list):
        return value
    plain = _escaped if criterion.type == "regex" else _plain

    def put(text: Any) -> Any:
        if not isinstance(text, str) or "{{" not in text:
            return text
        return texts.PLACE.sub(lambda m: plain(variables[m[1]]) if m[1] in variables else m[0], text)

    return put(value) if isinstance(value, str) else [put(item) for item in value]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def _escaped(value: Any) -> str:
    return re.sub(r"([^\w\s])", r"\\\1", _plain(value), flags=re.ASCII)
