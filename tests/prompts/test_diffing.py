"""Diffs of versions: nothing lost, nothing invented, read as a person would, and bounded in time."""

import json
import random
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prompts.diffing import diff_chat, diff_config, diff_includes, diff_text, diff_variables, diff_versions


def assert_whole(old: str, new: str, segments: list[dict[str, str]]) -> None:
    assert "".join(s["text"] for s in segments if s["op"] != "insert") == old
    assert "".join(s["text"] for s in segments if s["op"] != "delete") == new
    assert all(segment["text"] for segment in segments)
    assert all(one["op"] != other["op"] for one, other in pairwise(segments))
    assert ("insert", "delete") not in [(a["op"], b["op"]) for a, b in pairwise(segments)]


def shown(old: str, new: str) -> str:
    """`kept [-gone-]{+come+}`"""
    segments = diff_text(old, new)
    assert_whole(old, new, segments)
    marks = {"equal": "{}", "delete": "[-{}-]", "insert": "{{+{}+}}"}
    return "".join(marks[segment["op"]].format(segment["text"]) for segment in segments)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", ""),
        ("same", "same", "same"),
        ("", "new", "{+new+}"),
        ("old", "", "[-old-]"),
        ("Be kind.", "Be very kind.", "Be {+very +}kind."),
        ("Be kind.", "Be blunt.", "Be [-kind-]{+blunt+}."),
        ("Hello {{name}}!", "Hello {{customer_name}}!", "Hello [-{{name}}-]{+{{customer_name}}+}!"),
        ("Use {{> style@2}}", "Use {{> style@3}}", "Use [-{{> style@2}}-]{+{{> style@3}}+}"),
        ("one two three", "eins zwei drei", "[-one two three-]{+eins zwei drei+}"),
        ("don't stop", "do stop", "[-don't-]{+do+} stop"),
        ("a\nb\n", "a\nc\n", "a\n[-b-]{+c+}\n"),
        ("a b", "a  b", "a[- -]{+  +}b"),
        ("a\r\nb", "a\nb", "a[-\r\n-]{+\n+}b"),
        ("wo\u200brd", "word", "[-wo\u200brd-]{+word+}"),
        ("plain", "plain\U000e0041\U000e0042", "plain{+\U000e0041\U000e0042+}"),
        ("你好世界", "你好中国", "你好[-世界-]{+中国+}"),
        ("ok 👍🏽", "ok 👍🏿", "ok [-👍🏽-]{+👍🏿+}"),
        ("नमस्ते दुनिया", "नमस्ते भारत", "नमस्ते [-दुनिया-]{+भारत+}"),
    ],
)
def test_words_are_what_changes(old: str, new: str, expected: str) -> None:
    assert shown(old, new) == expected


TEXTS = st.text(max_size=60) | st.text("ab {}\n.'é\u200d", max_size=60)


@given(TEXTS, TEXTS)
@example("\ud800", "\udfff")
def test_nothing_is_lost_and_nothing_invented(old: str, new: str) -> None:
    assert_whole(old, new, diff_text(old, new))


@given(st.lists(st.sampled_from(["a", "b", "c", "dd ", "\n", "{{x}}"]), min_size=450, max_size=600), st.randoms())
def test_anchored_texts_too(words: list[str], dice: random.Random) -> None:
    changed = list(words)
    for _ in range(dice.randrange(8)):
        at = dice.randrange(len(changed))
        changed[at : at + dice.randrange(5)] = dice.choices(["a", "b", "new "], k=dice.randrange(4))
    assert_whole("".join(words), "".join(changed), diff_text("".join(words), "".join(changed)))


@given(TEXTS)
def test_a_text_does_not_differ_from_itself(text: str) -> None:
    assert diff_text(text, text) == ([{"op": "equal", "text": text}] if text else [])


def vocabulary(count: int) -> list[str]:
    dice = random.Random(7)
    words = ["".join(dice.choices("abcdefghijklmnop", k=dice.randint(2, 9))) for _ in range(4000)]
    return dice.choices(words, k=count)


def every(nth: int, words: list[str]) -> list[str]:
    return [word if index % nth else "changed" for index, word in enumerate(words)]


WORDS = vocabulary(15_000)
LINES = [" ".join(WORDS[at : at + 10]) for at in range(0, 15_000, 10)]
REORDERED = sorted(LINES)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" ".join(WORDS), " ".join(every(20, WORDS))),
        (" ".join(WORDS), " ".join(every(3, WORDS))),
        (" ".join(WORDS), " ".join(WORDS[::-1])),
        ("\n".join(LINES), "\n".join(REORDERED)),
        (
            [{"role": "user", "content": text} for text in LINES],
            [{"role": "user", "content": text} for text in REORDERED],
        ),
    ],
    ids=["scattered edits", "every third word", "other words", "other order of lines", "moved messages"],
)
def test_15_000_words_take_less_than_half_a_second(old: Any, new: Any) -> None:
    took = []
    for _ in range(3):  # the quickest, of this thread alone: what else the machine does is not the diff's
        started = time.thread_time()
        content = diff_versions({"content": old}, {"content": new})["content"]
        took.append(time.thread_time() - started)
        if took[-1] < 0.5:
            break
    assert min(took) < 0.5
    if content["type"] == "text":
        assert_whole(old, new, content["segments"])


