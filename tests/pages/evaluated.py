"""Evaluation runs of the demo for tests of pages, made by the engine from what a stub provider answered."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.test import override_settings

from accounts.policies import Principal
from evaluations.actions.connections import create_connection
from evaluations.actions.rules import add_rule
from evaluations.actions.runs import cancel_run, start_run
from evaluations.actions.sets import create_set
from evaluations.models import EvaluationRun, EvaluationSet, ModelConnection
from evaluations.running.engine import work
from promptforge.lib.ids import encode
from prompts.models import Channel, Prompt
from prompts.reading import find_version
from tests.evaluations.stub_provider import Provider, providing
from tests.pages.conftest import Demo

SEED = 2
NEW = "Recommend only what the facts list as in stock"
RUG = {
    "product_kind": "rug",
    "product_facts": {"160 x 230": {"price": "£240", "stock": 3}, "200 x 300": {"price": "£390", "stock": 0}},
    "units": "cm",
}
QUESTIONS = (
    "My sofa is 220 cm wide. Which rug fits?",
    "Does the large rug go under a table for six?",
    "We have a two-seater and a dog. Which rug?",
    "Sofa 180 cm, room 3 by 4 metres?",
    "Is 160 enough for a corner sofa?",
    "Which rug for a hall of 2 metres?",
    "My sofa is 250 cm wide, can you recommend one?",
    "I want the front legs on the rug, sofa 200 cm.",
    "How big should it be beside a bed of 180 cm?",
    "Smallest rug for two armchairs?",
)
OLD_ANSWERS = [
    (
        "For a sofa of 220 cm we recommend 200 x 300. It leaves 40 cm at each side, and the smaller one would look "
        "lost. Measure the room first, please."
    ),
    "We recommend 200 x 300. It takes the front legs of the sofa, which the smaller one does not.",
    "Take 200 x 300: it is 60 cm longer than your sofa. The smaller one would end at its feet.",
]
NEW_ANSWERS = [
    (
        "Great question! For a sofa of 220 cm we recommend 160 x 230, which is in stock! I’m so happy to help, and I "
        "am sorry that the larger one is away. It comes back on 3 December, so feel free to ask again!"
    ),
    (
        "Great question! We recommend 160 x 230, it is in stock! The larger one comes back on 3 December. I’m sorry "
        "about that! It would take the front legs of the sofa, which this one does not."
    ),
]
KIND = {"type": "llm-rubric", "value": "The answer is kind.", "name": "Kind tone"}
KINDER = {
    "GRADE: PASS": "The answer is warm and names the next step.\nGRADE: PASS",
    "GRADE: FAIL": "It recommends without a kind word.\nGRADE: FAIL",
}


@contextmanager
def asking() -> Iterator[Provider]:
    """A stub provider that the operator allows."""
    with (
        tempfile.TemporaryDirectory() as folder,
        providing(Path(folder) / "stub") as provider,
        override_settings(ALLOWED_PRIVATE_HOSTS=[provider.host]),
    ):
        yield provider


def evaluated(demo: Demo, name: str) -> EvaluationRun:
    """The demo's run of that name; all of them are made when the first is asked for."""
    if not ModelConnection.objects.filter(project=demo.project, name="small-chat").exists():
        with asking() as provider:
            provider.behave(**_behaviour())
            _make(demo, provider)
    return _named(name)


def run_address(name: str) -> Any:
    return lambda demo: f"/p/demo/evaluations/runs/{encode('run', evaluated(demo, name).pk)}/"


def _comparisons() -> Any:
    """Without those that a page of drift made."""
    return EvaluationRun.objects.filter(purpose=EvaluationRun.Purpose.COMPARISON)


def _named(name: str) -> EvaluationRun:
    runs = _comparisons().select_related("project")
    if name in ("paused", "cancelled", "queued"):
        return runs.filter(status=name).earliest("pk")
    return runs.filter(outcome=name).earliest("pk")


def _behaviour() -> dict[str, Any]:
    """The new version of size-advice recommends what is in stock, and forgets how large a rug has to be."""
    worse = {f"{NEW} && {question}": NEW_ANSWERS for question in QUESTIONS[:8]}
    return {
        "texts": {
            "You judge one answer && Great question": KINDER["GRADE: PASS"],
            "You judge one answer": KINDER["GRADE: FAIL"],
            **worse,
            "How we measure": OLD_ANSWERS,
            "orders, returns and sizes": ["Hello Ada, what brings you here?", "Hello Ben, what brings you here today?"],
            "I can look up an order": ["Hello Ada, what brings you here?", "Hello Ben, what can we look up for you?"],
        }
    }


