"""Fetches: PromptForge, the bare server, the plain DRF view and peers, in turn, at several concurrencies.

Each repeat visits every concurrency, and at each of them every variant for one burst; the order is rotated, so that
nobody always comes first or always after the same neighbour. Ratios are taken within a repeat.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from bench.generator import Step, reference, request
from bench.measuring import Contestant, Stage
from bench.ours import VARIABLES, Ours, path_of, plain_names, rendered_names

FETCH, UNCHANGED, UNRENDERED, RENDERED = "fetch", "fetch, 304", "fetch of 15 variables", "render of 15 variables"
VALUES = {name: f"value {number} of a customer" for number, name in enumerate(VARIABLES)}


@dataclass(frozen=True)
class Variant:
    """One thing to fetch from one server; `other` is None for PromptForge."""

    scenario: str
    steps: Sequence[Step]
    other: Contestant | None = None


def run(stage: Stage) -> None:
    """Measure all variants."""
    variants = [
        Variant(FETCH, plain(stage.ours)),
        *(Variant(FETCH, other.steps(), other) for other in stage.others),
        Variant(UNCHANGED, _unchanged(stage.ours)),
        Variant(UNRENDERED, _rendered(stage.ours, "")),
        Variant(RENDERED, _rendered(stage.ours, urlencode(VALUES))),
    ]
    size = stage.size
    for variant in variants:  # warm up
        port = variant.other.port if variant.other else None
        stage.load(variant.steps, port=port, connections=max(size.connections), seconds=size.seconds / 3).figures()
    turn = 0
    for repeat in range(size.repeats):
        for connections in size.connections:
            first = turn % len(variants)
            turn += 1
            for variant in variants[first:] + variants[:first]:
                stage.burst(
                    variant.scenario,
                    variant.steps,
                    other=variant.other,
                    repeat=repeat,
                    connections=connections,
                    seconds=size.seconds,
                )


def plain(ours: Ours) -> list[Step]:
    """A fetch of each plain prompt."""
    return reference(ours.port, ours.headers, {path_of(name): f"{name}: " for name in plain_names()})


def _unchanged(ours: Ours) -> list[Step]:
    """The same fetches by a caller who has the bytes already."""
    client = ours.client()
    tags = {path: client.call("GET", path).headers["etag"] for path in map(path_of, plain_names())}
    for path, tag in tags.items():
        if client.call("GET", path, **{"If-None-Match": tag}).status != 304:
            raise RuntimeError(f"{path} is sent again to a caller who has it.")
    return [
        Step(request("GET", path, ours.headers | {"If-None-Match": tag}), 304, "same") for path, tag in tags.items()
    ]


def _rendered(ours: Ours, query: str) -> list[Step]:
    marker = "value 14 of a customer" if query else "{{variable_14}}"
    return reference(ours.port, ours.headers, {path_of(name, query): marker for name in rendered_names()})
