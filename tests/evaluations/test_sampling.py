"""What of a version's config its calls are made with: through the three formats, and in runs to their end."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from evaluations import sampling
from evaluations.actions.runs import resume_run
from evaluations.estimating import estimate_run
from evaluations.formats.results import write_comment, write_junit
from evaluations.models import Cell, EvaluationRun
from evaluations.providers import Connection, Kind
from evaluations.providers.calling import ADAPTERS
from evaluations.reporting import report_of
from evaluations.run_shapes import run_shape
from evaluations.sampling import MOST_NAMED, Sampling, left_told, parameters_of, sampling_of
from promptforge.lib.ids import encode
from prompts.actions.versions import save_version
from tests.evaluations.running import HELLO, Bench, finished, make_bench
from tests.evaluations.stub_provider import Provider
from tests.evaluations.watched import Watched
from tests.personas import Team

NOTHING = "the verdict says nothing about that."
ONE_LOOK = {"repeats": 5, "margin": 0.3}
WHOLE = {
    "temperature": 0.5, "top_p": 1, "top_k": 40, "max_tokens": 7, "stop": ["END"], "frequency_penalty": -1,
    "presence_penalty": 2, "response_format": {"type": "json_object"},
}  # fmt: skip


def settled(config: dict[str, Any], kind: Kind = Kind.OPENAI, model: str = "gpt-4o") -> Sampling:
    return sampling_of(config, kind=kind, model=model)


def said(found: Sampling) -> str:
    return " ".join(left_told(left, "its config") for left in found.left)


# --- One config ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "left", "body"),
    [
        (
            Kind.OPENAI,
            {"top_k"},
            {"temperature": 0.5, "top_p": 1, "max_tokens": 7, "stop": ["END"], "frequency_penalty": -1,
             "presence_penalty": 2, "response_format": {"type": "json_object"}},
        ),
        (
            Kind.ANTHROPIC,
            {"frequency_penalty", "presence_penalty", "response_format"},
            {"temperature": 0.5, "top_p": 1, "top_k": 40, "max_tokens": 7, "stop_sequences": ["END"]},
        ),
        (
            Kind.GEMINI,
            {"response_format"},
            {"temperature": 0.5, "topP": 1, "topK": 40, "maxOutputTokens": 7, "stopSequences": ["END"],
             "frequencyPenalty": -1, "presencePenalty": 2},
        ),
        (Kind.LOCAL, set(), WHOLE),
    ],
)  # fmt: skip
def test_each_format_sends_what_its_kind_has_and_the_rest_is_told(
    kind: Kind, left: set[str], body: dict[str, Any]
) -> None:
    found = settled(WHOLE, kind)
    assert {name for each in found.left for name in each.names} == left
    # What the connection says in the provider's own words gives way as well.
    own = {"temperature": 0, "topP": 0, "topK": 1, "stop_sequences": ["x"], "stopSequences": ["x"],
           "maxOutputTokens": 1, "frequencyPenalty": 0, "presencePenalty": 0}  # fmt: skip
    connection = Connection(kind, "http://h/v1", "m", parameters=parameters_of(found.applied, own))
    sent = ADAPTERS[kind].ask(connection, [], None).body
    sent = sent.get("generationConfig", sent)
    got = {name: value for name, value in sent.items() if name in body}
    assert got == body
    assert ["x"] not in sent.values()


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"temperature": "hot"}, "temperature of its config is not applied: it is a number from 0 to 2, not hot."),
        ({"temperature": 2.01}, "not 2.01"),
        ({"temperature": True}, "not true"),
        ({"temperature": -1}, "from 0 to 2"),
        ({"top_p": 1.5}, "from 0 to 1"),
        ({"max_tokens": 0}, "a whole number from 1 to 1,000,000, not 0"),
        ({"max_tokens": 1.5}, "whole number"),
        ({"max_tokens": 10**40}, "1,000,000"),
        ({"stop": []}, "a text or up to 16"),
        ({"stop": ["a", ""]}, "a text or up to 16"),
        ({"stop": ["a"] * 17}, "a text or up to 16"),
        ({"stop": {"a": 1}}, "a text or up to 16"),
        ({"frequency_penalty": 3}, "from -2 to 2"),
        ({"response_format": "json"}, "an object whose type"),
        ({"top_k": 5}, "connections of the kind openai have no such parameter"),
        ({"seed": 7}, "each call has a seed of its own"),
        ({"model": "gpt-4o-mini"}, "it is gpt-4o-mini, and the connection asks gpt-4o"),
        ({"model": 4}, "it is 4, and the connection asks gpt-4o"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens stands beside it"),
        ({"tools": [], "locale": "en"}, "tools and locale of its config are not applied: evaluations apply no such"),
        ({f"n{i}": 1 for i in range(9)}, "n0, n1, n2, n3, n4 and 4 more of its config are not applied"),
    ],
)
def test_what_is_not_applied_is_told_with_its_reason(config: dict[str, Any], why: str) -> None:
    found = settled(config)
    assert why in said(found)
    assert set(found.applied) <= {"max_tokens"}
    assert all(len(left.names) <= MOST_NAMED for left in found.left)


def test_what_says_nothing_leaves_nothing_and_a_limit_has_one_name() -> None:
    assert settled({"temperature": None, "model": "openai/gpt-4o", "stop": None}) == Sampling({})
    # A dated build of the model that the config names is that model; an undated one may be another build.
    assert settled({"model": "gpt-4o"}, model="gpt-4o-2024-08-06").left == ()
    assert settled({"model": "gpt-4o-2024-08-06"}).left
    assert settled({"max_completion_tokens": 9}).applied == {"max_tokens": 9}
    assert settled({"temperature": 1.5}, Kind.ANTHROPIC).applied == {}
    assert parameters_of({"max_tokens": 9}, {"max_completion_tokens": 5}) == {"max_completion_tokens": 9}
    assert parameters_of({"max_tokens": 9}, {"max_tokens": 5, "max_completion_tokens": 5}) == {
        "max_completion_tokens": 9
    }
    assert parameters_of({}, {"max_tokens": 5, "topP": 1}) == {"max_tokens": 5, "topP": 1}
    long = settled({"x" * 5000: 1, "temperature": "y" * 5000})
    assert len(said(long)) < 400


# --- In runs ---------------------------------------------------------------------------------------------------------
type Configured = Callable[..., Bench]
RUBRIC = [*HELLO, {"type": "llm-rubric", "value": "The answer greets", "name": "greets"}]


@pytest.fixture
def configured(team: Team, provider: Provider) -> Configured:
    """Versions 3 and 4 of one text: `old` and `new` are their configs."""

    def make(old: dict[str, Any], new: dict[str, Any], **fields: Any) -> Bench:
        bench = make_bench(team, provider, **fields)
        for config in (old, new):
            save_version(
                by=team.ada, prompt=bench.prompt, content="Text for {{customer_name}}", message="m", config=config
            )
        return bench

    provider.behave(texts={"Does the answer fulfil": "GRADE: PASS", "Text": "Hello Ada!"})
    return make


def start(bench: Bench, candidate: int = 4, **fields: Any) -> EvaluationRun:
    versions = {
        "candidate": bench.team.version(bench.prompt, candidate),
        "baseline": bench.team.version(bench.prompt, 3),
    }
    return bench.start(**versions | ONE_LOOK | fields)


def bodies(provider: Provider, temperature: float | None) -> list[dict[str, Any]]:
    """The bodies of the calls that were no judge's, with this temperature."""
    asked = [call["body"] for call in provider.calls() if "fulfil" not in call["messages"][-1]["content"]]
    return [body for body in asked if body.get("temperature") == temperature]


