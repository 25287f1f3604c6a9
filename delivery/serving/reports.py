"""The lane's door for reports: observations read, looked up and stored without Django, many calls in one commit."""

import asyncio
from collections.abc import Mapping

from accounts.policies import Principal
from accounts.roles import Scope
from delivery.intake import LARGEST_CALL, Batch, Known, Reach, Wanted, open_call
from delivery.serving.connections import connect
from delivery.serving.engine import Engine, key_of
from delivery.serving.group_commit import GroupCommit
from promptforge.lib.answers import Answer
from promptforge.lib.errors import DomainError
from promptforge.lib.json import canonical_json
from promptforge.lib.verdicts import require

PATH = "/api/v1/observations"
ALLOW = b"GET, POST, HEAD, OPTIONS"
_JSON = (b"content-type", b"application/json")
_MEDIA = (b"application/json", b"application/json; charset=utf-8")
_LONG_READ = 128 * 1024  # bytes that take long enough to read to hold other requests up


class Reports:
    """Takes what `POST /observations` takes, in two steps: until the second, nothing can have been stored."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.commits = GroupCommit(connect)

    async def read(self, caller: Principal, body: bytes, *, fresh: bool) -> Batch:
        """What a call holds. Raises DomainError as Django's view does."""
        if not fresh:
            raise DomainError("unavailable", "The database does not answer. Nothing was stored; send it again.")
        require(caller.may_report(Scope.OBSERVATIONS_WRITE))
        key = key_of(caller)
        reach = Reach(caller.project.id, key.id, key.reaches_prompt)
        if len(body) > _LONG_READ:
            call = await asyncio.to_thread(open_call, body, reach)
        else:
            call = open_call(body, reach)
        return call.close(await self._known(caller, call.wanted))

    async def store(self, batch: Batch) -> Answer:
        """Store its rows, and tell what became of the call. Raises DomainError as `GroupCommit.store`."""
        stored = await self.commits.store(batch.rows)
        told = {"accepted": stored.accepted, "duplicates": stored.duplicates, "rejected": batch.rejected}
        return Answer(202, (_JSON,), canonical_json(told).encode())

    async def close(self) -> None:
        await self.commits.close()

    async def _known(self, caller: Principal, wanted: Wanted) -> Known:
        """What of it exists. Versions and names never go away, so what was found once is remembered.

        When anything is missing, all of it is looked up: what was remembered may be forgotten meanwhile.
        """
        named = self.engine.snapshot.projects[caller.project.id].named
        if named.holds(wanted):
            return named.only(wanted)
        return await self.engine.loader.named(caller.project.id, wanted)


def takes(body: bytes, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a report of this form is for the lane; the rest Django refuses in its own words."""
    return 0 < len(body) <= LARGEST_CALL and headers.get(b"content-type", b"").lower() in _MEDIA
