"""PromptForge's own export: a folder that people can read and compare, and that comes back byte for byte.

    promptforge.json                              the form, and the project's channels in their order
    prompts/NAME/_prompt.json                     name, type, description, tags, times, number of versions
    prompts/NAME/_versions/0001.txt               the text as it was typed; a chat has a file for each message
    prompts/NAME/_versions/0001.json              message, time, config, variables, what `{{> name }}` stood for
    prompts/NAME/_channels/stable.json            the channel's ledger, oldest first

Names of prompts never have a part that begins with `_`, so no prompt can stand in another one's way. Nothing in it
depends on the installation: no ids, people, digests, and no times of recording.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.instants import format_instant
from promptforge.lib.json import kind_of, parse_object
from prompts.formats.records import (
    Batch,
    PromptRecord,
    ReleaseRecord,
    Unreadable,
    VersionRecord,
    instant_of,
    tags_of,
    text_of,
    why_of,
)

MANIFEST = "promptforge.json"
FORM, REVISION = "promptforge-export", 1
MAX_DOCUMENT = 16 * 1024 * 1024
KINDS = ("promote", "rollback", "break_glass", "import")
# Git would otherwise rewrite line ends.
_ATTRIBUTES = (".gitattributes", b"* -text\n")
_PROMPT = re.compile(r"prompts/(?P<folder>.+)/_prompt\.json")
OURS = re.compile(
    r"prompts/.+/(?:_prompt\.json|_versions/\d{4,}(?:\.\d+-[a-z]+)?\.(?:json|txt)|_channels/[a-z0-9-]+\.json)"
)

type Read = Callable[[str], bytes]


# --- Writing ---------------------------------------------------------------------------------------------------------
def files(prompts: Iterable[PromptRecord], channels: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Every file of an export, as path and bytes; each prompt's releases stand in one list, ledger after ledger."""
    yield MANIFEST, _json({"format": FORM, "revision": REVISION, "channels": list(channels)})
    yield _ATTRIBUTES
    for prompt in prompts:
        at = f"prompts/{prompt.name}"
        yield (
            f"{at}/_prompt.json",
            _json(
                {
                    "name": prompt.name,
                    "type": prompt.type,
                    "description": prompt.description,
                    "tags": prompt.tags,
                    "created_at": _at(prompt.created_at),
                    "archived_at": _at(prompt.archived_at),
                    "versions": len(prompt.versions),
                }
            ),
        )
        for number, version in enumerate(prompt.versions, start=1):
            yield from _version_files(f"{at}/_versions/{number:04d}", version)
        for channel in dict.fromkeys(release.channel for release in prompt.releases):
            rows = [_row(release) for release in prompt.releases if release.channel == channel]
            yield f"{at}/_channels/{channel}.json", _json(rows)


def _version_files(at: str, version: VersionRecord) -> Iterator[tuple[str, bytes]]:
    described: dict[str, Any] = {
        "message": version.message,
        "created_at": _at(version.created_at),
        "config": version.config,
        "variables": version.variables,
        "includes": dict(sorted(version.pins.items())),
    }
    if isinstance(version.content, str):
        yield f"{at}.txt", version.content.encode()
    else:
        described["messages"] = []
        for place, message in enumerate(version.content, start=1):
            if "placeholder" in message:
                described["messages"].append(message)
                continue
            ending = f".{place}-{message['role']}.txt"
            described["messages"].append({"role": message["role"], "file": at.rpartition("/")[2] + ending})
            yield at + ending, message["content"].encode()
    yield f"{at}.json", _json(described)


def _row(release: ReleaseRecord) -> dict[str, Any]:
    return {"version": release.version, "at": _at(release.at), "kind": release.kind, "reason": release.reason}


def _at(moment: Any) -> str | None:
    return None if moment is None else format_instant(moment)


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2) + "\n").encode()


# --- Reading ---------------------------------------------------------------------------------------------------------
def is_manifest(value: object) -> bool:
    return isinstance(value, dict) and value.get("format") == FORM


def read(batch: Batch, paths: Sequence[str], read_file: Read) -> None:
    """Take every prompt of an export; `paths` are all its files, sorted, and `read_file` gives the bytes of one."""
    manifest = parse_object(read_file(MANIFEST), max_bytes=MAX_DOCUMENT)
    if manifest.get("revision") != REVISION:
        raise DomainError("bad_value", f"{MANIFEST} is of a revision that this PromptForge does not read.")
    channels = manifest.get("channels")
    if not isinstance(channels, list) or not all(isinstance(channel, str) for channel in channels):
        raise DomainError("bad_value", f"{MANIFEST}: channels is a list of names; it is something else.")
    batch.channels = [str(channel) for channel in channels]
    left = set(paths) - {MANIFEST, _ATTRIBUTES[0]}
    for path in paths:
        if found := _PROMPT.fullmatch(path):
            at = f"prompts/{found['folder']}"
            prompt = _Prompt(at, left, list(_below(paths, f"{at}/_channels/")), read_file)
            try:
                batch.prompts.append(prompt.record())
                left -= prompt.used
            except (Unreadable, DomainError) as refusal:
                batch.leave(prompt.reading, why_of(refusal))
                for own in prompt.own:
                    left.difference_update(_below(paths, own))
    for path in sorted(left):
        batch.note(path, "It is no part of the export and was not read.")


