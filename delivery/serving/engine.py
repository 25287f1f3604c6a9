"""The serving engine: who asks, what they get, and whether memory may be believed, without Django in between."""

import hashlib
from datetime import datetime

import psycopg
from django.db import connections

from accounts.actions.api_keys import check_standing, key_malformed, key_unknown, proves
from accounts.models import ApiKey
from accounts.policies import Principal
from delivery.fetching import Payload
from delivery.serving.freshness import Freshness, Serving
from delivery.serving.loader import Loader
from delivery.serving.snapshot import Known, Snapshot
from promptforge.lib.tokens import public_id_of
from promptforge.lib.verdicts import require
from prompts.resolving import Resolved, stands_for, within_reach
from prompts.selectors import Selector

PAYLOAD_BYTES = 32 * 1024 * 1024
_MOST_PROVEN = 100_000


def conninfo() -> str:
    """Where Django's own connections lead, for connections that are not Django's."""
    given = connections["default"].get_connection_params()
    names = ("host", "port", "dbname", "user", "password", "options", "sslmode", "sslrootcert", "sslcert", "sslkey")
    return psycopg.conninfo.make_conninfo(
        application_name="promptforge serving", **{name: given[name] for name in names if given.get(name)}
    )


class Engine:
    """One for each process. Everything it answers was true after the request had arrived, or is marked stale."""

    def __init__(self) -> None:
        self.snapshot = Snapshot(PAYLOAD_BYTES)
        self.loader = Loader(conninfo, self.snapshot)
        self.freshness = Freshness(conninfo, self._is_current, self.loader.catch_up)

    async def admit(self, text: str) -> tuple[Principal, bool]:
        """Whose key this text is, and whether memory is true for its project; False while PostgreSQL is gone.

        Raises DomainError: the 401 codes of keys; unavailable.
        """
        key = self._remembered(text) or await self._recognised(text)
        fresh = await self.freshness.check(key.project_id)
        if fresh and self.snapshot.keys.get(key.public_id) is not key:  # what has changed since it was loaded
            key = self._remembered(text) or await self._recognised(text)
        check_standing(key, self.freshness.now() if fresh else datetime.now().astimezone())
        return Principal(key.service_account, key.project, key), fresh

    async def payload(self, principal: Principal, name: str, selector: Selector) -> Payload:
        """What a prompt's selector stands for, as bytes. Ask `admit` first.

        Raises DomainError: key_scope, prompt_not_found, version_not_found, channel_not_found, channel_empty.
        """
        require(principal.may_select(selector.word))
        known = await self._known(principal, name)
        prompt = within_reach(principal, None if known is None else known.prompt, name)
        assert known is not None
        if known.may_have(selector.number):
            assert selector.number is not None
            await self.loader.number(known, selector.number)
        return await self._payload(stands_for(prompt, selector, known), pinned=selector.number is not None)

    def close(self) -> None:
        self.freshness.close()
        self.loader.close()

    async def _known(self, principal: Principal, name: str) -> Known | None:
        state = self.snapshot.projects.get(principal.project.pk)
        if state is not None and name in state.prompts:
            return state.prompts[name]
        return await self.loader.prompt(principal.project.pk, name)

    async def _payload(self, resolved: Resolved, *, pinned: bool) -> Payload:
        channel = None if resolved.channel is None else resolved.channel.pk
        name = (resolved.version.pk, channel, resolved.revision, pinned)
        return self.snapshot.payloads.get(name) or await self.loader.payload(resolved, name)

    def _remembered(self, text: str) -> ApiKey | None:
        public_id = self.snapshot.proven.get(hashlib.sha256(text.encode()).digest())
        return None if public_id is None else self.snapshot.keys.get(public_id)

    async def _recognised(self, text: str) -> ApiKey:
        public_id = public_id_of(text)
        if public_id is None:
            raise key_malformed()
        key = self.snapshot.keys.get(public_id) or await self.loader.key(public_id)
        if key is None or not proves(text, key):
            raise key_unknown()
        if len(self.snapshot.proven) >= _MOST_PROVEN:
            self.snapshot.proven.clear()
        self.snapshot.proven[hashlib.sha256(text.encode()).digest()] = public_id
        return key

    def _is_current(self, row: Serving) -> bool:
        state = self.snapshot.projects.get(row.project)
        return state is not None and state.generation == row.generation and state.epoch == row.epoch
