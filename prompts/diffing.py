"""What changed between two versions, word by word, ready for a page or for JSON.

Words are mapped to single code points. Runs of words that occur once in both texts are the anchors (Bram Cohen's
patience diff), so that scattered edits in a long text cost little; what lies between two anchors is compared by
diff-match-patch (Myers' algorithm), which is bounded: past the deadline it calls the rest replaced.
"""

import re
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from diff_match_patch import diff_match_patch

from promptforge.lib.json import canonical_json
from prompts.sliding import on_lines

# With what surrounds the comparison, two texts of 15,000 words stay under half a second, whatever they hold.
MAX_SECONDS = 0.3
# Share of words in common from which two messages count as one that was edited: where it stood, and elsewhere.
SIMILAR_HERE = 0.3
SIMILAR_ELSEWHERE = 0.6
MAX_COMPARISONS = 10_000
# Tokens (words, blanks) in an anchor, and from how many on anchors are looked for.
WINDOW = 8
ANCHORED_FROM = 400

type Content = str | list[dict[str, str]]
type Segment = dict[str, str]
type Change = dict[str, Any]

# A tag is one word, so that a renamed variable shows whole. Then words with their accents, line ends, runs of blanks,
# and every other character alone, emoji sequences whole; scripts without blanks between words go by character.
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
_ACCENTS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0981-\u0dff"
_WORD = rf"(?:[^\W{_SPACELESS}]|[{_ACCENTS}])+"
_TOKENS = re.compile(
    r"\\?\{\{[^{}\r\n]{0,210}\}\}"
    rf"|{_WORD}(?:['’]{_WORD})*"
    r"|\r?\n|[^\S\r\n]+"
    r"|[\U0001f1e6-\U0001f1ff]{2}"
    r"|.(?:\ufe0f|\u200d[^\w\s]|[\U0001f3fb-\U0001f3ff])*",
    re.DOTALL,
)
_COUNTED = re.compile(rf"[{_SPACELESS}]|{_WORD}")


def diff_versions(
    old: Mapping[str, Any] | None, new: Mapping[str, Any], *, seconds: float = MAX_SECONDS
) -> dict[str, Any]:
    """Everything that differs between two versions (`content`, `variables`, `config`, `includes`); old may be None.

    `content` is `{"type": "text", "segments": …}` (see `diff_text`) or `{"type": "chat", "messages": …}` (see
    `diff_chat`); the rest as told at `diff_variables`, `diff_config`, `diff_includes`. `words` counts what was
    `added` and `removed` in the texts, `same` says whether nothing differs at all.
    """
    was, now = (old or {}).get("content"), new["content"]
    if isinstance(now, str) and isinstance(was, str | None):
        segments = diff_text(was or "", now, seconds=seconds)
        content: dict[str, Any] = {"type": "text", "segments": segments}
    else:
        messages = diff_chat(_as_messages(was), _as_messages(now), seconds=seconds)
        segments = [segment for message in messages for segment in message["segments"]]
        content = {"type": "chat", "messages": messages}
    before = old or {}
    result: dict[str, Any] = {
        "content": content,
        "variables": diff_variables(before.get("variables", []), new.get("variables", [])),
        "config": diff_config(before.get("config", {}), new.get("config", {})),
        "includes": diff_includes(before.get("includes", []), new.get("includes", [])),
    }
    result["words"] = {"added": _words(segments, "insert"), "removed": _words(segments, "delete")}
    result["same"] = (
        old is not None
        and canonical_json(was) == canonical_json(now)
        and not (any(result["variables"].values()) or result["config"] or result["includes"])
    )
    return result


def diff_text(old: str, new: str, *, seconds: float = MAX_SECONDS) -> list[Segment]:
    """`[{"op": "equal" | "insert" | "delete", "text"}]`, in reading order, a deletion before the insertion beside it.

    equal + delete, joined, is `old`; equal + insert is `new`. Neighbours differ in `op` and no text is empty.
    """
    codes: dict[str, str] = {}
    changes = _compare(_coded(_TOKENS.findall(old), codes), _coded(_TOKENS.findall(new), codes), seconds)
    changes = on_lines(changes, {codes[end] for end in ("\n", "\r\n") if end in codes})
    words = {code: word for word, code in codes.items()}
    return _joined([(op, "".join(words[code] for code in text)) for op, text in changes])


