"""Reading one call's observations: strict, fast, and each row for itself, so that a bad one never costs the others.

Nothing here knows of requests or connections, so that every lane reads alike. What a row names is looked up for all
rows at once in between:

    call = open_call(body, reach)
    batch = call.close(known)       # `known` answers `call.wanted`, see delivery/naming.py
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import uuid4

from delivery.receipts import Receipt, read_receipt
from delivery.storing import Row
from promptforge.lib.errors import DomainError, Fault, shorten
from promptforge.lib.instants import parse_instant
from promptforge.lib.json import Faulty, canonical_json, kind_of, parse_rows, pointer

LARGEST_CALL = 8 * 1024 * 1024
MOST_ROWS = 1_000
LONGEST_CONTENT = 1_048_576
LONGEST_NOTE = 65_536
LARGEST_WHOLE = 2_147_483_647
OLDEST, NEWEST = timedelta(days=30), timedelta(minutes=5)
ARMS = ("stable", "canary", "control", "shadow")


class Reach(NamedTuple):
    """On whose behalf a call is read: ids of project and key, and which prompts' names the key reaches."""

    project: int
    key: int
    prompt: Callable[[str], bool]


class Wanted(NamedTuple):
    """What the rows of a call name: ids of versions, by receipts, and names of prompts with numbers."""

    versions: set[int]
    numbers: set[tuple[str, int]]


class Version(NamedTuple):
    id: int
    prompt: int
    name: str


class Known(NamedTuple):
    """What of it exists in the project; `names` are the prompts' that exist. `channels` are all that it has."""

    versions: dict[int, Version]
    numbers: dict[tuple[str, int], Version]
    names: set[str]
    channels: dict[str, int]


class Batch(NamedTuple):
    """What a call comes to: rows in the order of `storing.COLUMNS`, and what was refused, as it is answered."""

    rows: list[Row]
    rejected: list[dict[str, Any]]


class Misfit(Exception):
    """A value that a field does not take: code and sentence."""


# --- Fields ----------------------------------------------------------------------------------------------------------
def _text(longest: int, *, empty: bool = False) -> Callable[[Any], str | None]:
    """A text kept byte for byte. Unless `empty` ones mean something, they count as not given."""

    def read(value: Any) -> str | None:
        if type(value) is not str:
            raise Misfit("string_expected", f"A string is expected here, not {kind_of(value)}.")
        if len(value) > longest:
            raise Misfit("content_too_large", f"{len(value):,} characters are too many; the most are {longest:,}.")
        return value if value or empty else None

    return read


def _uuid(value: Any) -> str:
    if type(value) is not str or not _UUID.fullmatch(value):
        raise Misfit("bad_value", "An id is a UUID such as 0198c0de-7a5e-7000-8000-0123456789ab, made by the caller.")
    return value.lower()


def _whole(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if type(value) is not int or not least <= value <= LARGEST_WHOLE:
            raise Misfit("bad_value", f"A whole number from {least} to {LARGEST_WHOLE:,} is expected here.")
        return value

    return read


def _figure(most: int) -> Callable[[Any], float | int]:
    def read(value: Any) -> float | int:
        if (type(value) is int or type(value) is float) and 0 <= value <= most:
            return value
        raise Misfit("bad_value", f"A number from 0 to {most:,} is expected here.")

    return read


def _arm(value: Any) -> str:
    if value not in ARMS:
        raise Misfit("bad_value", f"An arm is one of: {', '.join(ARMS)}.")
    return str(value)


def _json(longest: int, *, only: type | None = None) -> Callable[[Any], str]:
    """A value kept as canonical JSON, its keys in their order."""

    def read(value: Any) -> str:
        if only is not None and type(value) is not only:
            raise Misfit("object_expected", f"A JSON object is expected here, not {kind_of(value)}.")
        text = canonical_json(value)
        if len(text) > longest:
            raise Misfit("content_too_large", f"{len(text):,} characters are too many; the most are {longest:,}.")
        return text

    return read


def _instant(value: Any) -> datetime:
    if type(value) is not str:
        raise Misfit("string_expected", f"A string is expected here, not {kind_of(value)}.")
    try:
        return parse_instant(value, "at")
    except DomainError as refusal:
        raise Misfit(refusal.code, refusal.detail) from None


_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "id": _uuid,
    "receipt": _text(500),
    "prompt": _text(200),
    "version": _whole(1),
    "channel": _text(63),
    "arm": _arm,
    "user": _text(256),
    "trace_id": _text(256),
    "session_id": _text(256),
    "variables": _json(LONGEST_CONTENT, only=dict),
    "input": _json(LONGEST_CONTENT),
    "output": _text(LONGEST_CONTENT, empty=True),
    "model": _text(200),
    "provider": _text(200),
    "latency_ms": _figure(86_400_000),
    "input_tokens": _whole(0),
    "output_tokens": _whole(0),
    "cost_usd": _figure(1_000_000),
    "finish_reason": _text(64),
    "error": _text(LONGEST_NOTE),
    "at": _instant,
    "metadata": _json(LONGEST_NOTE, only=dict),
}
# What a receipt says already.
_NAMED = ("prompt", "version", "channel", "arm")
_BAD_RECEIPT = "This is no receipt of a prompt within reach. Send it as the fetch answered it, unchanged."


