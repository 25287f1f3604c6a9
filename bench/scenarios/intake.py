"""Taking in observations: batches of 100, single rows, and what fetches feel of it.

Every row is new (its id is counted up), quotes the receipt of a real fetch, and carries about 1 KB.
"""

import json

from bench.generator import BLANK, Step, request
from bench.measuring import Stage
from bench.ours import path_of, plain_names
from bench.scenarios.fetching import plain

ADDRESS = "/api/v1/observations"
BATCH = 100
READS = 300  # a second, beside the intake
ROWS_BESIDE = 15_000  # a second, beside the reads


def run(stage: Stage) -> None:
    """Measure how much goes in, and then fetches without and with intake beside them."""
    if not _is_there(stage):
        stage.not_there(f"observations, batches of {BATCH}")
        stage.not_there("observations, one by one")
        return
    size = stage.size
    batches, singles = _steps(stage, BATCH), _steps(stage, 1)
    for repeat in range(size.repeats):
        for name, steps, rows, connections in (
            (f"observations, batches of {BATCH}", batches, BATCH, 4),
            ("observations, one by one", singles, 1, 64),
        ):
            row = stage.burst(name, steps, repeat=repeat, connections=connections, seconds=size.seconds)
            row["rows_per_second"] = row["per_second"] * rows
        _beside(stage, batches, repeat)


def _beside(stage: Stage, batches: list[Step], repeat: int) -> None:
    reads = plain(stage.ours)
    stage.burst(
        f"{READS} reads/s alone", reads, repeat=repeat, connections=32, rate=READS, seconds=stage.size.seconds * 2
    )
    intake = stage.load(batches, connections=8, rate=ROWS_BESIDE / BATCH, seconds=stage.size.seconds * 2)
    name = f"{READS} reads/s beside {ROWS_BESIDE} rows/s"
    row = stage.burst(name, reads, repeat=repeat, connections=32, rate=READS, seconds=stage.size.seconds * 2)
    figures = intake.figures()
    row["rows_per_second"] = figures["per_second"] * BATCH
    row["errors"] += figures["errors"]
    row["wrong"] += figures["wrong"]


def _is_there(stage: Stage) -> bool:
    return stage.ours.client().call("GET", ADDRESS).status != 404


def _steps(stage: Stage, rows: int) -> list[Step]:
    """A call for each plain prompt; all answers are the same: every row accepted."""
    client = stage.ours.client()
    steps = []
    for name in plain_names():
        receipt = client.expect(200, "GET", path_of(name))["receipt"]
        body = json.dumps({"observations": [_row(receipt) for _ in range(rows)]}).encode()
        expected = b'"accepted":%d' % rows
        steps.append(Step(request("POST", ADDRESS, stage.ours.headers, body), 202, "contains", expected))
    return steps


def _row(receipt: str) -> dict[str, object]:
    return {
        "id": f"00000000-0000-4000-8000-{BLANK}",
        "receipt": receipt,
        "user": f"u-{BLANK}",
        "trace_id": f"t-{BLANK}",
        "variables": {"customer_name": "Ada", "order": "A-1001"},
        "input": "Where is my parcel? It should have come on Monday. " * 4,
        "output": "It left our hall on Tuesday and will reach you tomorrow before noon. " * 6,
        "model": "gpt-5",
        "provider": "openai",
        "latency_ms": 812,
        "input_tokens": 420,
        "output_tokens": 96,
        "cost_usd": 0.0021,
        "finish_reason": "stop",
    }
