"""The manner of an answer in numbers, without any model: what shifted is told by name, with sentences that show it.

Every figure is the same for the same text, on every machine. Features named "per answer" count; "per 100 words" are
rates, so that a longer answer alone does not move them.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

MAX_READ = 8_000  # characters of an answer; what stands behind them has the same manner, or shows as length
MAX_SENTENCE = 600
MAX_SENTENCES = 120
MAX_OPENING = 200
MAX_EMOJI = 10


@dataclass(frozen=True, slots=True)
class Feature:
    """`label` names it, `more` and `less` say in a word what a rise and a fall mean."""

    label: str
    unit: str
    more: str
    less: str
    shows_low: bool = False  # when it fell, the new answers show that; otherwise the old ones show what is gone


FEATURES: Mapping[str, Feature] = {
    "words": Feature("length", "words per answer", "longer", "shorter", shows_low=True),
    "sentence_words": Feature("sentence length", "words per sentence", "longer sentences", "shorter sentences", True),
    "readability": Feature("reading grade", "ARI", "harder to read", "easier to read", True),
    "sentiment": Feature("sentiment", "-1 to 1", "warmer", "colder", True),
    "exclamations": Feature("exclamations", "per answer", "more exclamations", "fewer exclamations"),
    "emoji": Feature("emoji", "per answer", "more emoji", "fewer emoji"),
    "capitals": Feature("words in capitals", "per 100 words", "more capitals", "fewer capitals"),
    "contractions": Feature("contractions", "per 100 words", "more contractions", "fewer contractions"),
    "first_person": Feature("first person", "per 100 words", "more I and we", "less I and we"),
    "second_person": Feature("second person", "per 100 words", "more you", "less you"),
    "hedges": Feature("hedges", "per 100 words", "more hedging", "less hedging"),
    "certainty": Feature("certainty", "per 100 words", "more certain", "less certain"),
    "apologies": Feature("apologies", "per answer", "more apologies", "fewer apologies"),
    "courtesy": Feature("courtesy", "per 100 words", "more courteous", "less courteous"),
    "praise": Feature("praise of the reader", "per answer", "more praise of the reader", "less praise of the reader"),
    "preamble": Feature("preamble", "share of answers", "more preambles", "fewer preambles"),
    "closing_question": Feature(
        "question at the end", "share of answers", "ends in questions", "ends without question"
    ),
    "list_items": Feature("list items", "per answer", "more lists", "fewer lists"),
    "markup": Feature("headings and bold", "per answer", "more headings and bold", "fewer headings and bold"),
    "code_blocks": Feature("code blocks", "per answer", "more code blocks", "fewer code blocks"),
    "english": Feature("English function words", "per 100 words", "more English", "less English", True),
}


_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])[\"')\]”’]*\s+|\n+")
_APOSTROPHES = str.maketrans("’‘ʼ", "'''")
_EMOJI = re.compile(r"[\U0001f300-\U0001faff\u2600-\u27bf\U0001f1e6-\U0001f1ff]")
_CONTRACTED = ("n't", "'re", "'ve", "'ll", "'d", "'m")


@dataclass(frozen=True, slots=True)
class _Lexicon:
    """Words, and phrases of several words, that are counted together."""

    words: frozenset[str]
    phrases: tuple[str, ...] = ()

    def count(self, counted: Mapping[str, int], joined: str) -> int:
        single = sum(counted[word] for word in self.words & counted.keys())
        return single + sum(joined.count(f" {phrase} ") for phrase in self.phrases)


def _lexicon(words: str, *phrases: str) -> _Lexicon:
    return _Lexicon(frozenset(words.split()), phrases)


_SHORT = _lexicon("it's that's there's here's what's let's who's he's she's")
_FIRST = _lexicon("i me my mine myself we us our ours i'm i've i'll i'd we're we've we'll we'd")
_SECOND = _lexicon("you your yours yourself yourselves you're you've you'll you'd")
_HEDGES = _lexicon(
    "may might could perhaps maybe possibly probably likely seem seems appear appears somewhat generally usually "
    "typically often sometimes roughly approximately suggest suggests tend tends",
    "i think",
    "i believe",
    "i guess",
    "in my opinion",
    "it depends",
)
_CERTAIN = _lexicon(
    "definitely certainly absolutely clearly obviously undoubtedly always never surely guarantee guaranteed guarantees "
    "must completely totally indeed",
    "without a doubt",
    "without doubt",
    "of course",
    "in fact",
)
_SORRY = _lexicon(
    "sorry apology apologies apologize apologise apologized apologised apologizing regret pardon",
    "my mistake",
    "my bad",
    "forgive me",
)
_COURTESY = _lexicon(
    "please thanks glad pleasure welcome kindly appreciate",
    "thank you",
    "happy to",
    "feel free",
    "don't hesitate",
    "do not hesitate",
    "let me know",
    "best wishes",
    "kind regards",
)
_ENGLISH = _lexicon(
    "the of and a to in is you that it he was for on are as with his they i at be this have from or one had by but not "
    "what all were we when your can said there use an each which she do how their if will up other about out many then "
    "them these so some her would make like him into has more no way could my than been who its now did get may"
)
_PRAISED = (
    "great|excellent|fantastic|wonderful|brilliant|amazing|superb|insightful|thoughtful|good|awesome|perfect|"
    "fascinating|outstanding|smart|clever|terrific|lovely|genius|incredible|talented|special|remarkable|exceptional|right"
)
# Looked for only in sentences that hold one of these words: most hold none.
_PRAISING = frozenset(_PRAISED.split("|")) | {"well", "kudos", "bravo", "congratulations", "love", "admire", "applaud"}
_PRAISE = re.compile(
    rf"\b(?:{_PRAISED})[ ,]+(?:and \w+ )?(?:question|point|idea|choice|observation|thinking|request|job|work|"
    r"thought|instinct|insight|catch|topic)s?\b"
    r"|\byou(?:'re| are)(?: so| absolutely| such an?| truly| really| clearly| an?| very| incredibly){0,3} "
    rf"(?:{_PRAISED})\b"
    r"|\b(?:well done|kudos|bravo|congratulations)\b|\bi (?:love|admire|applaud) (?:your|that you|how you)\b"
)
_PREAMBLE = re.compile(
    r"\W*(?:sure|certainly|of course|absolutely|definitely|no problem|great|okay|ok|alright|got it|happy to help|"
    r"i'd be (?:happy|glad|delighted)|i would be (?:happy|glad|delighted)|i'm (?:happy|glad) to|thank(?:s| you) for|"
    r"here(?:'s| is| are) (?:the|a|an|some|your|my)|let me|as an ai|that's an? \w+ (?:question|point)|"
    r"(?:excellent|good|what an? \w+) (?:question|point))\b"
)
_LIST_ITEM = re.compile(r"(?m)^[ \t]{0,8}(?:[-*+•]|\d{1,3}[.)])[ \t]+\S")
_MARKUP = re.compile(r"(?m)^#{1,6} \S|\*\*[^*\n]{1,200}\*\*|__[^_\n]{1,200}__")


def features(text: str) -> dict[str, float]:
    """Every feature of FEATURES, of one answer."""
    read = text[:MAX_READ].translate(_APOSTROPHES)
    words, sentences = _WORD.findall(read), _sentences(read)
    lower = [word.lower() for word in words]
    counted, joined = Counter(lower), f" {' '.join(lower)} "
    hundred = max(len(words), 1) / 100
    per_sentence = len(words) / max(len(sentences), 1)
    contracted = sum(n for word, n in counted.items() if word.endswith(_CONTRACTED)) + _SHORT.count(counted, joined)
    return {
        "words": float(len(text.split())),
        "sentence_words": per_sentence,
        # Automated Readability Index: the only common one that needs no syllables.
        "readability": 4.71 * sum(map(len, words)) / len(words) + 0.5 * per_sentence - 21.43 if words else 0.0,
        "sentiment": sum(map(_sentiment, sentences)) / max(len(sentences), 1),
        "exclamations": float(read.count("!") + read.count("！")),
        "emoji": 0.0 if read.isascii() else float(len(_EMOJI.findall(read))),
        "capitals": sum(1 for word in words if len(word) > 2 and word.isascii() and word.isupper()) / hundred,
        "contractions": contracted / hundred,
        "first_person": _FIRST.count(counted, joined) / hundred,
        "second_person": _SECOND.count(counted, joined) / hundred,
        "hedges": _HEDGES.count(counted, joined) / hundred,
        "certainty": _CERTAIN.count(counted, joined) / hundred,
        "apologies": float(_SORRY.count(counted, joined)),
        "courtesy": _COURTESY.count(counted, joined) / hundred,
        "praise": float(sum(map(_praise, sentences))) if _PRAISING & counted.keys() else 0.0,
        "preamble": float(_PREAMBLE.match(read[:MAX_OPENING].lower()) is not None),
        "closing_question": float(text[-400:].rstrip(" \t\r\n*_\"')”’").endswith(("?", "？"))),
        "list_items": float(len(_LIST_ITEM.findall(read))),
        "markup": float(len(_MARKUP.findall(read))),
        "code_blocks": float((read.count("```") + 1) // 2),
        "english": _ENGLISH.count(counted, joined) / hundred,
    }


def moved_examples(
    feature: str, baseline: Sequence[str], candidate: Sequence[str], *, rose: bool, count: int = 2
) -> list[str]:
    """The sentences that show best that a feature rose or fell.

    A rise shows in the candidate's answers. A fall shows in the live version's, which still have what is gone, or where
    little is a quality of its own (colder, shorter) in the candidate's.
    """
    low = not rose and FEATURES[feature].shows_low
    answers = candidate if rose or low else baseline
    pieces = dict.fromkeys(piece for answer in answers[:50] for piece in _pieces(feature, answer))
    ranked = sorted(
        ((features(piece)[feature], piece) for piece in islice(pieces, 400)),
        key=lambda pair: pair[0],
        reverse=not low,
    )
    return [piece for figure, piece in ranked if low or figure > 0 or feature in _SIGNED][:count]


_SIGNED = ("sentiment", "readability")


def _pieces(feature: str, answer: str) -> Iterable[str]:
    """What can be shown of one answer: a sentence of it, and of what only the whole shows, the place where it shows."""
    lines = [sentence.strip() for sentence in _sentences(answer[:MAX_READ]) if _WORD.search(sentence)]
    if feature == "words":
        return [answer[:MAX_SENTENCE].strip()]
    if feature == "preamble":
        return lines[:1]
    if feature == "closing_question":
        return lines[-1:]
    if feature in ("list_items", "markup", "code_blocks"):
        return [line.strip()[:MAX_SENTENCE] for line in answer[:MAX_READ].splitlines() if line.strip()]
    return lines[:40]


def _sentences(text: str) -> list[str]:
    """At most MAX_SENTENCES of at most MAX_SENTENCE characters: what comes without any full stop is one sentence."""
    found = (piece for piece in _SENTENCE_END.split(text) if piece and not piece.isspace())
    return [piece[:MAX_SENTENCE] for piece in islice(found, MAX_SENTENCES)]


def _praise(sentence: str) -> int:
    small = sentence.lower()
    return 0 if _PRAISING.isdisjoint(_WORD.findall(small)) else len(_PRAISE.findall(small))


def _sentiment(sentence: str) -> float:
    """VADER's compound of a sentence; its rules hold for sentences, and it takes quadratic time in longer texts."""
    analyzer, known, emoji = _vader()
    small = sentence.lower()
    if not sentence.isascii():
        # VADER reads each as a phrase: a row of them would be a very long sentence.
        places = list(islice((n for n, character in enumerate(sentence) if character in emoji), MAX_EMOJI + 1))
        if len(places) > MAX_EMOJI:
            sentence = sentence[: places[-1]]
        elif not places and known.isdisjoint(_WORD.findall(small)) and known.isdisjoint(small.split()):
            return 0.0  # as VADER would say, after a longer look
    elif known.isdisjoint(_WORD.findall(small)) and known.isdisjoint(small.split()):
        return 0.0
    return float(analyzer(sentence)["compound"])


@lru_cache(maxsize=1)
def _vader() -> tuple[Callable[[str], Mapping[str, float]], frozenset[str], frozenset[str]]:
    from vaderSentiment.vaderSentiment import SPECIAL_CASES, SentimentIntensityAnalyzer

    analyzer: Any = SentimentIntensityAnalyzer()
    idioms = {word for idiom in SPECIAL_CASES for word in idiom.split()}
    emoji = frozenset(character for character in analyzer.emojis if len(character) == 1)
    return analyzer.polarity_scores, frozenset(analyzer.lexicon) | idioms, emoji
