"""Lines of a comparison: nothing is lost or doubled, whichever way it is laid out."""

import time
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from prompts.diffing import diff_text
from prompts.pages.lines import Line, beside, folded, inline
from prompts.pages.tags import words

TEXT = st.lists(
    st.sampled_from(["Be kind.", "Be brief.", "Sign.", "", "a", "\r", "\u200b", "\U000e0041", " "]), max_size=9
).map("\n".join)


def joined(lines: list[Line | None], ops: tuple[str, str]) -> str:
    pieces = [piece for line in lines if line is not None for piece in line.pieces if piece.op in ops]
    return "".join(piece.text + "\n" * piece.ends for piece in pieces)


@given(TEXT, TEXT)
def test_both_texts_can_be_read_from_it(old: str, new: str) -> None:
    segments = diff_text(old, new)
    shown, pairs = inline(segments), beside(segments)
    for lines, left, right in (
        (shown, shown, shown),
        (pairs, [pair.old for pair in pairs], [pair.new for pair in pairs]),
    ):
        # Of equal lines the carriage return before the line end is not shown.
        assert joined(left, ("equal", "delete")).replace("\r\n", "\n") == old.replace("\r\n", "\n")
        assert joined(right, ("equal", "insert")).replace("\r\n", "\n") == new.replace("\r\n", "\n")
        assert [line for stretch in folded(lines) for line in stretch.lines] == lines
        assert not any(line.changed for stretch in folded(lines) if stretch.is_folded for line in stretch.lines)
    numbers = [line.number for line in shown if line.number is not None]
    assert all(after == before + 1 for before, after in pairwise(numbers))
    for side in ([pair.old for pair in pairs], [pair.new for pair in pairs]):
        assert [line.number for line in side if line is not None] == [
            *range(1, sum(line is not None for line in side) + 1)
        ]


def test_an_added_paragraph_stands_beside_a_gap() -> None:
    pairs = beside(diff_text("One\n\nTwo\n\nThree", "One\n\nTwo\n\nNew\n\nThree"))
    gaps = [pair for pair in pairs if pair.old is None]
    assert [pair.new.pieces[0].text for pair in gaps if pair.new and pair.new.pieces[0].text] == ["New"]
    assert [pair.old.number for pair in pairs if pair.old is not None] == [1, 2, 3, 4, 5]


def test_a_replaced_paragraph_stands_beside_the_new_one() -> None:
    pairs = beside(diff_text("One\nRefuse them all.\nThree", "One\nOffer store credit instead\nThree"))
    assert len(pairs) == 3
    assert pairs[1].changed
    assert not pairs[0].changed


def test_a_carriage_return_that_came_in_is_named() -> None:
    changed = [line for line in inline(diff_text("One\nTwo", "One\r\nTwo")) if line.changed]
    assert [found["codepoint"] for piece in changed[-1].pieces for found in piece.hidden.values()] == ["U+000D"]


def test_fifteen_thousand_words_take_less_than_half_a_second() -> None:
    words = [f"word{number % 997}" for number in range(15_000)]
    old = "\n".join(" ".join(words[start : start + 12]) for start in range(0, len(words), 12))
    new = old.replace("word500", "another").replace("word501 word502", "word502\nword501")
    begun = time.process_time()
    segments = diff_text(old, new)
    folded(inline(segments))
    folded(beside(segments))
    assert time.process_time() - begun < 0.5


def test_hidden_characters_are_named_in_place() -> None:
    html = words(inline(diff_text("Hi there", "Hi\u202e there\U000e0068\U000e0069"))[0])
    assert "right-to-left override" in html
    assert "2 hidden tag characters that spell “hi”" in html
    assert "\u202e" not in html
