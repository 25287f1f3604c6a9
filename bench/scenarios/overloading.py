"""Far more slow requests than the server admits: it sheds them at once, still rolls back, and recovers.

Lists and saves arrive at fixed rates (open loop), many times what two cores do. Told are: how the refusals (503) look
and how soon they come, whether a rollback in the middle succeeds and in what time, what fetches feel, and how long
after the end lists are as quick again as before.
"""

import time

from bench.client import Client
from bench.generator import Step, request
from bench.measuring import Row, Stage, summary
from bench.scenarios.fetching import plain
from bench.scenarios.saving import saves

LISTS, SAVES, READS = 400, 200, 300  # a second
LIST = "/api/v1/prompts?limit=200"
MOVE = {"prompt": "moving", "reason": "overload"}
LONGEST_RECOVERY = 60.0


def run(stage: Stage, seconds: float) -> None:
    """Overload for so long."""
    client = stage.ours.client()
    client.expect(201, "POST", "/api/v1/releases", MOVE | {"kind": "promote", "version": 1})
    calm = summary([client.call("GET", LIST).seconds for _ in range(20)])["p50_ms"]
    # Saves change what a list says, so its body is not compared.
    lists = [Step(request("GET", LIST, stage.ours.headers), 200, "contains", b'"plain/00"')]
    plans = (
        ("lists", lists, 300, LISTS),
        ("saves", saves(stage.ours), 150, SAVES),
        ("fetches", plain(stage.ours), 32, READS),
    )
    loads = {
        name: stage.load(steps, connections=connections, rate=rate, seconds=seconds)
        for name, steps, connections, rate in plans
    }
    time.sleep(seconds / 2)
    rollback = stage.ours.client().call("POST", "/api/v1/releases", MOVE | {"kind": "rollback"})
    figures = {name: load.figures() for name, load in loads.items()}
    recovered = _recovery(client, calm)
    for name, one in figures.items():
        stage.keep(f"overload: {name}", **one | _refusals(one, may_refuse=name != "fetches"))
    failed = int(rollback.status != 201)
    stage.keep("overload: a rollback meanwhile", expected=summary([rollback.seconds]), errors=failed, wrong=0)
    recovery = "not within 60 s" if recovered is None else f"after {recovered:.1f} s"
    stage.keep("overload: lists as quick as before", note=recovery, recovery_seconds=recovered, calm_ms=calm)


def _refusals(figures: Row, *, may_refuse: bool) -> Row:
    """What was answered, and how soon the 503 came; where shedding is what is wanted, they are no errors."""
    none = {"count": 0, "p50_ms": 0, "p99_ms": 0, "max_ms": 0, "retry_after": 0}
    refused = figures["statuses"].get("503", none)
    answered = ", ".join(f"{one['count']} × {status}" for status, one in figures["statuses"].items())
    note = (
        f"{answered}; 503 after p50 {refused['p50_ms']:.1f}, p99 {refused['p99_ms']:.1f}, "
        f"max {refused['max_ms']:.1f} ms, {refused['retry_after']} of {refused['count']} with Retry-After"
    )
    return {"note": note, "errors": figures["errors"] - (refused["count"] if may_refuse else 0)}


def _recovery(client: Client, calm: float) -> float | None:
    """Seconds until five lists in a row took less than twice the calm time and 20 ms; None after a minute."""
    begun, in_a_row = time.monotonic(), 0
    while time.monotonic() - begun < LONGEST_RECOVERY:
        answer = client.call("GET", LIST)
        quick = answer.status == 200 and answer.seconds * 1000 < 2 * calm + 20
        in_a_row = in_a_row + 1 if quick else 0
        if in_a_row == 5:
            return time.monotonic() - begun
        if answer.status != 200:
            time.sleep(0.1)
    return None
