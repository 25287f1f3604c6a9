"""The serving engine: who asks, what they get, and whether memory may be believed, without Django in between."""

import hashlib
from functools import partial

from django.utils import timezone

from accounts.actions.api_keys import check_standing, key_malformed, key_unknown, proves
from accounts.models import ApiKey
from accounts.policies import Principal
from delivery import langfuse
from delivery.fetching import Payload, Written
from delivery.serving.freshness import Freshness, Serving
from delivery.serving.loader import Loader
from delivery.serving.snapshot import Known, Snapshot
from promptforge.lib.errors import DomainError
from promptforge.lib.tokens import public_id_of
from promptforge.lib.verdicts import require
from prompts.models import Channel
from prompts.resolving import stands_for, within_reach
from prompts.selectors import Selector

PAYLOAD_BYTES = 32 * 1024 * 1024
_MOST_PROVEN = 100_000
_LONGEST_NAME = 200  # characters of a prompt's name


def key_of(caller: Principal) -> ApiKey:
    """The key of a caller that has one, as all callers of the engine have."""
    assert caller.key is not None
    return caller.key


class Engine:
    """One for each process. Everything it answers was true after the request had arrived, or is marked stale."""

    def __init__(self) -> None:
        self.snapshot = Snapshot(PAYLOAD_BYTES)
        self.loader = Loader(self.snapshot)
        self.freshness = Freshness(self._is_current, self.loader.catch_up)

    async def admit(self, text: str) -> tuple[Principal, bool]:
        """Whose key this text is, and whether memory is true for its project; False while PostgreSQL is gone.

        Raises DomainError: the 401 codes of keys; unavailable.
        """
        public_id = self.snapshot.proven.get(hashlib.sha256(text.encode()).digest(), "")
        caller = self.snapshot.callers.get(public_id) or await self._recognised(text)
        asked = self.freshness.ask(caller.project.id)
        fresh = await (self.freshness.check(caller.project.id) if asked is None else asked)
        if fresh and self.snapshot.callers.get(key_of(caller).public_id) is not caller:
            caller = await self._recognised(text)  # the key has changed since it was loaded
        check_standing(key_of(caller), self.freshness.now if fresh else timezone.now)
        return caller, fresh

    def at_hand(self, principal: Principal, name: str, selector: Selector) -> Payload | None:
        """What `payload` answered to this key before in this very state, if it is in memory still.

        What a key reaches never changes, so what was decided for it holds as long as the state does.
        """
        state = self.snapshot.projects.get(principal.project.id)
        known = None if state is None else state.prompts.get(name)
        own = None if known is None else known.decided.get((key_of(principal).public_id, selector))
        return None if own is None else self.snapshot.payloads.get(own)

    async def payload(self, principal: Principal, name: str, selector: Selector, *, fresh: bool) -> Payload:
        """What a prompt's selector stands for, as bytes. `principal` and `fresh` are what `admit` said.

        Raises DomainError: key_scope, prompt_not_found, version_not_found, channel_not_found, channel_empty;
        unavailable when memory may be old, unless a number was asked for or the project allows it.
        """
        _require_truth(principal, selector, fresh=fresh)
        require(principal.may_select(selector.word))
        known = await self._within_reach(principal, name, selector)
        resolved = stands_for(known.prompt, selector, known)
        channel, pinned = _id_of(resolved.channel), selector.number is not None
        own, kept = (resolved.version.id, channel, resolved.revision, pinned), self.snapshot.payloads
        known.decide(key_of(principal).public_id, selector, own)
        return kept.get(own) or await self.loader.written(resolved, own, kept, partial(Payload, pinned=pinned))

    async def labelled(self, principal: Principal, name: str, selector: Selector, *, fresh: bool) -> Written:
        """The same with the labels of all channels, as Langfuse's clients read it; refusals as of `payload`."""
        _require_truth(principal, selector, fresh=fresh)
        known = await self._within_reach(principal, name, selector)
        resolved = langfuse.choose(principal, selector, known)
        own, kept = (resolved.version.id, _id_of(resolved.channel), known.state), self.snapshot.labelled
        return kept.get(own) or await self.loader.written(resolved, own, kept, partial(langfuse.write, standing=known))

    def close(self) -> None:
        self.freshness.close()
        self.loader.close()

    async def _within_reach(self, principal: Principal, name: str, selector: Selector) -> Known:
        """The prompt, and of its versions the one of that number, if the principal may read it."""
        state = self.snapshot.projects.get(principal.project.id)
        if state is not None and name in state.prompts:
            known = state.prompts[name]
        elif len(name) > _LONGEST_NAME:
            known = None  # no prompt can have it, so it is neither looked up nor remembered
        else:
            known = await self.loader.prompt(principal.project.id, name)
        within_reach(principal, None if known is None else known.prompt, name)
        assert known is not None
        if known.may_have(selector.number):
            assert selector.number is not None
            await self.loader.number(known, selector.number)
        return known

    async def _recognised(self, text: str) -> Principal:
        public_id = public_id_of(text)
        if public_id is None:
            raise key_malformed()
        caller = self.snapshot.callers.get(public_id) or await self.loader.caller(public_id)
        if caller is None or not proves(text, key_of(caller)):
            raise key_unknown()
        if len(self.snapshot.proven) >= _MOST_PROVEN:
            self.snapshot.proven.clear()
        self.snapshot.proven[hashlib.sha256(text.encode()).digest()] = public_id
        return caller

    def _is_current(self, row: Serving) -> bool:
        state = self.snapshot.projects.get(row.project)
        return state is not None and state.generation == row.generation and state.epoch == row.epoch


def _require_truth(principal: Principal, selector: Selector, *, fresh: bool) -> None:
    """Refuse what memory alone cannot know: which version is live, while PostgreSQL is gone."""
    if not fresh and selector.number is None and not principal.project.serves_stale:
        raise DomainError(
            "unavailable", "The database does not answer, so nobody knows what is live. Try again in a moment."
        )


def _id_of(channel: Channel | None) -> int | None:
    return None if channel is None else channel.id