def _below(paths: Sequence[str], begin: str) -> Iterator[str]:
    """Those of the sorted paths that begin so, without a look at the others: a large export has millions."""
    for place in range(bisect_left(paths, begin), len(paths)):
        if not paths[place].startswith(begin):
            return
        yield paths[place]


class _Prompt:
    """Reads one prompt's files; `reading` is the one at hand, for the report."""

    def __init__(self, at: str, paths: set[str], ledgers: Sequence[str], read_file: Read) -> None:
        self.at, self.paths, self.ledgers, self.read_file = at, paths, ledgers, read_file
        self.own = (f"{at}/_prompt.json", f"{at}/_versions/", f"{at}/_channels/")
        self.reading = f"{at}/_prompt.json"
        self.used: set[str] = set()

    def record(self) -> PromptRecord:
        given = parse_object(self._bytes(f"{self.at}/_prompt.json"), max_bytes=MAX_DOCUMENT)
        count = given.get("versions")
        if type(count) is not int or count < 1:
            raise Unreadable("versions is the number of versions, a whole number from 1; it is something else.")
        prompt = PromptRecord(
            name=text_of(given.get("name"), "name"),
            type=text_of(given.get("type"), "type"),
            description=text_of(given.get("description"), "description"),
            tags=tags_of(given.get("tags")),
            created_at=instant_of(given, "created_at"),
            archived_at=instant_of(given, "archived_at"),
            versions=[],
            is_history=True,
            has_ledgers=True,
            where=self.reading,
        )
        prompt.versions = [self._version(prompt.type, number) for number in range(1, count + 1)]
        if f"{self.at}/_versions/{count + 1:04d}.json" in self.paths:
            raise Unreadable(f"There are more versions than the {count} that _prompt.json counts.")
        begin = f"{self.at}/_channels/"
        for path in self.ledgers:
            prompt.releases += self._ledger(path, path.removeprefix(begin).removesuffix(".json"))
        return prompt

    def _version(self, kind: str | None, number: int) -> VersionRecord:
        at = f"{self.at}/_versions/{number:04d}"
        given = parse_object(self._bytes(f"{at}.json"), max_bytes=MAX_DOCUMENT)
        described = self.reading
        includes = given.get("includes") or {}
        if not isinstance(includes, dict) or not all(type(pinned) is int for pinned in includes.values()):
            raise Unreadable("includes holds version numbers by the names of prompts; it is something else.")
        content = self._text(f"{at}.txt") if kind == "text" else self._messages(at, given.get("messages"))
        return VersionRecord(
            content=content,
            config=given.get("config"),
            variables=given.get("variables"),
            message=text_of(given.get("message"), "message"),
            created_at=instant_of(given, "created_at"),
            pins=includes,  # type: ignore[arg-type]  # checked above
            where=described if kind == "chat" else f"{at}.txt",
        )

    def _messages(self, at: str, given: object) -> list[dict[str, Any]]:
        if not isinstance(given, list):
            raise Unreadable(f"messages is {kind_of(given)}; a list is expected.")
        messages, described = [], self.reading
        for place, message in enumerate(given, start=1):
            if isinstance(message, dict) and "placeholder" in message:
                messages.append(message)
                continue
            role = message.get("role") if isinstance(message, dict) else None
            if not isinstance(role, str) or not isinstance(message, dict):
                self.reading = described
                raise Unreadable(f"Message {place} has no role.")
            messages.append({"role": role, "content": self._text(f"{at}.{place}-{role}.txt")})
        self.reading = described
        return messages

    def _ledger(self, path: str, channel: str) -> Iterator[ReleaseRecord]:
        value = parse_object(b'{"rows":' + self._bytes(path) + b"}", max_bytes=MAX_DOCUMENT)["rows"]
        if not isinstance(value, list):
            raise Unreadable(f"The ledger is {kind_of(value)}; a list is expected.")
        for place, row in enumerate(value, start=1):
            version = row.get("version") if isinstance(row, dict) else None
            kind = row.get("kind") if isinstance(row, dict) else None
            at = instant_of(row, "at") if isinstance(row, dict) else None
            if not isinstance(row, dict) or type(version) is not int or kind not in KINDS or at is None:
                raise Unreadable(f"Row {place} of the ledger has no version, time or known kind.")
            yield ReleaseRecord(channel, version, at, text_of(row.get("reason"), "reason"), str(kind))

    def _text(self, path: str) -> str:
        given = self._bytes(path)
        try:
            return given.decode()
        except UnicodeDecodeError as error:
            raise Unreadable(f"Byte {error.start:,} (0x{given[error.start]:02x}) is not valid UTF-8.") from None

    def _bytes(self, path: str) -> bytes:
        self.reading = path
        if path not in self.paths:
            raise Unreadable(f"{shorten(path.rpartition('/')[2])} is missing.")
        self.used.add(path)
        return self.read_file(path)
