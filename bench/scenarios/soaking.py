"""Ten minutes of 300 reads a second with a promote or rollback every five seconds: does anything grow or slow down?

The memory of every process is noted all the while; its slope over the second half, in MB an hour, tells a leak from a
warm-up. The generator tells p50 and p99 of every minute.
"""

import time
from typing import Any

from bench import machine
from bench.generator import Step, request
from bench.measuring import Stage
from bench.ours import path_of
from bench.scenarios.fetching import plain

READS, EVERY, MINUTE = 300, 5.0, 60.0


def run(stage: Stage, seconds: float) -> None:
    """Read for so long; the prompt that moves is read too, and checked for its own marker."""
    moving = Step(request("GET", path_of("moving"), stage.ours.headers), 200, "contains", b'"name":"moving"')
    load = stage.load(
        [*plain(stage.ours), moving], connections=32, rate=READS, seconds=seconds, slice=min(MINUTE, seconds / 4)
    )
    mover = stage.ours.client()
    noted: list[tuple[float, dict[str, float]]] = []
    begun, moves, failed = time.monotonic(), 0, 0
    while (passed := time.monotonic() - begun) < seconds:
        kind = "promote" if moves % 2 == 0 else "rollback"
        move = {"kind": kind, "prompt": "moving", "reason": "soaking"} | ({"version": 1} if kind == "promote" else {})
        failed += mover.call("POST", "/api/v1/releases", move).status != 201
        moves += 1
        noted.append((passed, _memory(stage)))
        time.sleep(max(0.0, min(begun + moves * EVERY, begun + seconds) - time.monotonic()))
    figures = load.figures()
    figures["errors"] += failed
    stage.keep(f"soak: {READS} reads/s, {moves} moves", connections=32, memory=_growth(noted), **figures)


def _memory(stage: Stage) -> dict[str, float]:
    """RSS in MB of each process; PostgreSQL's sessions come and go, so of them together what is unshared."""
    postgres = machine.memory(stage.ours.postgres)
    inside = {one["pid"] for one in postgres}  # an embedded PostgreSQL is a child of the server
    ours = [one for one in machine.memory(stage.ours.root) if one["pid"] not in inside]
    found = {f"{one['pid']} {one['command']}": float(str(one["rss_mb"])) for one in ours}
    return found | {"all of PostgreSQL, unshared": sum(float(str(one["uss_mb"])) for one in postgres)}


def _growth(noted: list[tuple[float, dict[str, float]]]) -> list[dict[str, Any]]:
    """For each process that lived through: first and last MB, and the slope of the second half in MB an hour."""
    later = noted[len(noted) // 2 :]
    growth = []
    for name in noted[0][1].keys() & noted[-1][1].keys():
        points = [(moment, memory[name]) for moment, memory in later if name in memory]
        growth.append(
            {
                "process": name,
                "first_mb": noted[0][1][name],
                "last_mb": noted[-1][1][name],
                "mb_an_hour": _slope(points) * 3600,
            }
        )
    return sorted(growth, key=lambda one: str(one["process"]).split(" ", 1)[-1])


def _slope(points: list[tuple[float, float]]) -> float:
    """Least squares."""
    x_mean = sum(x for x, _ in points) / len(points)
    y_mean = sum(y for _, y in points) / len(points)
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / spread if spread else 0.0
