"""Trying a draft: who may, what both sides are asked, what it may cost, and everything that can go wrong on the way."""

import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from accounts.policies import Principal
from evaluations.actions.connections import remove_connection
from evaluations.actions.trials import forget_old_trials, try_draft
from evaluations.models import (
    Budget,
    Cell,
    ConnectionRate,
    DaySpending,
    ModelConnection,
    Trial,
    TrialAnswer,
)
from evaluations.models.trials import LONGEST_WAIT
from evaluations.running import stopping
from evaluations.running.engine import work
from evaluations.tasks import work as task
from evaluations.trying import own_trial
from events.models import Event, RestoreFence
from promptforge.lib.errors import DomainError
from prompts.actions.drafts import keep_draft, throw_away
from prompts.models import Draft
from prompts.reading import find_version
from tests.api.conftest import release
from tests.evaluations.running import Bench, make_bench
from tests.evaluations.stub_provider import Provider
from tests.personas import Team, make_team

PRICED = '{"input":1,"output":2}'
NAME = {"name": "customer_name", "type": "string", "required": True, "default": None, "max_length": None, "enum": None,
        "description": ""}  # fmt: skip


@pytest.fixture
def bench(team: Team, provider: Provider) -> Bench:
    """Version 2 is the newest, and version 1 is live."""
    made = make_bench(team, provider, price=PRICED, parameters='{"max_tokens":100,"temperature":0.5}')
    release(team, made.prompt, 1)
    provider.behave(texts={"Draft for": "Hello from the draft, Ada", "Text 1 for": "Hello from version one"})
    return made


def drafted(bench: Bench, by: Principal | None = None) -> Draft:
    by = by or bench.team.ada
    columns = {"source": "Draft for {{customer_name}}", "variables": "[]", "config": "", "message": ""}
    newest = find_version(bench.prompt, None)
    return keep_draft(by=by, prompt=bench.prompt, columns=columns, base=newest, seen=None)


def attempt(bench: Bench, draft: Draft, **fields: Any) -> Trial:
    asked: dict[str, Any] = {
        "by": bench.team.ada,
        "draft": draft,
        "content": "Draft for {{customer_name}}",
        "variables": [NAME],
        "config": {},
        "values": {"customer_name": "Ada"},
        "connection": bench.connection,
    }
    return try_draft(**asked | fields)


def told(bench: Bench) -> dict[str, TrialAnswer]:
    return {answer.side: answer for answer in TrialAnswer.objects.filter(trial__draft__prompt=bench.prompt)}


def spent(bench: Bench) -> tuple[int, Decimal]:
    day = DaySpending.objects.filter(project=bench.team.project).first()
    return (day.calls, day.usd) if day else (0, Decimal(0))


def test_both_sides_are_asked_with_the_same_values_and_paid(bench: Bench, provider: Provider) -> None:
    events = Event.objects.count()
    attempt(bench, drafted(bench))
    assert provider.calls() == []  # nobody who serves pages asks a model
    task()
    answers = told(bench)
    assert {side: answer.output for side, answer in answers.items()} == {
        "live": "Hello from version one", "draft": "Hello from the draft, Ada",
    }  # fmt: skip
    asked = {call["messages"][0]["content"]: call for call in provider.calls()}
    assert set(asked) == {"Text 1 for Ada", "Draft for Ada"}
    assert all(call["body"]["temperature"] == 0.5 and call["body"]["max_tokens"] == 100 for call in asked.values())
    assert len({call["seed"] for call in asked.values()}) == 2
    # 3 tokens of the draft's question and 5 of its answer, 4 and 4 of the other: at a millionth and two.
    assert answers["draft"].cost_usd == Decimal("0.000013")
    assert spent(bench) == (2, Decimal("0.000025"))
    assert all(answer.leased_until is None and answer.latency_ms is not None for answer in answers.values())
    assert Event.objects.count() == events  # a draft is nobody else's business
    # Once asked is asked: a second worker, a doubled message and a sweep find nothing.
    task()
    work(100)
    assert len(provider.calls()) == 2