def test_scattered_edits_are_found_one_by_one() -> None:
    segments = diff_text(" ".join(WORDS), " ".join(every(20, WORDS)))
    assert sum(segment["op"] == "insert" for segment in segments) == 750


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" ".join(vocabulary(15_000)), " ".join(vocabulary(15_000)[::-1])),
        ("a b " * 60_000, "b a " * 60_000),
        ("{}" * 100_000, "}{" * 100_000),
        ("汉" * 80_000, "汉字" * 40_000),
    ],
    ids=["unrelated", "periodic", "braces", "characters"],
)
def test_unrelated_texts_are_bounded(old: str, new: str) -> None:
    started = time.perf_counter()
    assert_whole(old, new, diff_text(old, new, seconds=0.2))
    assert time.perf_counter() - started < 1.5


def message(content: str, role: str = "user") -> dict[str, str]:
    return {"role": role, "content": content}


def outline(old: list[Any], new: list[Any]) -> list[tuple[Any, ...]]:
    result = diff_chat(old, new)
    json.dumps(result)
    for entry in result:
        before = "" if entry["old"] is None else old[entry["old"]].get("content", "")
        after = "" if entry["new"] is None else new[entry["new"]].get("content", "")
        assert_whole(before, after, entry["segments"])
    assert sorted(e["old"] for e in result if e["old"] is not None) == list(range(len(old)))
    assert [e["new"] for e in result if e["new"] is not None] == list(range(len(new)))
    return [(e["op"], e["old"], e["new"]) + (("moved",) if e["moved"] else ()) for e in result]


SYSTEM = message("You are a patient assistant of a bank.", "system")
ASK = message("What is the weather in {{city}} today?")


def test_chats_align_by_message() -> None:
    history = {"placeholder": "history"}
    assert outline([SYSTEM, history, ASK], [SYSTEM, history, ASK]) == [
        ("equal", 0, 0),
        ("equal", 1, 1),
        ("equal", 2, 2),
    ]
    assert outline([SYSTEM, ASK], [SYSTEM, history, ASK]) == [("equal", 0, 0), ("insert", None, 1), ("equal", 1, 2)]
    assert outline([SYSTEM, history, ASK], [SYSTEM, ASK]) == [("equal", 0, 0), ("delete", 1, None), ("equal", 2, 1)]
    assert outline([SYSTEM, ASK], [ASK]) == [("delete", 0, None), ("equal", 1, 0)]
    assert outline([ASK, SYSTEM], [ASK]) == [("equal", 0, 0), ("delete", 1, None)]
    assert outline([], [ASK]) == [("insert", None, 0)]


def test_an_edited_message_is_a_change_with_its_words() -> None:
    edited = message("What is the weather in {{town}} today?")
    assert outline([SYSTEM, ASK], [SYSTEM, edited]) == [("equal", 0, 0), ("change", 1, 1)]
    segments = diff_chat([SYSTEM, ASK], [SYSTEM, edited])[1]["segments"]
    assert [s["text"] for s in segments] == ["What is the weather in ", "{{city}}", "{{town}}", " today?"]


def test_a_message_written_afresh_in_place_is_a_change() -> None:
    assert outline([SYSTEM, ASK], [SYSTEM, message("Something else")]) == [("equal", 0, 0), ("change", 1, 1)]
    assert outline([SYSTEM, ASK], [SYSTEM, {"placeholder": "h"}]) == [
        ("equal", 0, 0),
        ("insert", None, 1),
        ("delete", 1, None),
    ]


def test_a_role_change_is_told() -> None:
    [change] = diff_chat([message("x y z")], [message("x y z", "developer")])
    assert (change["op"], change["role"]) == ("change", {"before": "user", "after": "developer"})
    assert change["segments"] == [{"op": "equal", "text": "x y z"}]


def test_moved_messages_are_told() -> None:
    other = message("Answer with one sentence only, please.", "developer")
    assert outline([SYSTEM, ASK, other], [other, SYSTEM, ASK]) == [
        ("equal", 2, 0, "moved"),
        ("equal", 0, 1),
        ("equal", 1, 2),
    ]
    edited = message("Answer with one short sentence only, please.", "developer")
    assert outline([SYSTEM, ASK, other], [edited, SYSTEM, ASK]) == [
        ("change", 2, 0, "moved"),
        ("equal", 0, 1),
        ("equal", 1, 2),
    ]


