"""Scorers of what was measured beside the words: time, money, length, refusals, private data, language, tone."""

from typing import Any

from evaluations.scoring.criteria import Criterion, Question, Score, held, unmeasured
from evaluations.scoring.privacy import KINDS, find_personal_data
from evaluations.scoring.refusals import is_refusal
from evaluations.scoring.texts import between, within
from evaluations.tone import FEATURES, features
from promptforge.lib.errors import shorten
from prompts.secret_scan import find_secrets

DEFAULT_RATIO = 1.25
# Fewer letters than this tell no language; plain Latin ones are then not held against the answer.
LEAST_LETTERS = 20
MAX_LANGUAGE = 2_000


def latency(question: Question) -> Score:
    taken, most = question.answer.latency_ms, question.criterion.threshold or 0.0
    if taken is None:
        return unmeasured("How long the answer took is not known.")
    return held(taken <= most, f"It took {taken:,.0f} ms; at most {most:,g} were allowed.")


def cost(question: Question) -> Score:
    spent, most = question.answer.cost_usd, question.criterion.threshold or 0.0
    if spent is None:
        return unmeasured("What the answer cost is not known; give the connection a price. Unknown is not free.")
    return held(spent <= most, f"It cost ${spent:.6f}; at most ${most:g} were allowed.")


def length_ratio(question: Question) -> Score:
    """How many times as long as the live version's answers to the same case."""
    words, live = len(question.text.split()), question.answer.baseline_words
    if live is None:
        return unmeasured("There is no live version's answer to compare the length with.")
    most = DEFAULT_RATIO if question.criterion.threshold is None else question.criterion.threshold
    ratio = (1 + words) / (1 + live)
    return held(ratio <= most, f"{words:,} words where the live version has {live:,.1f}: {ratio:.2f} times as long.")


def refusal(question: Question) -> Score:
    refused = is_refusal(question.text, question.answer.finish_reason)
    return held(refused, "The answer declines." if refused else "The answer does not decline.")


def finish_reason(question: Question) -> Score:
    given = question.answer.finish_reason
    if given is None:
        return unmeasured("The provider did not tell why the answer ended.")
    return held(given.lower() == question.value.lower(), f"The answer ended with {shorten(given)}.")


def no_pii(question: Question) -> Score:
    wanted = tuple(question.criterion.value or KINDS)
    found = dict.fromkeys(kind for kind, _ in find_personal_data(question.text, wanted))
    return held(not found, f"It shows: {', '.join(found)}." if found else f"It shows no {', no '.join(wanted)}.")


def no_secret(question: Question) -> Score:
    found = dict.fromkeys(secret.kind for secret in find_secrets(question.text))
    return held(not found, f"It shows: {', '.join(found)}." if found else "It shows nothing that looks like a secret.")


def language(question: Question) -> Score:
    wanted = [question.value] if isinstance(question.value, str) else question.value
    letters = [character for character in question.text[:MAX_LANGUAGE] if character.isalpha()]
    if not letters or (len(letters) < LEAST_LETTERS and all(letter.isascii() for letter in letters)):
        return held(True, f"{len(letters)} letters are too few to tell the language.")
    import py3langid

    found, _ = py3langid.classify(question.text[:MAX_LANGUAGE])
    return held(found in wanted, f"The language is {found}; {' or '.join(wanted)} was asked for.")


def tone(question: Question) -> Score:
    asked = question.value
    found = features(question.text)[asked["feature"]]
    least, most = asked.get("min"), asked.get("max")
    return held(
        within(found, least, most),
        f"{FEATURES[asked['feature']].label} is {found:.2f}; {between(least, most)} was asked for.",
    )


# --- Values ----------------------------------------------------------------------------------------------------------
def check_kinds(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(kind, str) and kind in KINDS for kind in value):
        raise ValueError(f"value is a list of kinds: {', '.join(KINDS)}.")
    return value


def check_language(value: Any) -> Any:
    codes = value if isinstance(value, list) else [value]
    if not codes or not all(isinstance(code, str) and code in LANGUAGES for code in codes):
        raise ValueError("value is a language's two letters, such as en or fr, or a list of them.")
    return value


def check_tone(value: Any) -> Any:
    if not isinstance(value, dict) or set(value) - {"feature", "min", "max"} or value.get("feature") not in FEATURES:
        raise ValueError(f'value is {{"feature", "min", "max"}}; features are {", ".join(FEATURES)}.')
    check_range(value)
    return value


def check_range(value: Any) -> Any:
    """`min`, `max` or both, in their order."""
    least, most = value.get("min"), value.get("max")
    for bound in (least, most):
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int | float)):
            raise ValueError("min and max are numbers.")
    if least is None and most is None:
        raise ValueError("give min, max or both.")
    if least is not None and most is not None and least > most:
        raise ValueError(f"min is {least:,g}, which is more than max, {most:,g}.")
    return value


def says_tone(criterion: Criterion) -> str:
    asked = criterion.value
    return f"have {FEATURES[asked['feature']].label} of {between(asked.get('min'), asked.get('max'))}"


# The ISO codes of the languages that py3langid tells apart; `zxx` is no language.
_LANGUAGES = (
    "ace af am an ar ary arz as az ba bcl be bg bn br bs ca crh cs cy da de dz el en eo es et eu ext fa fi fo fr "
    "fuv fy ga gcf gcr gd gl gom grc gu gug guw ha hbo he hi hr ht hu hy id ig is it ja jv ka kab kik kk km kn ko "
    "ku ky la lb lg lij ln lo lt ltg lv mg mk ml mn mr ms mt my ne nl nn no nso oc om or pa pcm pl ps pt qu ro ru "
    "rw sa sdh se si sk sl sn so sq sr st sv sw ta te tg th tk tl tr tt ug uk ur uz uzs vec vi vo wa wuu xh yo yue "
    "zh zu "
)
LANGUAGES = frozenset(_LANGUAGES.split())
