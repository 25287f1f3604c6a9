"""The stub that the engine is tested against does what it is told, and its count outlives it."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.evaluations.stub_provider import Provider, providing
from tests.plugin import ROOT
from tests.startup.conftest import wait_until


def call(provider: Provider, text: str, seed: int | None = 1) -> dict[str, Any]:
    body = {"model": "stub-1", "seed": seed, "messages": [{"role": "user", "content": text}]}
    headers = {"Authorization": "Bearer sk-x", "Content-Type": "application/json"}
    url = provider.url("openai") + "/chat/completions"
    asked = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        read: dict[str, Any] = json.loads(answer.read())
        return read


def said(answer: dict[str, Any]) -> str:
    text: str = answer["choices"][0]["message"]["content"]
    return text


def test_the_seed_settles_the_answer(tmp_path: Path) -> None:
    with providing(tmp_path) as provider:
        assert said(call(provider, "hello", 1)) == said(call(provider, "hello", 1))
        assert said(call(provider, "hello", 1)) != said(call(provider, "hello", 2))
        provider.behave(texts={"refund": ["yes", "no"]})
        drawn = [said(call(provider, "a refund", seed)) for seed in range(20)]
        assert set(drawn) == {"yes", "no"}
        assert drawn == [said(call(provider, "a refund", seed)) for seed in range(20)]
        assert provider.calls()[0]["key"] == "sk-x"


def test_faults_apply_to_the_calls_that_were_named(tmp_path: Path) -> None:
    def status(text: str) -> int:
        try:
            call(provider, text)
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    with providing(tmp_path) as provider:
        call(provider, "before")
        provider.behave(fault="rate_limited", first=2)
        assert [status("x") for _ in range(4)] == [429, 429, 200, 200]
        provider.behave(fault="server_error", every=3)
        assert [status("x") for _ in range(6)] == [200, 200, 500, 200, 200, 500]
        provider.behave(fault="bad_key", only="French")
        assert [status("in French"), status("in German")] == [401, 200]
        # Noted when it was sent: who asked may be here before.
        wait_until(lambda: len(provider.answered()) == 13, 10)
        answered = sorted(provider.answered(), key=lambda entry: int(entry["number"]))
        assert [entry["fault"] for entry in answered][-2:] == ["bad_key", None]


def test_a_kill_takes_back_no_count(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.evaluations.stub_provider", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        provider = Provider(tmp_path, int(process.stdout.readline()))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: call(provider, f"call {n}"), range(40)))
        os.kill(process.pid, signal.SIGKILL)
    assert [entry["number"] for entry in provider.calls()] == list(range(1, 41))
    assert 1 <= provider.most_at_once() <= 8
    with providing(tmp_path) as again:
        call(again, "after the kill")
        assert again.calls()[-1]["number"] == 41
