"""Calling models: three formats say the same, and nothing that went wrong is ever an answer."""

import json
import logging
import pickle
import time
import traceback
from typing import Any

import pytest
from django.conf import LazySettings

from evaluations.providers import CallFailed, Connection, Failure, Kind, Message, Secret, complete
from evaluations.providers.calling import LARGEST_ANSWER, is_same_model
from evaluations.providers.failures import LONGEST_RETRY_AFTER, retry_after
from evaluations.providers.retrying import LONGEST, MOST_TRIES, wait_before_retry
from promptforge.lib import http
from tests.evaluations.stub_provider import Provider

KEY = "sk-proj-verySecret0123456789"
KINDS = ("openai", "anthropic", "gemini")
ASKED: list[Message] = [
    {"role": "system", "content": "Answer in one word."},
    {"role": "user", "content": "Is the refund on its way?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "Really?"},
]


def connect(provider: Provider, kind: str = "openai", **other: Any) -> Connection:
    fields = {"model": "stub-1", "api_key": Secret(KEY), "timeout": 5.0, **other}
    return Connection(kind=Kind(kind), base_url=provider.url(kind), **fields)


def failing(provider: Provider, kind: str = "openai", **other: Any) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        complete(connect(provider, kind, **other), ASKED, 1)
    return failed.value


# --- An answer -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
def test_each_format_carries_the_same_call(provider: Provider, kind: str) -> None:
    provider.behave(text="Really so.")
    parameters = {"temperature": 0.8, "top_p": 0.9, "max_tokens": 50, "stop": ["END"]}
    answer = complete(connect(provider, kind, parameters=parameters), ASKED, 7)
    assert (answer.text, answer.finish_reason, answer.model) == ("Really so.", "stop", "stub-1")
    assert (answer.input_tokens, answer.output_tokens) == (12, 2)
    assert answer.request_id == "req-stub"
    (call,) = provider.calls()
    assert call["messages"] == ASKED
    assert (call["key"], call["model"]) == (KEY, "stub-1")
    assert call["seed"] == (None if kind == "anthropic" else 7)
    config = call["body"].get("generationConfig", call["body"])
    assert config["temperature"] == 0.8
    assert {50} == {config[name] for name in ("max_tokens", "maxOutputTokens") if name in config}
    assert {"END"} == {config[name][0] for name in ("stop", "stop_sequences", "stopSequences") if name in config}
    assert KEY not in call["path"]


@pytest.mark.parametrize(("kind", "role"), [("openai", "developer"), ("anthropic", "system"), ("gemini", "system")])
def test_a_developer_instructs_where_only_a_system_does(provider: Provider, kind: str, role: str) -> None:
    complete(connect(provider, kind), [{"role": "developer", "content": "Answer in one word."}, *ASKED[1:]])
    (call,) = provider.calls()
    assert call["messages"] == [{"role": role, "content": "Answer in one word."}, *ASKED[1:]]


def test_what_openai_calls_the_limit_depends_on_whose_server_it_is() -> None:
    from evaluations.providers.openai_chat import ask

    theirs = ask(Connection(Kind.OPENAI, "", "gpt-5", parameters={"max_tokens": 9}), ASKED, None).body
    assert ("max_tokens" in theirs, theirs["max_completion_tokens"]) == (False, 9)
    others = ask(Connection(Kind.OPENAI, "https://models.example/v1", "m"), ASKED, None).body
    assert ("seed" in others, others["max_tokens"]) == (False, 1024)


def test_a_connection_stays_open_between_calls(provider: Provider) -> None:
    line = connect(provider)
    for seed in range(3):
        complete(line, ASKED, seed)
    assert len({call["from"] for call in provider.calls()}) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_stored_is_made_so_that_it_can(provider: Provider, kind: str) -> None:
    provider.behave(fault="unwritable", text="Really\0 \ud83d so \U0001f600.")
    answer = complete(connect(provider, kind), ASKED, 1)
    assert answer.text == "Really\ufffd \ufffd so \U0001f600."
    for text in (answer.finish_reason, answer.model, answer.fingerprint, answer.request_id):
        assert "\0" not in text.encode().decode()
    provider.behave(fault="absurd_tokens", text="Yes")
    answer = complete(connect(provider, kind), ASKED, 1)
    assert (answer.input_tokens, answer.output_tokens) == (None, None)


def test_a_refusal_that_cannot_be_stored_is_told_all_the_same() -> None:
    assert CallFailed(Failure.BAD_ANSWER, "It says: \0\ud83d").sentence == "It says: \ufffd\ufffd"


# --- What is no answer -----------------------------------------------------------------------------------------------
FAULTS = [
    ("rate_limited", Failure.RATE_LIMITED, True, "429"),
    ("no_money", Failure.BAD_KEY, False, "no credit"),
    ("server_error", Failure.SERVER_ERROR, True, "500"),
    ("overloaded", Failure.SERVER_ERROR, True, "529"),
    ("bad_key", Failure.BAD_KEY, False, "refuses the key"),
    ("forbidden", Failure.BAD_KEY, False, "refuses the key"),
    ("bad_request", Failure.BAD_REQUEST, False, "400"),
    ("unknown_model", Failure.BAD_REQUEST, False, "404"),
    ("error_in_200", Failure.SERVER_ERROR, True, "500"),
    ("html", Failure.BAD_ANSWER, False, "no JSON"),
    ("truncated", Failure.BAD_ANSWER, False, "no JSON"),
    ("empty", Failure.BAD_ANSWER, False, "no JSON"),
    ("wrong_model", Failure.WRONG_MODEL, False, "another-family-9"),
    ("empty_choices", Failure.BAD_ANSWER, False, "no text"),
    ("content_filter", Failure.BAD_ANSWER, False, "filter"),
    ("cut", Failure.UNREACHABLE, True, "ended the connection"),
    ("huge", Failure.TOO_LARGE, False, "more than"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fault", "failure", "retryable", "says"), FAULTS, ids=[row[0] for row in FAULTS])
def test_a_fault_is_told_for_what_it_is_and_is_no_answer(
    provider: Provider, kind: str, fault: str, failure: Failure, retryable: bool, says: str
) -> None:
    provider.behave(fault=fault)
    failed = failing(provider, kind)
    assert (failed.kind, failed.retryable) == (failure, retryable)
    assert says in failed.sentence
    assert len(failed.sentence) < 400
    shown = failed.sentence + repr(failed) + repr(failed.__dict__) + "".join(traceback.format_exception(failed))
    assert KEY not in shown
    assert "verySecret" not in shown
    # The one after it is answered as ever: nothing is left over on the connection.
    provider.behave(text="fine")
    assert complete(connect(provider, kind), ASKED).text == "fine"


@pytest.mark.parametrize(
    "status", [401, 403, 408, 409, 425, 429, 500, 502, 503, 529, 400, 402, 404, 405, 413, 422, 204, 302]
)
def test_only_these_are_tried_again(provider: Provider, status: int) -> None:
    provider.behave(fault="html", status=status)
    failed = failing(provider)
    assert failed.retryable is (status in (408, 409, 425, 429) or status >= 500)
    assert failed.kind is not Failure.BAD_KEY or status in (401, 402, 403)


@pytest.mark.parametrize("fault", ["drip", "hang"])
def test_the_deadline_ends_a_slow_answer(provider: Provider, fault: str) -> None:
    provider.behave(fault=fault)
    began = time.monotonic()
    failed = failing(provider, timeout=0.4)
    assert (failed.kind, failed.retryable) == (Failure.TIMEOUT, True)
    assert time.monotonic() - began < 2


def test_a_huge_answer_is_not_read_to_its_end(provider: Provider) -> None:
    provider.behave(fault="huge")
    assert str(f"{LARGEST_ANSWER:,}") in failing(provider).sentence


def test_nobody_there_and_an_address_that_may_not_be_called(provider: Provider, settings: LazySettings) -> None:
    line = connect(provider)
    settings.ALLOWED_PRIVATE_HOSTS = []
    with pytest.raises(CallFailed) as refused:
        complete(line, ASKED)
    assert (refused.value.kind, refused.value.retryable) == (Failure.URL_NOT_ALLOWED, False)
    assert provider.calls() == []
    settings.ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    nobody = Connection(Kind.OPENAI, "http://127.0.0.1:9/v1", "m")
    with pytest.raises(CallFailed) as alone:
        complete(nobody, ASKED)
    assert (alone.value.kind, alone.value.retryable) == (Failure.UNREACHABLE, True)


@pytest.mark.parametrize(
    "answer",
    [
        b"[]", b"null", b'"10/10!!!"', b'{"choices": 7}', b'{"choices": [null]}', b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"content": 5}}]}', b'{"choices": [{"message": {"content": ["x"]}}]}', b"\xff\xfe{}",
        b'{"choices": {"0": {}}, "usage": []}', b"[" * 100_000, b'{"error": {}, "choices": []}', b'{"error": "no"}',
        b'{"candidates": [{"content": {"parts": {"text": "x"}}}]}', b'{"content": {"text": "x"}, "model": 5}',
        b'{"promptFeedback": {"blockReason": "SAFETY"}}',
        b'{"choices": [{"message": {"content": ""}, "finish_reason": "length"}]}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_of_any_other_shape_is_no_answer(
    provider: Provider, kind: str, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "request", lambda *a, **k: http.Answer(200, {}, answer))
    assert failing(provider, kind).kind in (Failure.BAD_ANSWER, Failure.WRONG_MODEL)