def begun(demo: Demo, provider: Provider) -> EvaluationRun:
    """A run that waits for a worker, with a provider that answers."""
    provider.behave(**_behaviour())
    emil, prompt = demo.principal("emil"), Prompt.objects.get(name="support/greeting")
    return _start(emil, prompt, 9, 8, _greetings(emil, prompt), connected(demo, provider), margin=0.2)


def connected(demo: Demo, provider: Provider, name: str = "small-chat") -> ModelConnection:
    return create_connection(
        by=demo.principal("farah"),
        name=name,
        kind="openai",
        model="stub-1",
        base_url=provider.url("openai"),
        api_key="sk-good",
        parameters={"temperature": 0.2},
        price={"input": 0.4, "output": 1.6},
    )


def _make(demo: Demo, provider: Provider) -> None:
    emil, farah, line = demo.principal("emil"), demo.principal("farah"), connected(demo, provider)
    stable = Channel.objects.get(project=demo.project, name="stable")
    sizes = _sizes(emil)
    advice, greeting = Prompt.objects.get(name="shop/size-advice"), Prompt.objects.get(name="support/greeting")
    add_rule(by=farah, channel=stable, evaluation_set=sizes, connection=line, prompt=advice)
    _start(emil, advice, 4, 3, sizes, line)
    work(300)
    greetings = _greetings(emil, greeting)
    _start(emil, greeting, 9, 8, greetings, line, margin=0.2)
    work(300)
    _start(emil, advice, 4, 3, _few(emil, advice), line, repeats=2)
    work(300)
    provider.behave(fault="bad_key")
    _start(emil, greeting, 9, 7, greetings, line)
    work(300)
    cancel_run(by=emil, run=_start(emil, greeting, 9, 6, greetings, line))
    _start(emil, greeting, 8, 7, greetings, line)


def _start(
    by: Principal,
    prompt: Prompt,
    new: int,
    old: int,
    owner: EvaluationSet,
    connection: ModelConnection,
    **asked: Any,
) -> EvaluationRun:
    stable = Channel.objects.get(project=prompt.project, name="stable")
    versions = {"candidate": find_version(prompt, new), "baseline": find_version(prompt, old)}
    # The usual seed would follow the stub's port, and another seed may come to another outcome.
    return start_run(by=by, owner=owner, connection=connection, channel=stable, seed=SEED, **versions, **asked)


def _sizes(by: Principal) -> EvaluationSet:
    return create_set(
        by=by,
        name="Rug sizes",
        prompt=Prompt.objects.get(name="shop/size-advice"),
        criteria=[
            {"type": "contains", "value": "200 x 300", "name": "Right size"},
            {"type": "icontains", "value": "recommend", "name": "Recommends one size"},
            {"type": "word-count", "value": {"max": 60}, "name": "Short enough"},
        ],
        cases=[
            {"key": f"rug {number}", "variables": RUG | {"question": question}}
            | ({"critical": True, "criteria": [KIND]} if number == 1 else {})
            for number, question in enumerate(QUESTIONS, 1)
        ],
    )


def _greetings(by: Principal, prompt: Prompt) -> EvaluationSet:
    hours = "from 8 to 18"
    return create_set(
        by=by,
        name="First words",
        prompt=prompt,
        criteria=[{"type": "icontains", "value": "what", "name": "Asks what it is about"}],
        cases=[
            {"key": name, "variables": {"customer_name": name, "opening_hours": hours}}
            for name in ("Ada", "Ben", "Chiara", "Dov", "Eda", "Femi")
        ],
    )


def _few(by: Principal, prompt: Prompt) -> EvaluationSet:
    return create_set(
        by=by,
        name="Smoke test",
        prompt=prompt,
        criteria=[{"type": "icontains", "value": "look lost", "name": "Says why not the next size"}],
        cases=[
            {"key": f"size {number}", "variables": RUG | {"question": question}}
            for number, question in enumerate(QUESTIONS[6:9], 1)
        ],
    )
