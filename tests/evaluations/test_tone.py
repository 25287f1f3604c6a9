"""The manner of answers in numbers: what each feature sees, and that it costs next to nothing."""

import math
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluations.tone import FEATURES, features, moved_examples

PLAIN = (
    "The refund is booked within five working days of the return. Send the parcel with the label that came with it, "
    "and keep the receipt. Refunds go to the card that paid."
)
WARM = (
    "I'm absolutely thrilled to help you! The refund is booked within five wonderful working days of the return. "
    "Thank you so much for your patience, we really love having you here!"
)
PRAISE = f"What a great question! You are absolutely brilliant to ask. {PLAIN}"
FRENCH = (
    "Le remboursement est effectué dans les cinq jours ouvrés suivant le retour. Envoyez le colis avec l'étiquette qui "
    "l'accompagnait et gardez le reçu."
)
LONG = f"{PLAIN} Here is what happens in detail. {PLAIN} To say it once more: {PLAIN}"


def moved(new: str, old: str = PLAIN) -> dict[str, float]:
    was, now = features(old), features(new)
    return {name: now[name] - was[name] for name in FEATURES}


def test_a_warmer_answer_is_told_by_sentiment_exclamations_and_person() -> None:
    shift = moved(WARM)
    assert shift["sentiment"] > 0.3
    assert shift["exclamations"] == 2
    assert shift["first_person"] > 5
    assert shift["courtesy"] > 1
    assert abs(shift["words"]) < 8, "the length has not moved"


def test_praise_is_told_as_praise() -> None:
    shift = moved(PRAISE)
    assert shift["praise"] == 2
    assert shift["preamble"] == 1
    assert features("That is a great day to question it.")["praise"] == 0


def test_another_language_is_told_without_a_dictionary_of_it() -> None:
    assert moved(FRENCH)["english"] < -25
    assert moved(WARM)["english"] > -10


def test_three_times_as_long_is_length_and_little_else() -> None:
    shift = moved(LONG)
    assert 2.5 < features(LONG)["words"] / features(PLAIN)["words"] < 3.5
    rates = ("hedges", "certainty", "courtesy", "sentiment", "second_person", "praise", "exclamations")
    assert all(abs(shift[name]) < 1 for name in rates)


@pytest.mark.parametrize(
    ("feature", "text", "figure"),
    [
        ("exclamations", "Yes! No! 好！", 3),
        ("emoji", "Hi 👋 there 🇫🇷", 3),
        ("capitals", "This is VERY important, USA.", 40),
        ("contractions", "It’s fine, I don't mind.", 40),
        ("second_person", "You and your dog.", 50),
        ("hedges", "Perhaps it might work, I think.", 50),
        ("certainty", "Of course it definitely works.", 40),
        ("apologies", "Sorry, my mistake. We apologize.", 3),
        ("courtesy", "Please let me know.", 50),
        ("preamble", "Sure! Here's the list.", 1),
        ("preamble", "Surely it works.", 0),
        ("closing_question", "All done. Anything else?**\n", 1),
        ("closing_question", "Why? Because.", 0),
        ("list_items", "Steps:\n- one\n2. two\n* three\n-four", 3),
        ("markup", "# Head\nSome **bold** text", 2),
        ("code_blocks", "```py\nx\n```\nand\n```", 2),
        ("sentence_words", "One two three. One!", 2),
        ("words", "one-two three", 2),
    ],
)
def test_each_feature_counts_what_its_name_says(feature: str, text: str, figure: float) -> None:
    assert features(text)[feature] == pytest.approx(figure)


def test_the_reading_grade_is_the_published_one() -> None:
    """Automated Readability Index = 4.71 characters/words + 0.5 words/sentences - 21.43 (Senter and Smith, 1967)."""
    text = "The quick brown fox jumps over the lazy dog. It barks."
    assert features(text)["readability"] == pytest.approx(4.71 * 42 / 11 + 0.5 * 5.5 - 21.43)


def test_sentiment_is_vaders_own_for_one_sentence() -> None:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    vader = SentimentIntensityAnalyzer().polarity_scores
    for sentence in (
        "The book was good.",
        "At least it isn't a horrible book.",
        "The plot was good, but the characters are uncompelling and the dialog is not great.",
        "Today SUX!",
        "The refund is booked within five days.",
        "Catch utf-8 emoji such as 💘 and 💋 and 😁",
        "Make sure you :) or :D today!",
        "The bomb was the bomb.",
    ):
        assert features(sentence)["sentiment"] == pytest.approx(vader(sentence)["compound"]), sentence


def test_examples_show_what_moved() -> None:
    rose = moved_examples("exclamations", [PLAIN], [PLAIN, WARM], rose=True)
    assert rose
    assert all(sentence.endswith("!") for sentence in rose)
    assert "great question" in moved_examples("praise", [PLAIN], [PRAISE], rose=True)[0]
    assert moved_examples("exclamations", [WARM], [PLAIN], rose=False) == moved_examples(
        "exclamations", [PLAIN], [WARM], rose=True
    ), "what is gone is shown from the live version"
    assert all(sentence in FRENCH for sentence in moved_examples("english", [PLAIN], [FRENCH], rose=False))
    assert moved_examples("preamble", [PLAIN], ["Sure! Here it is. Sure enough."], rose=True) == ["Sure!"]
    assert moved_examples("list_items", [PLAIN], ["Do:\n- this\n- that"], rose=True) == ["- this", "- that"]
    assert moved_examples("emoji", [PLAIN], [PLAIN], rose=True) == []


def test_an_ordinary_answer_takes_less_than_two_milliseconds() -> None:
    features(WARM)
    started = time.process_time()
    for _ in range(50):
        features(PLAIN)
        features(WARM)
    assert (time.process_time() - started) / 100 < 0.002


def test_features_are_the_same_for_the_same_text_and_never_upset() -> None:
    for text in ("", " ", "\0", "😀" * 9_000, "good " * 9_000, "!" * 9_000, "\ud800", "a" * 300_000):
        started = time.process_time()
        found = features(text)
        assert time.process_time() - started < 0.3
        assert found == features(text)
        assert set(found) == set(FEATURES)


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=())), st.sampled_from(sorted(FEATURES)), st.booleans())
def test_no_text_upsets_features_or_examples(text: str, feature: str, rose: bool) -> None:
    assert all(math.isfinite(figure) for figure in features(text).values())
    assert len(moved_examples(feature, [text, PLAIN], [text[::-1], WARM], rose=rose)) <= 2


def test_examples_of_many_answers_are_found_soon() -> None:
    drawn = random.Random(7)
    answers = [" ".join(drawn.sample(WARM.split(), 20)) + "." for _ in range(500)]
    started = time.process_time()
    for feature in FEATURES:
        moved_examples(feature, answers, answers, rose=True)
    assert time.process_time() - started < 3
