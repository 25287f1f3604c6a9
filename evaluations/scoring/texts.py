"""Scorers that compare the words of an answer."""

import re
from functools import lru_cache
from typing import Any

from evaluations.scoring.criteria import Criterion, Question, Score, held, unmeasured
from promptforge.lib.errors import shorten

MAX_COMPARED = 10_000  # characters of which Levenshtein's distance is taken: its time grows with the square
MAX_PATTERN = 1_000
PATTERN_MEMORY = 8 * 1024 * 1024
DEFAULT_DISTANCE = 5


def equals(question: Question) -> Score:
    """Exactly this text, or, where the value is no text, JSON that means the same."""
    wanted = question.value
    if isinstance(wanted, str):
        return _or_missing(question, lambda text: _compared(question, question.text == text, "equals", text))
    if wanted is None:
        return _missing()
    from evaluations.scoring.documents import NotJson, read_json, same

    try:
        found = read_json(question.text)
    except NotJson as error:
        return held(False, f"The answer is no JSON: {error}")
    return held(same(found, wanted), "The answer is the same JSON." if same(found, wanted) else "It is other JSON.")


def contains(question: Question) -> Score:
    return _or_missing(question, lambda text: _found(question, [text], need_all=True, fold=False))


def icontains(question: Question) -> Score:
    return _or_missing(question, lambda text: _found(question, [text], need_all=True, fold=True))


def contains_any(question: Question) -> Score:
    return _found(question, question.value, need_all=False, fold=False)


def contains_all(question: Question) -> Score:
    return _found(question, question.value, need_all=True, fold=False)


def icontains_any(question: Question) -> Score:
    return _found(question, question.value, need_all=False, fold=True)


def icontains_all(question: Question) -> Score:
    return _found(question, question.value, need_all=True, fold=True)


def starts_with(question: Question) -> Score:
    return _or_missing(question, lambda text: _compared(question, question.text.startswith(text), "starts with", text))


def regex(question: Question) -> Score:
    import re2

    try:
        found = pattern(question.value).search(question.text)
    except (ValueError, re2.error) as error:
        return unmeasured(f"The pattern cannot be used: {error}")
    if found is None:
        return held(False, f"Nothing in the answer matches {shorten(question.value)}.")
    return held(True, f"{_quoted(found.group())} matches.")


def levenshtein(question: Question) -> Score:
    """At most `threshold` characters to insert, delete or replace; in a long text the beginnings are compared."""

    def measure(wanted: str) -> Score:
        from rapidfuzz.distance import Levenshtein

        most = DEFAULT_DISTANCE if question.criterion.threshold is None else question.criterion.threshold
        text, longest = question.text, max(len(question.text), len(wanted))
        distance = max(
            int(Levenshtein.distance(text[:MAX_COMPARED], wanted[:MAX_COMPARED])), abs(len(text) - len(wanted))
        )
        cut = f" Only the first {MAX_COMPARED:,} characters were compared." if longest > MAX_COMPARED else ""
        return held(
            distance <= most,
            f"{distance:,} characters differ from {_quoted(wanted)}; at most {most:,g} may.{cut}",
            1.0 - min(1.0, distance / longest) if longest else 1.0,
        )

    return _or_missing(question, measure)


def word_count(question: Question) -> Score:
    count, wanted = len(question.text.split()), question.value
    least, most = (wanted, wanted) if isinstance(wanted, int) else (wanted.get("min"), wanted.get("max"))
    return held(within(count, least, most), f"The answer has {count:,} words; {between(least, most)} were asked for.")


def within(number: float, least: float | None, most: float | None) -> bool:
    return (least is None or number >= least) and (most is None or number <= most)


def between(least: float | None, most: float | None) -> str:
    if least == most:
        return f"exactly {least:,g}"
    if least is None:
        return f"at most {most:,g}"
    return f"at least {least:,g}" if most is None else f"{least:,g} to {most:,g}"


# --- Values ----------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=512)
def pattern(text: str) -> Any:
    """A pattern as RE2 reads it: its time grows with the text alone, whatever the pattern is."""
    import re2

    options = re2.Options()
    options.log_errors, options.max_mem = False, PATTERN_MEMORY
    if len(text) > MAX_PATTERN:
        raise ValueError(f"it has {len(text):,} characters; at most {MAX_PATTERN:,} are taken.")
    try:
        return re2.compile(text, options)
    except re2.error as error:
        raise ValueError(_told(error)) from None


def _told(error: Exception) -> str:
    what = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else str(error)
    hint = " RE2 looks neither ahead nor behind, and knows no back references." if re.search(r"\(\?|\\", what) else ""
    return f"{shorten(what)}.{hint}"


def check_pattern(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("value is a regular expression, a text that is not empty.")
    try:
        pattern(PLACE.sub("x", value))
    except ValueError as error:
        raise ValueError(f"value is no regular expression of RE2's: {error}") from None
    return value


# A variable in a criterion's value: filled in for each case.
PLACE = re.compile(r"\{\{\s*([A-Za-z][A-Za-z0-9_]{0,63})\s*\}\}")


def _found(question: Question, wanted: list[str], *, need_all: bool, fold: bool) -> Score:
    text = question.text.casefold() if fold else question.text
    there = [word for word in wanted if (word.casefold() if fold else word) in text]
    missing = [word for word in wanted if word not in there]
    if need_all:
        say = f"Missing: {_listed(missing)}." if missing else f"It contains {_listed(wanted)}."
        return held(not missing, say)
    return held(bool(there), f"It contains {_listed(there)}." if there else f"It contains none of {_listed(wanted)}.")


def _or_missing(question: Question, measure: Any) -> Score:
    wanted = question.value
    if wanted is None:
        return _missing()
    score: Score = measure(str(wanted))
    return score


def _missing() -> Score:
    return unmeasured("The criterion has no value and the case expects no particular answer.")


def _compared(question: Question, same: bool, verb: str, wanted: str) -> Score:  # noqa: FBT001
    if same:
        return held(True, f"The answer {verb} {_quoted(wanted)}.")
    return held(False, f"The answer is {_quoted(question.text)}; {_quoted(wanted)} was asked for.")


def _listed(words: list[str]) -> str:
    shown = ", ".join(_quoted(word) for word in words[:5])
    return f"{shown} and {len(words) - 5} more" if len(words) > 5 else shown


def _quoted(text: str) -> str:
    return f"“{shorten(text)}”" if text else "an empty text"


def says_of(value: Any) -> str:
    """A value in a sentence: texts in quotes, lists with commas; the expected answer where there is none."""
    if value is None:
        return "the expected answer"
    if isinstance(value, list):
        return _listed([str(item) for item in value])
    return _quoted(value) if isinstance(value, str) else shorten(value)


def says_pattern(criterion: Criterion) -> str:
    return f"match {shorten(criterion.value)}"