# --- Calls -----------------------------------------------------------------------------------------------------------
@dataclass
class Call:
    """A call whose rows were read, and whose names are still to be looked up."""

    reach: Reach
    now: datetime
    wanted: Wanted = field(default_factory=lambda: Wanted(set(), set()))
    rejected: dict[int, list[Fault]] = field(default_factory=dict)
    _read: list[tuple[int, dict[str, Any], Receipt | None]] = field(default_factory=list)
    _receipts: dict[str, Receipt | None] = field(default_factory=dict)

    def close(self, known: Known) -> Batch:
        """The rows, in the call's order, that name what the project has and the key reaches."""
        reached = self.reach.prompt
        versions = {version.id: version for version in known.versions.values() if reached(version.name)}
        channels = {None, *known.channels.values()}
        rows = []
        for index, values, receipt in self._read:
            if receipt is not None:
                version, channel, revision, arm = versions.get(receipt.version), *receipt[3:]
                fault = None if version and channel in channels else Fault("/receipt", "bad_receipt", _BAD_RECEIPT)
            else:
                version = known.numbers.get((values["prompt"], values["version"]))
                channel, revision, arm = known.channels.get(values.get("channel", "")), None, values.get("arm")
                fault = self._absent(values, version, channel, known)
            if version is None or fault is not None:
                assert fault is not None
                self._reject(index, [fault])
            else:
                rows.append(self._row(values, version, channel, revision, arm))
        answered = [
            {"index": index, "errors": [fault.as_dict() for fault in faults]}
            for index, faults in sorted(self.rejected.items())
        ]
        return Batch(rows, answered)

    def read(self, index: int, given: Any) -> None:
        """Check one row for itself."""
        if type(given) is Faulty:
            self.rejected[index] = given.faults
            return
        if type(given) is not dict:
            self._reject(index, [Fault("", "object_expected", f"An observation is an object, not {kind_of(given)}.")])
            return
        values: dict[str, Any] = {}
        faults: list[Fault] = []
        for name, value in given.items():
            take = FIELDS.get(name)
            if take is None:
                faults.append(_unknown(name))
            elif value is not None:
                try:
                    if (taken := take(value)) is not None:
                        values[name] = taken
                except Misfit as misfit:
                    faults.append(Fault(f"/{name}", *misfit.args))
        receipt = self._origin(values, faults)
        self._date(values, faults)
        if faults:
            self._reject(index, faults)
        else:
            self._read.append((index, values, receipt))

    def _reject(self, index: int, faults: list[Fault]) -> None:
        where = f"/observations/{index}"
        self.rejected[index] = [Fault(where + fault.pointer, fault.code, fault.detail) for fault in faults]

    def _origin(self, values: dict[str, Any], faults: list[Fault]) -> Receipt | None:
        """What the row says that it comes from: a receipt, or else a prompt and the number of its version."""
        text = values.get("receipt")
        if text is None:
            told = {fault.pointer for fault in faults}
            faults.extend(
                Fault(f"/{name}", "field_required", f"Quote the receipt, or name the {name}.")
                for name in ("prompt", "version")
                if name not in values and not told & {"/receipt", f"/{name}"}
            )
            if not faults:
                self.wanted.numbers.add((values["prompt"], values["version"]))
            return None
        faults.extend(
            Fault(f"/{name}", "bad_value", f"The receipt says the {name}. Leave one of them out.")
            for name in _NAMED
            if name in values
        )
        if text not in self._receipts:
            self._receipts[text] = read_receipt(text)
        receipt = self._receipts[text]
        if receipt is None or receipt.project != self.reach.project:
            faults.append(Fault("/receipt", "bad_receipt", _BAD_RECEIPT))
            return None
        self.wanted.versions.add(receipt.version)
        return receipt

    def _date(self, values: dict[str, Any], faults: list[Fault]) -> None:
        at = values.setdefault("at", self.now)
        if not self.now - OLDEST <= at <= self.now + NEWEST:
            faults.append(
                Fault(
                    "/at", "bad_timestamp", "at lies more than 30 days back, or more than 5 minutes ahead of our clock."
                )
            )

    def _absent(
        self, values: dict[str, Any], version: Version | None, channel: int | None, known: Known
    ) -> Fault | None:
        """The first thing that a row names and that is not within reach."""
        name = values["prompt"]
        if name not in known.names or not self.reach.prompt(name):
            return Fault("/prompt", "prompt_not_found", f"There is no prompt {shorten(name)} within reach.")
        if version is None:
            return Fault("/version", "version_not_found", f"{shorten(name)} has no version {values['version']}.")
        if channel is None and "channel" in values:
            shown = shorten(values["channel"])
            return Fault("/channel", "channel_not_found", f"There is no channel {shown} in this project.")
        return None

    def _row(
        self, values: dict[str, Any], version: Version, channel: int | None, revision: int | None, arm: str | None
    ) -> Row:
        given = values.get
        cost = given("cost_usd")
        return (
            self.reach.project,
            given("id") or str(uuid4()),
            version.prompt,
            version.id,
            channel,
            revision,
            arm,
            given("user"),
            given("trace_id"),
            given("session_id"),
            given("variables"),
            given("input"),
            given("output"),
            given("model"),
            given("provider"),
            given("latency_ms"),
            given("input_tokens"),
            given("output_tokens"),
            None if cost is None else Decimal(repr(cost)),
            given("finish_reason"),
            given("error"),
            given("metadata"),
            self.reach.key,
            values["at"],
        )


