"""One call of a run, made in a thread that touches no database: what is sent, and what came of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from evaluations import local_model
from evaluations.connecting import NotThere, key_of, reached
from evaluations.models import EvaluationRun, ModelConnection
from evaluations.prices import Pricing, cost
from evaluations.providers import CallFailed, Completion, Connection, Failure, Kind, Message, complete
from evaluations.spending import MOST_USD, Reservation

SECONDS = 60.0  # for one call
SPARE = 15.0  # a lease lasts longer than its call: what is not settled by then is asked again


# Every further call would fail the same: somebody has to mend it.
_PAUSES = frozenset({Failure.BAD_KEY, Failure.URL_NOT_ALLOWED})


@dataclass(frozen=True, slots=True)
class Line:
    """A connection of a run as it is called: what the run froze, with today's key."""

    connection_id: int
    connection: Connection
    pricing: Pricing

    @property
    def most_tokens(self) -> int:
        return self.connection.max_tokens

    def asking_with(self, parameters: Mapping[str, Any]) -> "Line":
        """The same for calls with these parameters."""
        return replace(self, connection=replace(self.connection, parameters=parameters))

    @property
    def lease(self) -> float:
        """In seconds; the local model may have to start first."""
        starting = local_model.START_SECONDS if self.connection.kind is Kind.LOCAL else 0.0
        return SECONDS + SPARE + starting


class Sent(Protocol):
    """What is sent, for whichever cell or try."""

    @property
    def line(self) -> Line: ...
    @property
    def messages(self) -> list[Message]: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was counted and leased. `judging` names the criterion that a judge is asked about, else None."""

    cell_id: int
    fence: int
    tries: int
    began_at: datetime
    line: Line
    messages: list[Message]
    seed: int
    key: bytes | None
    reservation: Reservation | None  # None: it comes from the cache, and costs nothing
    judging: str | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call: `completion` or `failed`. `pauses`: every further call would fail the same."""

    completion: Completion | None = None
    failed: CallFailed | None = None

    @property
    def pauses(self) -> bool:
        return self.failed is not None and (self.failed.kind in _PAUSES or isinstance(self.failed, NotThere))


def line_of(row: ModelConnection, settings: str) -> Line:
    """Raises CallFailed when there is no key that could be used."""
    frozen: dict[str, Any] = json.loads(settings)
    kind = Kind(frozen["kind"])
    connection = Connection(
        kind=kind,
        base_url=frozen["base_url"],
        model=frozen["model"],
        api_key=key_of(row),
        parameters=frozen["parameters"],
        timeout=SECONDS,
    )
    pricing = Pricing(kind, frozen["base_url"], frozen["model"], json.loads(row.price))
    return Line(row.pk, connection, pricing)


def perform(call: Sent) -> Outcome:
    """Make the call; never raises."""
    try:
        return Outcome(completion=complete(reached(call.line.connection), call.messages, call.seed))
    except CallFailed as failed:
        return Outcome(failed=failed)
    except Exception as error:  # noqa: BLE001 - a cell that breaks an adapter ends as unscored, not the worker
        # Not its words: they may quote what was sent.
        return Outcome(failed=CallFailed(Failure.BAD_ANSWER, f"The answer could not be read ({type(error).__name__})."))


def cost_of(call: Sent, completion: Completion) -> Decimal | None:
    """None when nobody knows: by such counts as come to more than can be kept, nobody does either."""
    usd = cost(
        call.line.pricing,
        input_tokens=completion.input_tokens,
        output_tokens=completion.output_tokens,
        cached_tokens=completion.cached_tokens,
    )
    return None if usd is None or usd > MOST_USD else usd


def lines_of(run: EvaluationRun) -> dict[str, Line]:
    """`answer` and, where the run has one, `judge`."""
    found = {"answer": line_of(run.connection, run.settings)}
    if run.judge is not None:
        found["judge"] = line_of(run.judge, run.judge_settings)
    return found