def test_each_arm_is_asked_with_its_own_config_and_the_judge_with_its_connection_s(
    configured: Configured, provider: Provider, team: Team, client: Client
) -> None:
    bench = configured(
        {"temperature": 0, "show_after_ms": 800},
        {"temperature": 1, "max_tokens": 7, "top_k": 3, "model": "stub-9", "show_after_ms": 900},
        criteria=RUBRIC, parameters='{"max_tokens":300,"temperature":0.5}',
    )  # fmt: skip
    run = finished(start(bench))
    assert run.outcome == "PASS", run.verdict
    new, old = bodies(provider, 1), bodies(provider, 0)
    assert len(new) == len(old) == Cell.objects.filter(run=run).count() / 2 == 15
    assert {(body["max_tokens"], body["model"], "top_k" in body) for body in new} == {(7, "stub-1", False)}
    assert {body["max_tokens"] for body in old} == {300}
    judged = [call["body"] for call in provider.calls() if "fulfil" in call["messages"][-1]["content"]]
    assert {(body["temperature"], body["max_tokens"]) for body in judged} == {(0.5, 300)}
    assert not bodies(provider, 0.5)

    shape = run_shape(run)
    assert shape["parameters"] == {
        "candidate": {"max_tokens": 7, "temperature": 1},
        "baseline": {"max_tokens": 300, "temperature": 0},
    }
    notes = [
        "Version 4 was asked with max_tokens 7, temperature 1; version 3 with max_tokens 300, temperature 0.",
        "top_k of version 4's config is not applied: connections of the kind openai have no such parameter.",
        "model of version 4's config is not applied: it is stub-9, and the connection asks stub-1.",
        "show_after_ms of both versions' configs is not applied: evaluations apply no such parameter.",
        "The versions' configs differ in top_k, model, show_after_ms, which was not applied: " + NOTHING,
    ]
    assert shape["notes"] == notes
    report = report_of(run)
    assert "differ in top\\_k, model, show\\_after\\_ms" in write_comment(report)
    assert notes[0] in write_junit(report).replace("&#x27;", "'")

    client.force_login(team.ada.user)
    page = client.get(f"/p/{team.project.name}/evaluations/runs/{encode('run', run.pk)}/").content.decode()
    for sentence in (
        "version 4: max_tokens 7, temperature 1; version 3: max_tokens 300, temperature 0",
        "The versions&#x27; configs differ in top_k, model, show_after_ms",
        "it is stub-9, and the connection asks stub-1",
    ):
        assert sentence in page