# --- The key ---------------------------------------------------------------------------------------------------------
def test_the_key_shows_itself_nowhere(provider: Provider, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    line = connect(provider)
    complete(line, ASKED)
    provider.behave(fault="bad_key")
    failed = failing(provider)
    for shown in (repr(line), str(line), f"{line.api_key}", caplog.text, repr(failed.__context__)):
        assert KEY not in shown
    with pytest.raises(TypeError):
        pickle.dumps(line)
    with pytest.raises(TypeError):
        json.dumps(line.api_key)


# --- The same model --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("asked", "returned", "same"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o", "gpt-4o-mini-2024-07-18", False),
        ("gpt-4", "gpt-4.1", False),
        ("gpt-4", "gpt-4-0613", True),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20", False),
        ("claude-opus-4", "claude-opus-4-1-20250805", False),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022", True),
        ("claude-3-5-sonnet-latest", "claude-3-5-haiku-20241022", False),
        ("gemini-2.0-flash", "gemini-2.0-flash-001", True),
        ("models/gemini-2.5-pro", "gemini-2.5-pro-preview-05-06", True),
        ("gemini-flash-latest", "gemini-2.5-flash-preview-09-2025", True),
        ("gemini-flash-latest", "gemini-2.5-flash-lite", False),
        ("mistral-large-latest", "mistral-large-2411", True),
        ("openai/gpt-4o", "gpt-4o", True),
        ("llama-3", "llama-3-70b", False),
        ("/models/a.gguf", "a.gguf", True),
        ("m", "", True),
        ("stub-1", "another-family-9", False),
    ],
)
def test_a_dated_build_is_the_same_model_and_a_sibling_is_not(asked: str, returned: str, same: bool) -> None:
    assert is_same_model(asked, returned) is same


