"""From records to versions as they will be stored: checked, includes pinned, compared with what is there already."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from promptforge.lib.digests import digest_of
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.json import canonical_json
from prompts import templating
from prompts.formats.escaping import MENDED, escaped_content, foreign
from prompts.formats.records import Batch, PromptRecord, Unreadable, VersionRecord, why_of
from prompts.templating.grammar import MAX_PROMPT_NAME, PROMPT_NAME

_CHANNEL = re.compile(r"[a-z][a-z0-9-]{0,62}")
_RESERVED = ("latest", "pinned")


@dataclass(frozen=True)
class Stored:
    """A prompt as it stands in the project: the digests of its versions, oldest first."""

    name: str
    type: str
    digests: Sequence[bytes] = ()
    archived: bool = False


# What an include of a stored prompt holds: (name, number or None for the newest) → version, or None.
type LookUp = Callable[[str, int | None], templating.Included | None]


@dataclass(frozen=True)
class Composed:
    """One version's stored texts. `pins` are what it includes, as (name, number)."""

    record: VersionRecord
    content: str
    source: str
    variables: str
    config: str
    digest: bytes
    pins: tuple[tuple[str, int], ...]
    included: templating.Included


@dataclass
class Plan:
    """What becomes of one prompt: `new` are the versions to be saved, numbered from `first` on."""

    record: PromptRecord
    type: str
    stored: Stored | None
    composed: list[Composed] = field(default_factory=list)

    @property
    def digests(self) -> Sequence[bytes]:
        return self.stored.digests if self.stored else ()

    @property
    def is_known(self) -> bool:
        """Whether a file's one text is some version of the prompt already."""
        return not self.record.is_history and self.composed[0].digest in self.digests

    @property
    def first(self) -> int:
        return len(self.digests) + 1

    @property
    def new(self) -> list[Composed]:
        if self.record.is_history:
            return self.composed[len(self.digests) :]
        return [] if self.is_known else self.composed

    @property
    def differs_at(self) -> int | None:
        """The number of the first version that is another one in the project than in the import."""
        pairs = zip(self.composed, self.digests, strict=False) if self.record.is_history else ()
        return next((n for n, (mine, theirs) in enumerate(pairs, start=1) if mine.digest != theirs), None)

    def numbered(self, number: int) -> Composed | None:
        """The import's version of this number."""
        place = number - (1 if self.record.is_history else self.first)
        return self.composed[place] if 0 <= place < len(self.composed) else None


class _Later(Exception):
    """An include waits for another version of the import."""


