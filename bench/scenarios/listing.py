"""Lists of prompts: the page that a person's tool reads, and the document that a client loads when it starts."""

from bench.generator import reference
from bench.measuring import Stage

LISTS = {"list of 50 prompts": "/api/v1/prompts?limit=50", "document of 41 prompts": "/api/v1/prompts?_version=stable"}


def run(stage: Stage) -> None:
    """Each list, by one caller and by eight."""
    for name, path in LISTS.items():
        steps = reference(stage.ours.port, stage.ours.headers, {path: '"plain/00"'})
        for repeat in range(stage.size.repeats):
            for connections in (1, 8):
                stage.burst(name, steps, repeat=repeat, connections=connections, seconds=stage.size.seconds)
