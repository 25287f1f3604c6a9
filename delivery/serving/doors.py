"""The doors of the lane: how each reads a fetch and writes what the engine answers. The rest they share."""

import re
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from accounts.authentication import basic_key, bearer_token, not_signed_in
from accounts.policies import Principal
from delivery import fetching, langfuse
from delivery.serving.engine import Engine
from promptforge.lib import metrics
from promptforge.lib.answers import LANGFUSE, Answer, Header
from promptforge.lib.errors import DomainError

_MOST_REMEMBERED = 1_000
_STALE: Header = (b"promptforge-stale", b"true")


class Fetch(NamedTuple):
    """A fetch as it arrived; `known` is its If-None-Match."""

    name: str
    query: bytes
    authorization: str | None
    known: bytes | None
    id: str


class Door[Asked](ABC):
    """One way to ask for a prompt. Queries that recur are read once."""

    path: ClassVar[str]
    route: ClassVar[str]  # what it counts as
    allow: ClassVar[bytes]
    for_django: ClassVar[re.Pattern[bytes]]  # what in a query, decoded, only Django's views answer
    without_key: ClassVar[tuple[Header, ...]] = ()

    def __init__(self, nothing: Asked) -> None:
        self._asked = {b"": nothing}

    def remembers(self, query: bytes) -> bool:
        return query in self._asked

    def asked(self, query: bytes) -> Asked:
        asked = self._asked.get(query)
        if asked is None:
            asked = self.read(fetching.query_pairs(query.decode("ascii")))
            if self.recurs(asked) and len(self._asked) < _MOST_REMEMBERED:
                self._asked[query] = asked
        return asked

    @abstractmethod
    def key(self, authorization: str | None) -> str:
        """The text of the key in the Authorization header."""

    @abstractmethod
    def read(self, pairs: list[tuple[str, str]]) -> Asked:
        """What the query asks for."""

    def recurs(self, asked: Asked) -> bool:  # noqa: ARG002  a door may say
        """Whether others are likely to ask the same."""
        return True

    def at_hand(self, engine: Engine, caller: Principal, fetch: Fetch) -> Answer | None:  # noqa: ARG002  a door may
        """The answer, if memory is true and has it ready; None when `answer` is to look."""
        return None

    @abstractmethod
    async def answer(self, engine: Engine, caller: Principal, fetch: Fetch, *, fresh: bool) -> Answer:
        """The answer, loaded if need be."""


class NativeDoor(Door[fetching.Asked]):
    """`GET /api/v1/prompts/{name}`."""

    path = "/api/v1/prompts/"
    route = "fetch"
    allow = b"GET, POST, PATCH, HEAD, OPTIONS"
    for_django = re.compile(rb"(?:^|&)_at(?:[=&]|$)")  # the past
    without_key = ((b"vary", b"Cookie"),)  # for Django looks there for a session

    def key(self, authorization: str | None) -> str:
        if authorization is None:
            raise not_signed_in()
        return bearer_token(authorization)

    def read(self, pairs: list[tuple[str, str]]) -> fetching.Asked:
        return fetching.read_query(pairs)

    def recurs(self, asked: fetching.Asked) -> bool:
        return not asked.values

    def at_hand(self, engine: Engine, caller: Principal, fetch: Fetch) -> Answer | None:
        try:
            asked = self.asked(fetch.query)
        except DomainError:
            return None  # whoever may not read at all is told that first
        payload = engine.at_hand(caller, fetch.name, asked.selector)
        return None if payload is None else payload.answer(asked, fetch.known)

    async def answer(self, engine: Engine, caller: Principal, fetch: Fetch, *, fresh: bool) -> Answer:
        asked = self.asked(fetch.query)
        payload = await engine.payload(caller, fetch.name, asked.selector, fresh=fresh)
        answer = payload.answer(asked, fetch.known)
        return answer if fresh or asked.selector.number is not None else _marked_stale(answer)


class LangfuseDoor(Door[langfuse.Asked]):
    """`GET /api/public/v2/prompts/{name}`, as Langfuse's clients ask."""

    path = f"{LANGFUSE}v2/prompts/"
    route = "langfuse"
    allow = b"GET, HEAD, OPTIONS"
    for_django = re.compile(rb"(?:^|&)resolve=false(?:&|$)")  # memory holds no sources

    def key(self, authorization: str | None) -> str:
        return basic_key(authorization)

    def read(self, pairs: list[tuple[str, str]]) -> langfuse.Asked:
        return langfuse.read_query(pairs)

    async def answer(self, engine: Engine, caller: Principal, fetch: Fetch, *, fresh: bool) -> Answer:
        asked = self.asked(fetch.query)
        written = await engine.labelled(caller, fetch.name, asked.selector, fresh=fresh)
        answer = written.unless(fetch.known)
        return answer if fresh else _marked_stale(answer)  # a number's labels may be old too


def _marked_stale(answer: Answer) -> Answer:
    metrics.STALE.inc()
    return answer._replace(headers=(*answer.headers, _STALE))
