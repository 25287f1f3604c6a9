"""A word diff by lines: nothing of either text is lost, numbers are those of the new one, equal parts are folded."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.diffing import diff_text
from prompts.pages.differences import Line, blocks_of, lines_of

_HIDDEN_WORD = re.compile(r'<span class="visually-hidden">[^<]*</span>')


def lines(old: str, new: str) -> list[Line]:
    return lines_of(diff_text(old, new), old, new)


def shown(old: str, new: str) -> list[tuple[int | None, str]]:
    """`kept [-gone-]{+come+}` of each line, with its number."""
    found = []
    for line in lines(old, new):
        html = _HIDDEN_WORD.sub("", str(line.html))
        for tag, left, right in (("del", "[-", "-]"), ("ins", "{+", "+}")):
            html = html.replace(f"<{tag}>", left).replace(f"</{tag}>", right)
        found.append((line.number, unescape(re.sub(r"<[^>]+>", "", html))))
    return found


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("one\ntwo", "one\ntwo", [(1, "one"), (2, "two")]),
        ("Be firm.\nStop.", "Be kind.\nStop.", [(1, "Be [-firm-]{+kind+}."), (2, "Stop.")]),
        ("a\nc", "a\nb\nc", [(1, "a"), (2, "{+b+}"), (3, "c")]),
        ("a\nb\nc", "a\nc", [(1, "a"), (None, "[-b-]"), (2, "c")]),
        ("x\n- a\n- c", "x\n- a\n- b\n- c", [(1, "x"), (2, "- a"), (3, "{+- b+}"), (4, "- c")]),
        ("“a”\n“b”\nz", "“a”\n“c”\n“b”\nz", [(1, "“a”"), (2, "{+“c”+}"), (3, "“b”"), (4, "z")]),
        ("a\nb", "ab", [(None, "[-a-]"), (1, "[-b-]{+ab+}")]),
        ("a", "a\n\nb", [(1, "a{+↵+}"), (2, "{+↵+}"), (3, "{+b+}")]),
        ("a\r\nb", "a\nb", [(1, "a[-␍↵-]"), (None, "{+↵+}"), (2, "b")]),
        ("", "", [(1, "")]),
        ("<b>", "<b>&", [(1, "<b>{+&+}")]),
    ],
)
def test_lines(old: str, new: str, expected: list[tuple[int | None, str]]) -> None:
    assert shown(old, new) == expected


@given(st.text("ab \n<", max_size=40), st.text("ab \n<", max_size=40))
def test_every_word_of_both_texts_stands_there(old: str, new: str) -> None:
    text = "\n".join(line for _, line in shown(old, new)).replace("↵", "")
    for wanted, marks in ((new, r"\[-(.*?)-\]"), (old, r"\{\+(.*?)\+\}")):
        left = re.sub(marks, "", text, flags=re.DOTALL)
        assert sorted(re.findall("[ab<]", left)) == sorted(re.findall("[ab<]", wanted))
    numbers = [line.number for line in lines(old, new) if line.number]
    assert not new or numbers == list(range(1, last_number(new) + 1))


def last_number(text: str) -> int:
    return text.count("\n") + (0 if text.endswith("\n") else 1)


def test_long_equal_parts_are_folded_and_changes_are_not() -> None:
    old = "\n".join(f"line {number}" for number in range(40))
    blocks = blocks_of(lines(old, old.replace("line 20", "line twenty")))
    assert [(block.is_folded, len(block.lines)) for block in blocks] == [
        (True, 18),
        (False, 2),
        (False, 1),
        (False, 2),
        (True, 17),
    ]
    assert [block.is_folded for block in blocks_of(lines("a\nb\nc", "a\nx\nc"))] == [False, False, False]


def test_hidden_characters_are_named_in_place() -> None:
    text = "Hi\u202e there\U000e0068\U000e0069"
    html = str(lines("Hi there", text)[0].html)
    assert "right-to-left override" in html
    assert "2 hidden tag characters that spell “hi”" in html
    assert "\u202e" not in html