def test_another_config_is_never_answered_from_what_this_one_was(configured: Configured, provider: Provider) -> None:
    bench = configured({}, {"temperature": 1})
    first = finished(start(bench))
    paid = len(provider.calls())
    assert finished(start(bench)).calls == 0
    save_version(
        by=bench.team.ada, prompt=bench.prompt, content="Text for {{customer_name}}", message="m",
        config={"temperature": 0.9},
    )  # fmt: skip
    other = finished(start(bench, candidate=5))
    # The live version's answers serve again; the candidate's are asked, though text, set, seed and model are the same.
    assert other.seed == first.seed
    assert (other.calls, len(provider.calls())) == (15, paid + 15)
    assert len(bodies(provider, 0.9)) == 15
    assert set(Cell.objects.filter(run=other, arm="baseline").values_list("cached", flat=True)) == {True}


def test_a_config_that_allows_long_answers_is_reserved_at_their_price(
    configured: Configured, provider: Provider, team: Team
) -> None:
    bench = configured({}, {"max_tokens": 500_000}, price='{"input":0,"output":1}', parameters='{"max_tokens":10}')
    asked = {
        "by": team.ada, "candidate": team.version(bench.prompt, 4), "owner": bench.owner,
        "connection": bench.connection, "repeats": 5, "margin": 0.3,
    }  # fmt: skip
    alone = estimate_run(**asked, baseline=None)
    assert alone["least_cost_usd"] == pytest.approx(0.5 * alone["least_calls"])
    run = finished(start(bench, max_cost_usd=Decimal("0.4")))
    assert run.status == "paused"
    assert "could cost more than what is left" in run.pause_reason
    assert {body["max_tokens"] for body in bodies(provider, None)} <= {10}, "no call of the candidate was made"
    assert (
        finished(start(bench, candidate=3, baseline=None, channel=None, max_cost_usd=Decimal("0.4"))).status == "done"
    )


def test_what_applied_at_the_start_applies_until_the_end(
    configured: Configured, provider: Provider, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with another release of PromptForge, which knows fewer names: the run was agreed on with this one."""
    bench = configured({}, {"temperature": 1}, max_concurrency=2)
    run = start(bench)
    provider.behave(text="Hello Ada!", fault="bad_key", first=1)
    assert finished(run).status == "paused"
    monkeypatch.delitem(sampling.RULES, "temperature")  # type: ignore[arg-type]
    provider.behave(text="Hello Ada!")
    resume_run(by=team.ada, run=run)
    assert finished(run).outcome == "PASS"
    assert len({body["seed"] for body in bodies(provider, 1)}) == 15
    assert json.loads(run.plan)["sampling"]["candidate"] == {"applied": {"temperature": 1}, "left": []}


def test_a_reference_is_of_a_version_with_its_config_and_other_parameters_are_no_drift(
    team: Team, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.behave(texts={"Text": ["Hello Ada!", "Hello, Ada."]})
    bench = make_bench(team, provider, cases=4)
    save_version(
        by=team.ada, prompt=bench.prompt, content="Text for {{customer_name}}", message="m", config={"temperature": 1}
    )
    watched = Watched(bench, live=3)
    watched.night()
    assert watched.levels() == []
    assert len(bodies(provider, 1)) == len(provider.calls()) == 40 + 12
    monkeypatch.delitem(sampling.RULES, "temperature")  # type: ignore[arg-type]
    provider.behave(text="Bonjour Ada!")
    watched.night()
    watched.night()
    assert watched.levels() == ["notice"]
    assert "parameters were changed" in watched.said