def test_as_few_messages_as_can_be_have_moved() -> None:
    """One went to the front, between others that were edited, went away or came."""
    history, group = {"placeholder": "history"}, message("Answer with the name of one group only.", "developer")
    edited, answer = message("You are a patient assistant of a small bank.", "system"), message("Rain", "assistant")
    assert outline([SYSTEM, history, ASK, group], [group, edited, ASK, answer]) == [
        ("equal", 3, 0, "moved"),
        ("change", 0, 1),
        ("delete", 1, None),
        ("equal", 2, 2),
        ("insert", None, 3),
    ]


MESSAGES = st.lists(
    st.one_of(
        st.builds(message, st.text("ab {}", max_size=8), st.sampled_from(["user", "system"])),
        st.builds(lambda name: {"placeholder": name}, st.sampled_from(["h", "g"])),
    ),
    max_size=8,
)


@given(MESSAGES, MESSAGES)
def test_every_message_of_both_chats_appears_once(old: list[Any], new: list[Any]) -> None:
    outline(old, new)


@given(MESSAGES)
def test_a_chat_does_not_differ_from_itself(chat: list[Any]) -> None:
    assert all(entry[0] == "equal" and len(entry) == 3 for entry in outline(chat, chat))


def test_many_messages_are_bounded() -> None:
    words = vocabulary(60_000)
    old = [message(" ".join(words[i : i + 20])) for i in range(0, 30_000, 20)]
    new = [message(" ".join(words[i : i + 20])) for i in range(30_000, 60_000, 20)]
    started = time.perf_counter()
    diff_chat(old, new)
    assert time.perf_counter() - started < 1.5


def test_variables() -> None:
    old = [{"name": "a", "type": "string", "default": None}, {"name": "b", "type": "string"}]
    new = [{"name": "c", "type": "json"}, {"name": "a", "type": "string", "default": "x"}]
    assert diff_variables(old, new) == {
        "added": [{"name": "c", "type": "json"}],
        "removed": [{"name": "b", "type": "string"}],
        "changed": [{"name": "a", "fields": {"default": {"before": None, "after": "x"}}}],
    }
    assert not any(diff_variables(old, old).values())


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {}, []),
        ({"a": 1}, {"a": 2}, [("change", "/a", 1, 2)]),
        ({"a": 1}, {"a": 1.0}, [("change", "/a", 1, 1.0)]),
        ({"a": 1}, {"a": True}, [("change", "/a", 1, True)]),
        ({"a": None}, {}, [("remove", "/a", None, None)]),
        ({}, {"a": None}, [("add", "/a", None, None)]),
        ({"a": {"b/c": {"~": 1}}}, {"a": {"b/c": {"~": 2}}}, [("change", "/a/b~1c/~0", 1, 2)]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, [("change", "/a/1", 2, 3), ("add", "/a/2", None, 4)]),
        ({"a": [1, {"x": 1}]}, {"a": [1]}, [("remove", "/a/1", {"x": 1}, None)]),
        ({"a": []}, {"a": {}}, [("change", "/a", [], {})]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, [("reorder", "", ["a", "b"], ["b", "a"])]),
        ({"a": 1, "b": 2}, {"a": 1, "c": 0, "b": 2}, [("add", "/c", None, 0)]),
    ],
)
def test_config(old: Any, new: Any, expected: list[tuple[Any, ...]]) -> None:
    assert [(c["op"], c["path"], c["before"], c["after"]) for c in diff_config(old, new)] == expected


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from([0.0, 1.0, "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab/~"), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_config_differs_exactly_when_its_text_does(old: Any, new: Any) -> None:
    assert bool(diff_config(old, new)) == (json.dumps(old) != json.dumps(new))


def test_includes() -> None:
    old = [{"prompt": "style", "version": 2}, {"prompt": "law", "version": 1}]
    new = [{"prompt": "style", "version": 3}, {"prompt": "law", "version": 1}, {"prompt": "tone", "version": 1}]
    assert diff_includes(old, new) == [
        {"prompt": "style", "before": [2], "after": [3]},
        {"prompt": "tone", "before": [], "after": [1]},
    ]


def test_versions_as_a_whole() -> None:
    old = {"content": "Be kind, {{name}}.", "variables": [{"name": "name"}], "config": {"model": "m"}, "includes": []}
    new = {"content": "Be very kind,", "variables": [], "config": {"model": "n"}, "includes": []}
    result = diff_versions(old, new)
    assert result["content"]["type"] == "text"
    assert result["words"] == {"added": 1, "removed": 1}
    assert result["variables"]["removed"] == [{"name": "name"}]
    assert result["config"] == [{"op": "change", "path": "/model", "before": "m", "after": "n"}]
    assert (result["same"], diff_versions(new, new)["same"]) == (False, True)
    assert diff_versions(None, new)["content"]["segments"] == [{"op": "insert", "text": "Be very kind,"}]
    chat = diff_versions(None, {"content": [SYSTEM]})
    assert chat["content"]["messages"][0]["op"] == "insert"
    assert chat["words"] == {"added": 8, "removed": 0}
    assert not chat["same"]