def open_call(body: bytes, reach: Reach) -> Call:
    """Read `{"observations": [...]}` of 1 to 1,000 rows in at most 8 MiB.

    Raises DomainError for what concerns the whole call: the JSON, its only field, the number of rows.
    """
    document = parse_rows(body, "observations", max_bytes=LARGEST_CALL)
    faults = [_unknown(name, "observations") for name in document if name != "observations"]
    rows = document.get("observations")
    if "observations" not in document:
        faults.append(Fault("/observations", "field_required", "The field is missing. Add it."))
    elif not isinstance(rows, list):
        faults.append(Fault("/observations", "list_expected", f"A JSON list is expected here, not {kind_of(rows)}."))
    elif not 1 <= len(rows) <= MOST_ROWS:
        sentence = f"{len(rows):,} observations; send 1 to {MOST_ROWS:,} a call."
        faults.append(Fault("/observations", "bad_value", sentence))
    if faults:
        raise DomainError(faults[0].code, f"{faults[0].pointer}: {faults[0].detail}", faults)
    assert isinstance(rows, list)
    call = Call(reach, datetime.now(UTC))
    for index, row in enumerate(rows):
        call.read(index, row)
    return call


def _unknown(name: str, known: str = ", ".join(FIELDS)) -> Fault:
    return Fault(pointer(name), "unknown_field", f"{shorten(name)} is not a field here. Known: {known}.")