# --- Trying again ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("named", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("99999999999", LONGEST_RETRY_AFTER),
        ("inf", LONGEST_RETRY_AFTER),
        ("nan", None),
        ("-5", 0.0),
        ("soon", None),
        ("", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("1e400", LONGEST_RETRY_AFTER),
    ],
)
def test_an_absurd_retry_after_holds_nobody_up(named: str, seconds: float | None, provider: Provider) -> None:
    assert retry_after({"Retry-After": named}) == seconds
    if named:
        provider.behave(fault="rate_limited", retry_after=named)
        assert failing(provider).retry_after == seconds


def test_tries_end() -> None:
    busy = CallFailed(Failure.RATE_LIMITED, "busy", retryable=True, retry_after=LONGEST_RETRY_AFTER)
    assert wait_before_retry(busy, tries=MOST_TRIES, since_first=0) is None
    assert wait_before_retry(busy, tries=1, since_first=LONGEST - 1) is None
    assert wait_before_retry(busy, tries=1, since_first=0, draw=0.5) == LONGEST_RETRY_AFTER + 0.5
    broken = CallFailed(Failure.SERVER_ERROR, "broken", retryable=True)
    assert [wait_before_retry(broken, tries=n, since_first=0, draw=1.0) for n in range(1, 6)] == [1, 2, 4, 8, 16]
    assert all(0 <= (wait_before_retry(broken, tries=5, since_first=0) or 0) <= 16 for _ in range(50))
    assert wait_before_retry(CallFailed(Failure.BAD_ANSWER, "odd"), tries=1, since_first=0) is None
