"""Changes as a page shows them: every character of both texts, none of them as markup, and the unseen ones by name."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.diffing import diff_text, diff_versions
from prompts.showing import marked, named, tables

CHIP = re.compile(r'<mark class="unseen">(.*?)<span>(.*?)</span></mark>')


def shown(old: str, new: str) -> str:
    """`kept [-gone-]{+come+}`, chips as `<name>`."""
    html = str(marked(diff_text(old, new), old, new))
    html = CHIP.sub(lambda chip: f"{chip[1]}&lt;{chip[2]}&gt;", html)
    html = re.sub(r'<i class="visually-hidden">[^<]+</i>', "", html)
    for tag, left, right in (("del", "[-", "-]"), ("ins", "{+", "+}")):
        html = html.replace(f"<{tag}>", left).replace(f"</{tag}>", right)
    return unescape(html)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("Be kind.", "Be <b>blunt</b>.", "Be [-kind-]{+<b>blunt</b>+}."),
        ("un\u200bseen", "unseen", "[-un<zero width space U+200B>seen-]{+unseen+}"),
        ("a", "a\u200b\u200b\u200b", "a{+<zero width space U+200B × 3>+}"),
        ("a \u202eb", "a \u202ec", "a <right-to-left override U+202E>[-b-]{+c+}"),
        ("Hi", "Hi\U000e0068\U000e006f", "Hi{+<2 hidden tag characters that spell “ho”>+}"),
        ("pay", "pаy", "[-pay-]{+pа<cyrillic small letter a U+0430>y+}"),
        ("ok", "ok \U0001f44d\U0001f3fd \u2764\ufe0f", "ok{+ \U0001f44d\U0001f3fd \u2764\ufe0f+}"),
        ("a", "a\n", "a{+↵\n+}"),
        ("a b", "a\tb", "a[- -]{+⇥\t+}b"),
        ("a\r\nb", "a\nb", "a[-<carriage return U+000D>↵\n-]{+↵\n+}b"),
        ("x\x00y", "x", "x[-<null U+0000>y-]"),
    ],
)
def test_what_nobody_sees_is_named(old: str, new: str, expected: str) -> None:
    assert shown(old, new) == expected


def test_a_run_of_tags_that_is_partly_new_is_named_in_both_parts() -> None:
    assert shown("a\U000e0068", "a\U000e0068\U000e0069") == (
        "a<1 hidden tag character that spell “h”>{+<1 hidden tag character that spell “i”>+}"
    )


def test_a_long_part_that_stays_is_folded_beside_what_changes() -> None:
    lines = [f"line {number}\n" for number in range(30)]
    old, new = "".join(lines), "".join([*lines[:15], "changed\n", *lines[16:]])
    html = str(marked(diff_text(old, new), old, new))
    assert re.findall(r"<summary>(\d+) lines stay as they are</summary>", html) == ["12", "12"]
    before, after = html.split("<del>")
    assert before.endswith("line 12\nline 13\nline 14\n")
    assert after.split("</ins>")[1].startswith("\nline 16\nline 17\n")
    assert "<details" not in str(marked(diff_text("a\nb\nc\n", "a\nx\nc\n"), "a\nb\nc\n", "a\nx\nc\n"))


@given(st.text("ab <&\n\r\t\u200b\u202e\U000e0041é", max_size=40), st.text("ab <&\n\r\u200b\U000e0041", max_size=40))
def test_every_seen_character_of_both_is_there_once(old: str, new: str) -> None:
    html = CHIP.sub(r"\1", str(marked(diff_text(old, new), old, new)))
    html = re.sub(r'<i class="visually-hidden">[^<]+</i>|<details.*?</summary>|</details>|[↵⇥]', "", html)
    for text, gone in ((old, "ins"), (new, "del")):
        kept = unescape(re.sub(r"<[^>]+>", "", re.sub(rf"<{gone}>.*?</{gone}>", "", html, flags=re.DOTALL)))
        seen = re.sub("[\u200b\u202e\U000e0041]", "", text)
        assert kept.replace("\r", "") == seen.replace("\r", "")


def test_a_text_outside_of_a_diff_is_named_too() -> None:
    assert str(named("<i>\u202e")) == '&lt;i&gt;<mark class="unseen"><span>right-to-left override U+202E</span></mark>'


def test_an_added_variable_says_everything_that_was_declared_of_it() -> None:
    plain = {"name": "a", "type": "string", "required": True, "default": None, "description": ""}
    full = plain | {"name": "b", "required": False, "default": "x", "description": "Say \u202eyes"}
    added = [plain | {"max_length": None, "enum": None}, full | {"max_length": 9, "enum": ["x", "<y>"]}]
    rows = tables(diff_versions(None, {"content": "", "variables": added}))["Variables"]
    chip = '<mark class="unseen"><span>right-to-left override U+202E</span></mark>'
    assert [(row.word, unescape(row.detail)) for row in rows] == [
        ("added", "string, required"),
        ("added", f'string, default "x", max length 9, enum ["x", "<y>"], description "Say {chip}yes"'),
    ]
