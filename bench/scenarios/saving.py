"""Saving versions: how many a second, and fifty people at once."""

import json

from bench.generator import BLANK, Step, request
from bench.measuring import Stage
from bench.ours import FILLER, Ours, plain_names

AT_ONCE = 50


def run(stage: Stage) -> None:
    """One saver, eight savers, and fifty at the same moment."""
    steps = saves(stage.ours)
    stage.load(steps, connections=1, seconds=stage.size.seconds / 3).figures()  # warm up
    for repeat in range(stage.size.repeats):
        for connections in (1, 8):
            stage.burst("save a version", steps, repeat=repeat, connections=connections, seconds=stage.size.seconds)
        stage.burst(f"{AT_ONCE} saves at once", steps, repeat=repeat, connections=AT_ONCE, requests=AT_ONCE)


def saves(ours: Ours) -> list[Step]:
    """A new text for each plain prompt, another one each time."""
    return [
        Step(request("POST", "/api/v1/versions", ours.headers, _body(name)), 201, "contains", b'"number":')
        for name in plain_names()
    ]


def _body(name: str) -> bytes:
    return json.dumps({"prompt": name, "content": f"{BLANK} {FILLER * 15}", "message": "measuring"}).encode()
