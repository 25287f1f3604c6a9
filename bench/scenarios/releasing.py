"""Promote and rollback while others read: how long the call takes, and whether the next request sees it.

300 reads a second (open loop, other prompts, every body compared) go on all the time. One prompt is promoted to its
version 1 and rolled back to version 2 in turn. After each answer the prompt is read at once on connections that were
open before, so that both web processes are asked; an answer with an older revision is counted as stale.
"""

import time

from bench.measuring import Stage, summary
from bench.ours import path_of
from bench.scenarios.fetching import plain

READS = 300  # a second
PAUSE = 0.01  # seconds between two moves
READERS = 4


def run(stage: Stage) -> None:
    """Measure moves, and the reads that go on meanwhile."""
    mover = stage.ours.client()
    readers = [stage.ours.client() for _ in range(READERS)]
    for reader in readers:
        reader.expect(200, "GET", path_of("moving"))
    seconds = stage.size.moves_seconds
    reads = stage.load(plain(stage.ours), connections=32, rate=READS, seconds=seconds)
    took: dict[str, list[float]] = {"promote": [], "rollback": []}
    seen: list[float] = []
    stale = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends or not took["rollback"]:
        for kind, latencies in took.items():
            move = {"kind": kind, "prompt": "moving", "reason": "measuring"}
            answer = mover.call("POST", "/api/v1/releases", move | ({"version": 1} if kind == "promote" else {}))
            if answer.status != 201:
                raise RuntimeError(f"A {kind} answered {answer.status}: {answer.body[:300]!r}")
            latencies.append(answer.seconds)
            for reader in readers:
                read = reader.call("GET", path_of("moving"))
                seen.append(read.seconds)
                stale += read.json()["revision"] != answer.json()["revision"]
            time.sleep(PAUSE)
    for kind, latencies in took.items():
        stage.keep(f"{kind} under {READS} reads/s", expected=summary(latencies), errors=0, wrong=0, stale=stale)
    stage.keep("the next request after a move", expected=summary(seen), errors=0, wrong=stale, stale=stale)
    stage.keep(f"{READS} reads/s meanwhile", connections=32, **reads.figures())
