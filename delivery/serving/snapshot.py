"""What a serving process holds in memory: keys, prompts with their heads, and written payloads.

Nothing here has a time to live. Freshness says on every request whether it is still true, and the loader drops what is
not. Rows are the models' own instances without a database behind them, so that the same policies judge them.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from uuid import UUID

from accounts.policies import Principal
from delivery import intake
from delivery.fetching import Payload, Written
from prompts.models import Prompt, PromptVersion
from prompts.resolving import Live
from prompts.selectors import Selector

_MOST_ABSENT = 10_000
_MOST_NAMED = 100_000
_MOST_DECIDED = 100
_PAYLOAD_OVERHEAD = 2_000  # bytes of headers and objects around a body

type PayloadName = tuple[int, int | None, int | None, bool]  # version, channel, revision, pinned
# Version, channel, and the state of the whole prompt, for what depends on its other channels too. A state that has
# passed is never asked for again, so what was written for it is the first to be dropped.
type LabelledName = tuple[int, int | None, object]


@dataclass(slots=True)
class Known:
    """One prompt: its newest version, its channels by name, and those of its versions that were asked for by number."""

    prompt: Prompt
    newest: PromptVersion | None
    channels: dict[str, Live]
    numbers: dict[int, PromptVersion] = field(default_factory=dict)
    decided: dict[tuple[str, Selector], PayloadName] = field(default_factory=dict)  # for keys, by their public ids
    state: object = field(default_factory=object)  # which state of the prompt this is: no other is equal

    def version(self, number: int | None) -> PromptVersion | None:
        return self.newest if number is None else self.numbers.get(number)

    def live(self, channel: str) -> Live | None:
        return self.channels.get(channel)

    def decide(self, public_id: str, selector: Selector, own: PayloadName) -> None:
        """Remember what a selector stood for in this state, for a key that may have it."""
        if len(self.decided) >= _MOST_DECIDED:
            self.decided.clear()
        self.decided[public_id, selector] = own

    def may_have(self, number: int | None) -> bool:
        """Whether a version of this number exists and must be looked up: numbers have no gaps."""
        return (
            number is not None
            and self.newest is not None
            and number <= self.newest.number
            and number not in self.numbers
        )


class Named:
    """What reports name, of one project: versions and names never go away, so what was found once stays true."""

    def __init__(self) -> None:
        self.found = intake.Known({}, {}, set(), {})

    def holds(self, wanted: intake.Wanted) -> bool:
        """Whether all of it was found."""
        found = self.found
        return (
            bool(found.channels) and found.versions.keys() >= wanted.versions and found.numbers.keys() >= wanted.numbers
        )

    def add(self, known: intake.Known) -> None:
        if len(self.found.versions) + len(self.found.numbers) > _MOST_NAMED:
            self.found = intake.Known({}, {}, set(), {})
        self.found.versions.update(known.versions)
        self.found.numbers.update(known.numbers)
        self.found.names.update(known.names)
        self.found.channels.update(known.channels)

    def only(self, wanted: intake.Wanted) -> intake.Known:
        versions, numbers, names, channels = self.found
        return intake.Known(
            {pk: versions[pk] for pk in wanted.versions if pk in versions},
            {name: numbers[name] for name in wanted.numbers if name in numbers},
            {name for name, _ in wanted.numbers if name in names},
            channels,
        )


class ProjectState:
    """What is remembered of one project, true as of `generation` of `epoch`."""

    def __init__(self, generation: int, epoch: UUID) -> None:
        self.generation = generation
        self.epoch = epoch
        self.prompts: dict[str, Known | None] = {}  # None: there is none of that name
        self.named = Named()
        self._names: dict[int, str] = {}
        self._channels: set[int] = set()
        self._absent = 0

    def remember(self, name: str, known: Known | None) -> None:
        if known is None:
            self._absent += 1
            if self._absent > _MOST_ABSENT:
                self._forget_absent()
        else:
            self._names[known.prompt.id] = name
            self._channels.update(live.channel.id for live in known.channels.values())
        self.prompts[name] = known

    def forget_prompt(self, prompt: int) -> None:
        """Drop one prompt. A prompt that is not known is new, and what was absent may be there now."""
        name = self._names.pop(prompt, None)
        if name is None:
            self._forget_absent()
        else:
            del self.prompts[name]

    def forget_channels(self, channel: int) -> None:
        """Drop all prompts when a channel appears: each has a state there now. A policy changes nothing here."""
        if channel not in self._channels:
            self.prompts.clear()
            self.named = Named()
            self._names.clear()
            self._absent = 0

    def _forget_absent(self) -> None:
        self.prompts = {name: known for name, known in self.prompts.items() if known is not None}
        self._absent = 0


class Snapshot:
    """Everything that is remembered. Only the loader writes, one change at a time."""

    def __init__(self, payload_bytes: int) -> None:
        self.projects: dict[int, ProjectState] = {}
        self.callers: dict[str, Principal] = {}  # by the public id of their key
        self.proven: dict[bytes, str] = {}  # digest of a key's text that was verified -> its public id
        self.payloads: Payloads[PayloadName, Payload] = Payloads(payload_bytes)
        self.labelled: Payloads[LabelledName, Written] = Payloads(payload_bytes)

    def forget_key(self, key_id: int) -> None:
        for public_id, caller in self.callers.items():
            if caller.key is not None and caller.key.id == key_id:
                del self.callers[public_id]
                return

    def forget_project(self, project: int) -> None:
        self.projects.pop(project, None)
        self.forget_callers(project)

    def forget_callers(self, project: int) -> None:
        self.callers = {i: caller for i, caller in self.callers.items() if caller.project.id != project}


class Payloads[Name, Kind: Written]:
    """Written payloads, the least recently served ones dropped beyond `limit` bytes. They are immutable."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._rows: OrderedDict[Name, Kind] = OrderedDict()

    def get(self, name: Name) -> Kind | None:
        payload = self._rows.get(name)
        if payload is not None:
            self._rows.move_to_end(name)
        return payload

    def put(self, name: Name, payload: Kind) -> None:
        if name not in self._rows:
            self.size += _weight(payload)
        self._rows[name] = payload
        while self.size > self.limit and len(self._rows) > 1:
            _, dropped = self._rows.popitem(last=False)
            self.size -= _weight(dropped)


def _weight(payload: Written) -> int:
    return len(payload.whole.body) + _PAYLOAD_OVERHEAD