def test_each_side_is_asked_with_its_own_config(bench: Bench, provider: Provider) -> None:
    config = {"temperature": 1, "model": "other", "tools": []}
    attempt(bench, drafted(bench), config=config)
    work(100)
    asked = {call["messages"][0]["content"]: call["body"] for call in provider.calls()}
    assert {text: body["temperature"] for text, body in asked.items()} == {"Text 1 for Ada": 0.5, "Draft for Ada": 1}
    assert all(body["model"] == "stub-1" and "tools" not in body for body in asked.values())


def test_who_may_and_what_is_refused_before_anything_is_asked(bench: Bench, provider: Provider) -> None:
    team, draft = bench.team, drafted(bench)
    elsewhere = ModelConnection.objects.create(
        project=make_team("rival", preset="solo").project,
        name="theirs",
        kind="openai",
        model="m",
        base_url=provider.url("openai"),
    )
    theirs = drafted(bench, team.emil)
    refused: tuple[tuple[str, str, Callable[[], Any]], ...] = (
        ("forbidden", "does not let you", lambda: attempt(bench, draft, by=team.noor)),
        ("forbidden", "does not let you", lambda: attempt(bench, draft, by=team.ben)),
        ("not_found", "no such draft", lambda: attempt(bench, theirs)),
        ("bad_value", "does not stand in this project", lambda: attempt(bench, draft, connection=elsewhere)),
        ("missing_variable", "The draft: Required and not given: customer_name",
         lambda: attempt(bench, draft, values={})),
        ("missing_variable", "Version 1: Required and not given: customer_name",
         lambda: attempt(bench, draft, content="Hi", variables=[], values={})),
        ("bad_variable", "age cannot be read as integer",
         lambda: attempt(bench, draft, content="{{age}}", variables=[NAME | {"name": "age", "type": "integer"}],
                         values={"age": "old", "customer_name": "Ada"})),
        ("missing_variable", "no text to ask", lambda: attempt(bench, draft, content=" ", variables=[])),
    )  # fmt: skip
    for code, sentence, act in refused:
        with pytest.raises(DomainError) as caught:
            act()
        assert caught.value.code == code, caught.value
        assert sentence in caught.value.detail
    remove_connection(by=team.farah, connection=bench.connection)
    bench.connection.refresh_from_db()
    with pytest.raises(DomainError, match="does not stand"):
        attempt(bench, draft)
    assert not Trial.objects.exists()
    work(100)
    assert provider.calls() == []


@pytest.mark.parametrize("kind", ["anthropic", "gemini"])
def test_what_a_tool_said_is_not_passed_off_as_something_else(bench: Bench, provider: Provider, kind: str) -> None:
    draft = drafted(bench)
    content = [{"role": "user", "content": "Hi {{customer_name}}"}, {"role": "tool", "content": "42"}]
    theirs = ModelConnection.objects.create(
        project=bench.team.project, name=kind, kind=kind, model="m", base_url=provider.url(kind)
    )
    with pytest.raises(DomainError, match="The draft holds a message of the role tool") as refused:
        attempt(bench, draft, content=content, connection=theirs)
    assert [fault.pointer for fault in refused.value.faults] == ["/connection"]
    attempt(bench, draft, content=content)  # an OpenAI-compatible server says itself what it takes


def test_a_try_is_seen_by_its_person_alone_and_goes_with_the_draft(bench: Bench) -> None:
    team, draft = bench.team, drafted(bench)
    attempt(bench, draft)
    assert own_trial(team.ada, bench.prompt) is not None
    for other in (team.emil, team.ben, team.farah):
        assert own_trial(other, bench.prompt) is None
    drafted(bench, team.emil)
    assert own_trial(team.emil, bench.prompt) is None
    Trial.objects.update(at=timezone.now() - timedelta(hours=23))
    assert forget_old_trials() == 0
    Trial.objects.update(at=timezone.now() - timedelta(hours=25))
    assert own_trial(team.ada, bench.prompt) is None  # not even while it waits to be swept
    assert forget_old_trials() == 3
    attempt(bench, draft)
    throw_away(by=team.ada, prompt=bench.prompt)
    assert not TrialAnswer.objects.exists()


