"""One burst of load on one contestant, with what it cost; and the stage on which all of them stand."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bench import machine
from bench.generator import Load, Step
from bench.ours import Ours

Row = dict[str, Any]


class Contestant(Protocol):
    """A server that answers fetches; `root` is the process whose tree does the work."""

    name: str
    port: int

    def start(self, workers: int) -> None: ...
    def end(self) -> None: ...
    def steps(self) -> list[Step]: ...
    @property
    def root(self) -> int: ...


@dataclass(frozen=True)
class Size:
    """How long and how often things are measured."""

    seconds: float = 1.5
    repeats: int = 3
    connections: tuple[int, ...] = (1, 16, 64)
    moves_seconds: float = 20.0
    layouts: tuple[str, ...] = ("one", "two")


QUICK = Size(seconds=0.2, repeats=1, connections=(4,), moves_seconds=1.0, layouts=("quick",))
LAYOUTS = {
    "one": "one worker on a core of its own",
    "two": "two workers, nothing pinned",
    "quick": "one worker, nothing pinned",
}


@dataclass
class Stage:
    """Everything that is up at once, in one layout."""

    ours: Ours
    others: Sequence[Contestant]
    program: Path
    size: Size
    layout: str = "two"
    rows: list[Row] = field(default_factory=list)

    @contextmanager
    def set_up(self, layout: str) -> Iterator[None]:
        """Start PromptForge and the others in this layout, and end them afterwards."""
        self.layout = layout
        workers = 2 if layout == "two" else 1
        try:
            self.ours.start(workers)
            for contestant in self.others:
                contestant.start(workers)
            self._pin()
            yield
        finally:
            for contestant in self.others:
                contestant.end()
            self.ours.end()

    @property
    def pinned(self) -> bool:
        """Whether the server has a core of its own, and the generator and PostgreSQL another."""
        return self.layout == "one" and len(machine.cores()) > 1

    def _pin(self) -> None:
        if not self.pinned:
            return
        first, second = machine.cores()[:2]
        for root in (self.ours.root, self.ours.postgres):
            machine.pin(root, {second})
        for root in (self.ours.web, *(contestant.root for contestant in self.others)):
            machine.pin(root, {first})

    def load(self, steps: Sequence[Step], *, port: int | None = None, **options: float) -> Load:
        """Start the generator, where this layout wants it."""
        core = machine.cores()[1] if self.pinned else None
        return Load(self.program, port or self.ours.port, steps, core=core, **options)

    def burst(
        self,
        scenario: str,
        steps: Sequence[Step],
        *,
        other: Contestant | None = None,
        repeat: int = 0,
        **options: float,
    ) -> Row:
        """Load one server, by default PromptForge, and keep the row: what the generator says, and CPU per answer."""
        root = other.root if other else self.ours.web
        before, begun = self._spent(root), time.monotonic()
        figures = self.load(steps, port=other.port if other else None, **options).figures()
        server, postgres, everything = (now - then for now, then in zip(self._spent(root), before, strict=True))
        foreign = max(0.0, everything - server - postgres - figures["cpu_seconds"]) / (time.monotonic() - begun)
        answers = max(1, figures["answers"])
        return self.keep(
            scenario,
            **figures,
            who=other.name if other else self.ours.name,
            repeat=repeat,
            connections=options["connections"],
            cpu_us=server / answers * 1e6,
            postgres_us=postgres / answers * 1e6,
            foreign_cores=foreign,
        )

    def keep(self, scenario: str, **figures: Any) -> Row:
        """Add a row to the results."""
        row = {"scenario": scenario, "layout": self.layout, "who": self.ours.name, "repeat": 0} | figures
        self.rows.append(row)
        return row

    def not_there(self, scenario: str) -> None:
        """Say that the server has no such call yet."""
        self.keep(scenario, note="not there yet")

    def _spent(self, root: int) -> tuple[float, float, float]:
        return machine.cpu_seconds(root), machine.cpu_seconds(self.ours.postgres), machine.busy_seconds()


def summary(figures: Sequence[float]) -> dict[str, float]:
    """Count, p50, p99 and maximum of latencies in seconds, in milliseconds, as the generator tells them."""
    ordered = sorted(figures)
    if not ordered:
        return {"count": 0, "p50_ms": 0.0, "p99_ms": 0.0, "max_ms": 0.0}

    def at(share: float) -> float:
        return ordered[round(share * (len(ordered) - 1))] * 1000

    return {"count": len(ordered), "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1)}