def diff_chat(
    old: Sequence[Mapping[str, str]], new: Sequence[Mapping[str, str]], *, seconds: float = MAX_SECONDS
) -> list[Change]:
    """The messages of both, aligned: in the new order, removed ones where they stood.

    Each is `{"op", "old", "new", "role", "placeholder", "moved", "segments"}`. `op`: equal, change, insert or delete;
    `old`, `new`: indexes from 0 or None; `role` and `placeholder`: `{"before", "after"}`, None where there is none;
    `moved`: stands at another place among its neighbours; `segments`: word diff of the text (placeholders: none).
    """
    deadline = time.monotonic() + seconds
    pairs, moved = _aligned(old, new, seconds / 2)
    partner = {b: a for a, b in pairs.items()}
    result: list[Change] = []
    gone = iter([a for a in range(len(old)) if a not in pairs])
    next_gone = next(gone, None)
    for b, message in enumerate(new):
        a = partner.get(b)
        # What was removed is shown before the first message that stood behind it and stayed in place.
        while next_gone is not None and a is not None and b not in moved and next_gone < a:
            result.append(_message(old[next_gone], None, (next_gone, None), deadline))
            next_gone = next(gone, None)
        entry = _message(None if a is None else old[a], message, (a, b), deadline)
        result.append(entry | {"moved": b in moved})
    left = [] if next_gone is None else [next_gone, *gone]
    return result + [_message(old[a], None, (a, None), deadline) for a in left]