def test_ceilings_hold_and_are_told(bench: Bench, provider: Provider) -> None:
    draft, budget = drafted(bench), Budget.objects.create(project=bench.team.project, calls_per_day=1)
    attempt(bench, draft)
    work(100)
    assert len(provider.calls()) == 1
    failed = [answer for answer in told(bench).values() if answer.error]
    assert [answer.error for answer in failed] == ["day_calls"]
    assert "1 calls of today are made" in failed[0].error_detail
    budget.calls_per_day, budget.usd_per_day = None, Decimal("0.000030")
    budget.save()
    attempt(bench, draft)
    work(100)
    assert {answer.error for answer in told(bench).values()} == {"day_usd"}
    # What nobody can price is not called where dollars are counted; without such a ceiling its price is unknown.
    ModelConnection.objects.filter(pk=bench.connection.pk).update(price="null")
    bench.connection.refresh_from_db()
    attempt(bench, draft)
    work(100)
    assert {answer.error for answer in told(bench).values()} == {"price"}
    assert len(provider.calls()) == 1
    budget.usd_per_day = None
    budget.save()
    attempt(bench, draft)
    work(100)
    assert [(answer.error, answer.cost_usd) for answer in told(bench).values()] == [("", None)] * 2


FAULTS = {
    "bad_key": ("bad_key", "The provider refuses the key (401).", False),
    "server_error": ("server_error", "The provider is in trouble (500).", False),
    "rate_limited": ("rate_limited", "The provider allows no more calls now (429).", False),
    "wrong_model": ("wrong_model", "'another-family-9' answered", True),
    "content_filter": ("bad_answer", "content filter", True),
}


def test_failures_are_told_in_words_and_the_key_nowhere(bench: Bench, provider: Provider) -> None:
    draft, made = drafted(bench), 0
    for fault, (kind, sentence, charged) in FAULTS.items():
        provider.behave(fault=fault, retry_after=30)
        before = spent(bench)[1]
        ConnectionRate.objects.update(resumes_at=None)
        attempt(bench, draft)
        work(100)
        answers = told(bench).values()
        made += 2
        assert {answer.error for answer in answers} == {kind}, fault
        assert all(sentence in answer.error_detail for answer in answers), fault
        assert (spent(bench)[1] > before) == charged, fault
        assert all("sk-good" not in f"{answer.__dict__}" for answer in answers)
    assert len(provider.calls()) == made  # each was asked once: a person tries again, not the machine
    assert all(answer.output is None for answer in told(bench).values())


def test_it_waits_for_room_and_for_the_provider(bench: Bench, provider: Provider) -> None:
    ModelConnection.objects.filter(pk=bench.connection.pk).update(max_concurrency=1)
    provider.behave(text="Hello", delay=0.1)
    attempt(bench, drafted(bench))
    work(100)
    assert provider.most_at_once() == 1
    assert len(provider.answered()) == 2
    ConnectionRate.objects.update(resumes_at=timezone.now() + timedelta(seconds=60))
    attempt(bench, Draft.objects.get())
    work(100)
    assert len(provider.calls()) == 2
    ConnectionRate.objects.update(resumes_at=None)
    work(100)
    assert len(provider.calls()) == 4


def test_somebody_who_waits_goes_before_the_cells_of_a_run(bench: Bench, provider: Provider) -> None:
    ModelConnection.objects.filter(pk=bench.connection.pk).update(max_concurrency=1)
    bench.start(repeats=5, margin=0.3)
    attempt(bench, drafted(bench))
    while len(provider.calls()) < 4:
        work(0.1)
    first = [call["messages"][0]["content"] for call in provider.calls()[:2]]
    assert sorted(first) == ["Draft for Ada", "Text 1 for Ada"]
    assert provider.most_at_once() == 1


def test_nobody_waits_until_the_last_calls_of_a_turn_are_back(bench: Bench, provider: Provider) -> None:
    """A worker whose turn is over waits for its calls, up to a minute each, and begins no cell of a run any more."""
    ModelConnection.objects.filter(pk=bench.connection.pk).update(max_concurrency=50)
    provider.behave(texts={"Draft for": "Hello"}, delay=1)
    run = bench.start(repeats=5, margin=0.3)

    def turn() -> None:
        work(0.01)
        connections["default"].close()

    worker = threading.Thread(target=turn)
    worker.start()
    while not provider.calls():
        time.sleep(0.02)
    time.sleep(0.1)  # the turn is over, and its calls are not back
    attempt(bench, drafted(bench))
    worker.join()
    drafts = [call["at"] for call in provider.calls() if call["messages"][0]["content"] == "Draft for Ada"]
    assert len(drafts) == 1
    assert drafts[0] < min(each["at"] for each in provider.answered())
    assert told(bench)["draft"].output == "Hello"
    assert Cell.objects.filter(run=run, state="calling").count() == 0