class Composer:
    """Composes a batch. What cannot be taken goes to the batch's list of what was left, prompt by prompt."""

    def __init__(
        self, batch: Batch, stored: Mapping[str, Stored], look_up: LookUp, *, now: datetime, escape: bool = False
    ) -> None:
        """`stored` holds the project's prompts by their names in lower case."""
        self.batch, self.stored, self.look_up = batch, stored, look_up
        self.now, self.escape = now, escape
        self.plans: dict[str, Plan] = {}
        self.refused: set[str] = set()

    def compose(self) -> list[Plan]:
        """The plans of all prompts that can be taken, in the batch's order."""
        self._begin()
        waiting = list(self.plans)
        while waiting:
            before = self._progress()
            waiting = [name for name in waiting if not self._advance(self.plans[name])]
            if self._progress() == before:
                for name in waiting:
                    self._refuse(name, self.plans[name].record.where, "Its includes lead back to itself.")
                break
        self._compare()
        self._refuse_what_includes_refused()
        return [plan for name, plan in self.plans.items() if name not in self.refused]

    def _begin(self) -> None:
        seen: dict[str, list[PromptRecord]] = {}
        for record in self.batch.prompts:
            seen.setdefault(record.name.lower(), []).append(record)
        for lower, records in seen.items():
            record, stored = records[0], self.stored.get(lower)
            if len(records) > 1:
                where = ", ".join(r.where for r in records[:5])
                self.batch.leave(where, f"{len(records)} items are named {shorten(record.name)}, letter case apart.")
                continue
            try:
                self._check(record, stored)
            except (Unreadable, DomainError) as refusal:
                self.batch.leave(record.where, why_of(refusal))
                continue
            kind = record.type or ("chat" if isinstance(record.versions[0].content, list) else "text")
            self.plans[record.name] = Plan(replace(record, versions=self._dated(record)), kind, stored)

    def _check(self, record: PromptRecord, stored: Stored | None) -> None:
        name = record.name
        if len(name) > MAX_PROMPT_NAME or not PROMPT_NAME.fullmatch(name):
            raise Unreadable(
                f"{shorten(name)} is no prompt name: letters, digits and . _ - in parts joined by /, each part "
                f"beginning with a letter or digit, {MAX_PROMPT_NAME} characters at most."
            )
        if stored is not None and stored.name != name:
            raise Unreadable(f"The project has {stored.name}, which differs from {name} by letter case alone.")
        last: dict[str, datetime | None] = {}
        for release in record.releases:
            if not _CHANNEL.fullmatch(release.channel) or release.channel in _RESERVED:
                raise Unreadable(f"{shorten(release.channel, 40)} is no channel's name.")
            if not 1 <= release.version <= len(record.versions):
                raise Unreadable(f"{release.channel} names version {release.version}, which is not there.")
            before = last.get(release.channel)
            if release.at is not None and (release.at > self.now or (before is not None and release.at <= before)):
                raise Unreadable(f"The releases on {release.channel} are not in rising order up to now.")
            last[release.channel] = release.at

    def _dated(self, record: PromptRecord) -> list[VersionRecord]:
        """The versions with dates that rise: one that lies before its predecessor takes that one's date."""
        dated: list[VersionRecord] = []
        for version in record.versions:
            at, before = version.created_at, dated[-1].created_at if dated else version.created_at
            if at is not None and at > self.now:
                self.batch.note(version.where, "Its date lies in the future; it is dated when it is imported.")
                at = None
            elif at is not None and before is not None and at < before:
                self.batch.note(version.where, "Its date lies before the version before it; it takes that one's date.")
                at = before
            dated.append(replace(version, created_at=None if before is None else at))
        return dated

    def _progress(self) -> tuple[int, int]:
        return sum(len(plan.composed) for plan in self.plans.values()), len(self.refused)

    def _advance(self, plan: Plan) -> bool:
        """Compose as many of the prompt's versions as is possible now; whether nothing is left to do."""
        for version in plan.record.versions[len(plan.composed) :]:
            try:
                plan.composed.append(self._composed(plan, version))
            except _Later:
                return False
            except (Unreadable, DomainError) as refusal:
                why = why_of(refusal)
                if isinstance(refusal, DomainError) and refusal.code in MENDED and "line" in refusal.extra:
                    why += "" if refusal.code == "include_not_found" else " --escape keeps it as characters."
                self._refuse(plan.record.name, version.where, why)
                return True
        return True

    def _composed(self, plan: Plan, version: VersionRecord) -> Composed:
        given = version.content
        count = 0
        if self.escape:
            given, count = escaped_content(given)
        source = templating.check_content(plan.type, given)
        expanded = templating.expand(source, lambda name, number: self._find(version, name, number))
        declared = templating.declared_variables(expanded.content, version.variables, expanded.inherited)
        content, variables = _text(expanded.content), canonical_json(declared)
        config = templating.check_config(version.config)
        if count:
            self.batch.note(version.where, f"{count} of its {{{{ opened no tag of ours and became \\{{{{ (--escape).")
        if version is plan.record.versions[-1] and (found := foreign(source)):
            self.batch.note(version.where, f"It holds {', '.join(found)}, which is literal text here.")
        return Composed(
            record=version,
            content=content,
            source=_text(source),
            variables=variables,
            config=config,
            digest=digest_of("version.v1", plan.type, content, variables, config),
            pins=tuple((include["prompt"], include["version"]) for include in expanded.includes),
            included=templating.Included(0, expanded.content, declared, plan.type),
        )

    def _find(self, version: VersionRecord, name: str, number: int | None) -> templating.Included | None:
        number = version.pins.get(name) if number is None else number
        plan = None if name in self.refused else self.plans.get(name)
        if plan is None:
            return self.look_up(name, number)
        if number is None:
            if len(plan.composed) < len(plan.record.versions):
                raise _Later
            if not plan.new:
                return self.look_up(name, None)
            number = plan.first + len(plan.new) - 1
        elif not plan.record.is_history and number >= plan.first and not plan.composed:
            raise _Later
        mine = plan.numbered(number)
        if mine is not None:
            return replace(mine.included, number=number)
        if plan.record.is_history and number <= len(plan.record.versions):
            raise _Later
        return self.look_up(name, number)

    def _compare(self) -> None:
        for name, plan in self.plans.items():
            stored = plan.stored
            if name in self.refused or stored is None:
                continue
            if plan.type != stored.type:
                self._refuse(name, plan.record.where, f"{name} is a {stored.type} prompt here, and stays one.")
            elif plan.differs_at is not None:
                why = f"{name}@{plan.differs_at} is another text in the project; nothing was overwritten."
                self._refuse(name, plan.record.where, why)
            elif stored.archived and plan.new:
                self._refuse(name, plan.record.where, f"{name} is archived; restore it to save versions.")

    def _refuse_what_includes_refused(self) -> None:
        """A version whose include is not taken cannot stand, unless the project has those very bytes already."""
        again = True
        while again:
            again = False
            for name, plan in self.plans.items():
                if name in self.refused:
                    continue
                for composed in plan.new:
                    lost = next((pin for pin in composed.pins if self._is_lost(*pin)), None)
                    if lost is not None:
                        self._refuse(
                            name, composed.record.where, f"It includes {lost[0]}@{lost[1]}, which is not taken."
                        )
                        again = True
                        break

    def _is_lost(self, name: str, number: int) -> bool:
        if name not in self.refused:
            return False
        plan = self.plans[name]
        mine = plan.numbered(number)
        there = plan.digests[number - 1] if number <= len(plan.digests) else None
        return there is None or (mine is not None and mine.digest != there)

    def _refuse(self, name: str, where: str, why: str) -> None:
        self.refused.add(name)
        self.batch.leave(where, why)


def _text(content: Any) -> str:
    return content if isinstance(content, str) else canonical_json(content)