def diff_variables(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """`added` and `removed` declarations, and `changed`: `{"name", "fields": {field: {"before", "after"}}}`."""
    before = {v["name"]: v for v in old}
    after = {v["name"]: v for v in new}
    changed = []
    for name, now in after.items():
        was = before.get(name, now)
        fields = {
            key: {"before": was.get(key), "after": now.get(key)}
            for key in dict.fromkeys([*was, *now])
            if canonical_json(was.get(key)) != canonical_json(now.get(key))
        }
        if fields:
            changed.append({"name": name, "fields": fields})
    return {
        "added": [dict(v) for name, v in after.items() if name not in before],
        "removed": [dict(v) for name, v in before.items() if name not in after],
        "changed": changed,
    }


def diff_config(old: Any, new: Any) -> list[Change]:
    """`[{"op": "add" | "remove" | "change" | "reorder", "path", "before", "after"}]`, by JSON pointer (RFC 6901).

    Values are compared as they are written: 1, 1.0 and true differ. `reorder` names an object whose keys stand in
    another order, with both orders; lists are compared place by place.
    """
    return list(_config_changes(old, new, ""))


def diff_includes(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[Change]:
    """`[{"prompt", "before", "after"}]` for each included prompt whose pinned versions differ; both are lists."""
    names = dict.fromkeys(include["prompt"] for include in (*new, *old))
    before, after = (
        {name: sorted(i["version"] for i in side if i["prompt"] == name) for name in names} for side in (old, new)
    )
    return [{"prompt": n, "before": before[n], "after": after[n]} for n in names if before[n] != after[n]]


def _as_messages(content: Any) -> list[dict[str, str]]:
    return [{"content": content}] if isinstance(content, str) else content or []


def _words(segments: Sequence[Segment], op: str) -> int:
    return sum(len(_COUNTED.findall(segment["text"])) for segment in segments if segment["op"] == op)


def _coded(tokens: Sequence[str], codes: dict[str, str]) -> str:
    """One character for each token. Surrogates are left out; more tokens than code points no prompt can have."""
    return "".join(
        codes.setdefault(token, chr(len(codes) if len(codes) < 0xD800 else len(codes) + 0x800)) for token in tokens
    )


class _Engine(diff_match_patch):  # type: ignore[misc]  # the package carries no types
    def diff_halfMatch(self, text1: str, text2: str) -> None:  # noqa: N802
        """Never: its search takes seconds on texts that repeat themselves, and the anchors do its work."""


def _compare(old: str, new: str, seconds: float) -> list[tuple[int, str]]:
    """(-1 delete | 0 equal | 1 insert, characters) from old to new, in at most about `seconds`."""
    deadline = time.monotonic() + seconds
    changes: list[tuple[int, str]] = []
    a = b = 0
    for left, right, size in [*_anchors(old, new), (len(old), len(new), 0)]:
        changes += _between(old[a:left], new[b:right], deadline - time.monotonic())
        if size:
            changes.append((0, old[left : left + size]))
        a, b = left + size, right + size
    return changes


def _between(old: str, new: str, seconds: float) -> list[tuple[int, str]]:
    if seconds <= 0 or not old or not new:  # for diff-match-patch 0 means without end
        return [(op, text) for op, text in ((-1, old), (1, new)) if text]
    engine = _Engine()
    engine.Diff_Timeout = seconds
    changes: list[tuple[int, str]] = engine.diff_main(old, new, checklines=False)
    return changes


def _anchors(old: str, new: str) -> list[tuple[int, int, int]]:
    """Equal runs (old index, new index, length), in order, apart, around windows that occur once in each."""
    if min(len(old), len(new)) < ANCHORED_FROM:
        return []
    there = _once(new)
    places = [(a, there[window]) for window, a in _once(old).items() if window in there]
    runs: list[tuple[int, int, int]] = []
    a = b = 0  # everything before is settled
    for left, right in _rising(places):
        if left < a or right < b:
            continue
        start = 0
        while left - start > a and right - start > b and old[left - start - 1] == new[right - start - 1]:
            start += 1
        end = WINDOW
        while left + end < len(old) and right + end < len(new) and old[left + end] == new[right + end]:
            end += 1
        runs.append((left - start, right - start, start + end))
        a, b = left + end, right + end
    return runs


def _once(text: str) -> dict[str, int]:
    """The windows that occur once, with their index, in order."""
    places: dict[str, int] = {}
    for index in range(len(text) - WINDOW + 1):
        window = text[index : index + WINDOW]
        places[window] = -1 if window in places else index
    return {window: index for window, index in places.items() if index >= 0}


def _rising(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest selection in which the second numbers rise as the first ones do (given in rising order)."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for index, (_, b) in enumerate(places):
        length = bisect_left(tails, b)
        tails[length : length + 1] = [b]
        ends[length : length + 1] = [index]
        before.append(ends[length - 1] if length else -1)
    chosen = []
    index = ends[-1] if ends else -1
    while index >= 0:
        chosen.append(places[index])
        index = before[index]
    return chosen[::-1]


def _joined(changes: Sequence[tuple[int, str]]) -> list[Segment]:
    """Changed words with only a blank between them become one change: nobody wants to read them one by one."""
    segments: list[Segment] = []
    deleted = inserted = ""

    def end_change() -> None:
        segments.extend({"op": op, "text": text} for op, text in (("delete", deleted), ("insert", inserted)) if text)

    merged = [(op, "".join(text for _, text in group)) for op, group in groupby(changes, key=itemgetter(0))]
    for index, (op, text) in enumerate(merged):
        bridge = deleted and inserted and text.isspace() and "\n" not in text and index < len(merged) - 1
        if op == 0 and not bridge:
            end_change()
            deleted = inserted = ""
            segments.append({"op": "equal", "text": text})
            continue
        if op <= 0:
            deleted += text
        if op >= 0:
            inserted += text
    end_change()
    return segments


def _aligned(
    old: Sequence[Mapping[str, str]], new: Sequence[Mapping[str, str]], seconds: float
) -> tuple[dict[int, int], set[int]]:
    """Which old message became which new one (old index → new index), and which new ones have moved."""
    codes: dict[str, str] = {}
    changes = _compare(
        _coded([canonical_json(m) for m in old], codes),
        _coded([canonical_json(m) for m in new], codes),
        max(seconds, 0.01),
    )
    pairs: dict[int, int] = {}
    gaps: list[tuple[list[int], list[int]]] = [([], [])]
    a = b = 0
    for op, text in changes:
        size = len(text)
        if op == 0:
            pairs.update(zip(range(a, a + size), range(b, b + size), strict=True))
            gaps.append(([], []))
        elif op < 0:
            gaps[-1][0].extend(range(a, a + size))
        else:
            gaps[-1][1].extend(range(b, b + size))
        a += size if op <= 0 else 0
        b += size if op >= 0 else 0
    for lefts, rights in gaps:
        found = _similar(old, new, lefts, rights, SIMILAR_HERE)
        if not found and len(lefts) == len(rights) == 1 and old[lefts[0]].get("role") == new[rights[0]].get("role"):
            found = {lefts[0]: rights[0]}  # one message for one: rewritten from scratch
        pairs |= found
    lost = [i for lefts, _ in gaps for i in lefts if i not in pairs]
    taken = set(pairs.values())
    pairs |= _similar(old, new, lost, [i for _, rights in gaps for i in rights if i not in taken], SIMILAR_ELSEWHERE)
    # As few as can be: whatever stands outside the longest run that kept its order.
    return pairs, set(pairs.values()) - {b for _, b in _rising(sorted(pairs.items()))}


def _similar(
    old: Sequence[Mapping[str, str]],
    new: Sequence[Mapping[str, str]],
    lefts: list[int],
    rights: list[int],
    least: float,
) -> dict[int, int]:
    """Pairs of messages that share at least `least` of their words, the most alike first."""
    if not lefts or not rights or len(lefts) * len(rights) > MAX_COMPARISONS:
        return {}
    bags = {("old", i): _bag(old[i]) for i in lefts} | {("new", i): _bag(new[i]) for i in rights}
    scored = sorted(
        ((_overlap(bags["old", a], bags["new", b]), a, b) for a in lefts for b in rights),
        key=lambda scored: (-scored[0], abs(scored[1] - scored[2]), scored[1]),
    )
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for score, a, b in scored:
        if score >= least and a not in pairs and b not in taken and ("role" in old[a]) == ("role" in new[b]):
            pairs[a] = b
            taken.add(b)
    return pairs


def _bag(message: Mapping[str, str]) -> frozenset[str]:
    if "placeholder" in message:
        return frozenset({message["placeholder"]})
    return frozenset(_COUNTED.findall(message["content"]))


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """The Jaccard index: shared words by all words."""
    return len(one & other) / len(one | other) if one | other else 1.0


def _message(
    old: Mapping[str, str] | None, new: Mapping[str, str] | None, places: tuple[int | None, int | None], deadline: float
) -> Change:
    was, now = old or {}, new or {}
    if old is None or new is None:
        op = "insert" if old is None else "delete"
    else:
        op = "equal" if dict(old) == dict(new) else "change"
    return {
        "op": op,
        "old": places[0],
        "new": places[1],
        "role": {"before": was.get("role"), "after": now.get("role")},
        "placeholder": {"before": was.get("placeholder"), "after": now.get("placeholder")},
        "moved": False,
        "segments": diff_text(was.get("content", ""), now.get("content", ""), seconds=deadline - time.monotonic()),
    }


def _config_changes(old: Any, new: Any, path: str) -> Iterator[Change]:
    if canonical_json(old) == canonical_json(new):
        return
    if isinstance(old, list) and isinstance(new, list):
        was, now = dict(enumerate(old)), dict(enumerate(new))
    elif isinstance(old, dict) and isinstance(new, dict):
        was, now = old, new
    else:
        yield _change("change", path, old, new)
        return
    for key in dict.fromkeys([*was, *now]):
        below = f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"
        if key not in now:
            yield _change("remove", below, was[key], None)
        elif key not in was:
            yield _change("add", below, None, now[key])
        else:
            yield from _config_changes(was[key], now[key], below)
    if [key for key in was if key in now] != [key for key in now if key in was]:
        yield _change("reorder", path, list(was), list(now))


def _change(op: str, path: str, before: Any, after: Any) -> Change:
    return {"op": op, "path": path, "before": before, "after": after}