def test_a_try_takes_the_place_of_the_one_before_but_of_none_that_is_asked(bench: Bench, provider: Provider) -> None:
    draft = drafted(bench)
    first = attempt(bench, draft)
    second = attempt(bench, draft, values={"customer_name": "Bea"})
    assert not Trial.objects.filter(pk=first.pk).exists()
    TrialAnswer.objects.filter(trial=second).update(leased_until=timezone.now() + timedelta(seconds=30))
    with pytest.raises(DomainError) as caught:
        attempt(bench, draft)
    assert caught.value.code == "trial_under_way"
    work(100)
    assert provider.calls() == []  # somebody asks already
    # Whoever asked was killed: nothing is asked twice by itself, and the person may try again.
    TrialAnswer.objects.filter(trial=second).update(leased_until=timezone.now() - timedelta(seconds=1))
    work(100)
    assert provider.calls() == []
    attempt(bench, draft)
    work(100)
    assert len(provider.calls()) == 2


def test_what_nobody_waits_for_any_more_is_not_asked(bench: Bench, provider: Provider) -> None:
    draft = drafted(bench)
    attempt(bench, draft)
    Trial.objects.update(at=timezone.now() - LONGEST_WAIT - timedelta(seconds=1))
    work(100)
    attempt(bench, draft)
    fence = RestoreFence.objects.using("owner").create()
    work(100)  # a restored past spends nothing
    RestoreFence.objects.using("owner").filter(pk=fence.pk).update(confirmed_at=timezone.now())
    remove_connection(by=bench.team.farah, connection=bench.connection)
    work(100)
    assert provider.calls() == []
    assert {answer.error_detail for answer in told(bench).values()} == {
        "The connection stub was removed. Choose another one."
    }


def test_an_answer_that_cannot_be_kept_says_so_and_is_not_asked_for_again(
    bench: Bench, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise TypeError("what it is about stays in the log")

    monkeypatch.setattr("evaluations.running.trying.cost_of", broken)
    attempt(bench, drafted(bench))
    work(100)
    work(100)
    assert {answer.error for answer in told(bench).values()} == {"not_kept"}
    assert (len(provider.calls()), spent(bench)[0]) == (2, 2)


def test_a_worker_that_is_told_to_end_says_so(
    bench: Bench, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluations.running.engine.GRACE", 0.1)
    provider.behave(fault="hang")
    draft = drafted(bench)
    attempt(bench, draft)
    asked = iter([False, False, True])
    monkeypatch.setattr("evaluations.running.engine.is_stopping", lambda: next(asked, True))
    work(100)
    assert {answer.error for answer in told(bench).values()} == {"worker_ended"}
    assert spent(bench)[0] == 2  # counted at the most: the provider may charge for them
    assert not stopping.is_stopping()
    monkeypatch.undo()
    provider.behave(text="Hello")
    attempt(bench, draft)
    work(100)
    assert all(answer.output == "Hello" for answer in told(bench).values())


def test_placeholders_are_empty_and_a_first_version_is_asked_alone(
    team: Team, provider: Provider, bench: Bench
) -> None:
    chat = [{"role": "system", "content": "Be kind"}, {"placeholder": "history"}, {"role": "user", "content": "Hi"}]
    prompt = team.prompt("support/chat", content=chat)
    columns = {"source": json.dumps(chat), "variables": "[]", "config": "", "message": ""}
    draft = keep_draft(by=team.ada, prompt=prompt, columns=columns, base=find_version(prompt, None), seen=None)
    trial = try_draft(
        by=team.ada, draft=draft, content=chat, variables=[], config={}, values={}, connection=bench.connection
    )
    assert trial.live_version is None
    work(100)
    answer = TrialAnswer.objects.get(trial=trial)
    assert (answer.side, answer.error) == ("draft", "")
    assert [call["messages"] for call in provider.calls()] == [[chat[0], chat[2]]]
