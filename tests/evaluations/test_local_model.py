"""The local model, for real: started by whoever asks first, shared, and started again after any end."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.conf import LazySettings

from evaluations import local_model
from evaluations.local_model import MODEL, STAGED, Unavailable, serving
from evaluations.local_server import BEHIND
from evaluations.providers import CallFailed, Completion, Connection, Failure, Kind, Message, Secret, complete
from tests.plugin import ROOT

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="script/setup --model was not possible"),
    pytest.mark.xdist_group("local model"),
]
ASKED: list[Message] = [
    {"role": "system", "content": "You greet customers. Answer in one short sentence."},
    {"role": "user", "content": "Say hello to Ada."},
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A var directory of its own, so that no other run's model is met."""
    folder, before = tmp_path_factory.mktemp("var"), os.environ.get("PROMPTFORGE_VAR")
    os.environ["PROMPTFORGE_VAR"] = str(folder)
    yield folder
    end()
    os.environ.pop("PROMPTFORGE_VAR") if before is None else os.environ.update(PROMPTFORGE_VAR=before)


@pytest.fixture(autouse=True)
def nothing_is_allowed(home: Path, settings: LazySettings) -> None:
    settings.ALLOWED_PRIVATE_HOSTS = []


def end(number: int = signal.SIGKILL) -> None:
    told = local_model._told(local_model._folder())
    if told is not None and local_model.is_running():
        os.kill(told.pid, number)
        deadline = time.monotonic() + 10
        while local_model.is_running():
            assert time.monotonic() < deadline


def ask(seed: int, temperature: float = 0.8, tokens: int = 24, model: str = MODEL) -> Completion:
    where = serving(model)
    return complete(
        Connection(
            kind=Kind.LOCAL,
            base_url=f"http://127.0.0.1:{where.port}/v1",
            model=model,
            api_key=Secret(where.key),
            parameters={"temperature": temperature, "max_tokens": tokens},
            own_port=where.port,
        ),
        ASKED,
        seed,
    )


def test_the_seed_settles_the_answer_and_another_gives_another() -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, [1, 2, 3, 1, 2, 3]))
    texts = [answer.text for answer in answers]
    assert texts[:3] == texts[3:], "the same seed is the same answer, on whichever engine, among whatever else"
    assert len(set(texts)) > 1
    assert all(answer.input_tokens and answer.output_tokens and answer.model == MODEL for answer in answers)
    assert ask(1, temperature=0).text == ask(2, temperature=0).text


def test_its_port_is_open_to_its_own_key_alone() -> None:
    where = serving()
    stranger = Connection(Kind.LOCAL, f"http://127.0.0.1:{where.port}/v1", MODEL, Secret("x"), own_port=where.port)
    with pytest.raises(CallFailed) as refused:
        complete(stranger, ASKED)
    assert refused.value.kind is Failure.BAD_KEY
    outside = Connection(Kind.OPENAI, f"http://127.0.0.1:{where.port}/v1", MODEL, Secret(where.key))
    with pytest.raises(CallFailed) as private:
        complete(outside, ASKED)
    assert private.value.kind is Failure.URL_NOT_ALLOWED
    assert (local_model._folder() / "server.json").stat().st_mode & 0o077 == 0


@pytest.mark.full
def test_the_staged_model_is_the_same_until_its_backend_is_swapped() -> None:
    usual, staged = ask(1, tokens=12), ask(1, tokens=12, model=STAGED)
    assert (staged.text, staged.model, staged.input_tokens) == (usual.text, STAGED, usual.input_tokens)
    local_model.stage("swapped")
    swapped = ask(1, tokens=12, model=STAGED)
    assert swapped.model == STAGED
    assert (swapped.input_tokens or 0) < (usual.input_tokens or 0), "it hears the last message alone"
    assert ask(1, tokens=12).text == usual.text, "the usual model is not touched"
    end()
    assert ask(1, tokens=12, model=STAGED).text == swapped.text, "and that outlives the server"
    local_model.stage("usual")
    assert ask(1, tokens=12, model=STAGED).text == usual.text


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_it_stands_behind_whoever_waits_for_a_page() -> None:
    serving()
    told = local_model._told(local_model._folder())
    assert told is not None
    threads = [int(each.name) for each in Path(f"/proc/{told.pid}/task").iterdir()]
    assert {os.getpriority(os.PRIO_PROCESS, each) for each in threads} == {BEHIND}
    group = Path(f"/proc/{told.pid}/autogroup")
    assert not group.exists() or group.read_text().endswith(f"nice {BEHIND}\n")


@pytest.mark.full
def test_it_outlives_a_starter_that_is_killed_and_is_started_again_after_its_own_end() -> None:
    end()
    code = "import os; from evaluations.local_model import serving; serving(); os.kill(os.getpid(), 9)"
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    first = local_model._told(local_model._folder())
    assert ask(1).text
    assert local_model._told(local_model._folder()) == first
    end(signal.SIGKILL)
    assert ask(1).text
    assert local_model._told(local_model._folder()) != first


def test_of_many_who_ask_at_once_one_starts_it() -> None:
    end()
    code = "from evaluations.local_model import serving; print(serving().key)"
    asked = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) for _ in range(4)]
    assert len({process.communicate()[0] for process in asked}) == 1


def test_it_ends_when_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    end()
    monkeypatch.setattr(local_model, "IDLE_SECONDS", 0.2)
    serving()
    deadline = time.monotonic() + 20
    while local_model.is_running():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert local_model._told(local_model._folder()) is None


def test_one_word_declines_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTFORGE_LOCAL_MODEL", "no")
    with pytest.raises(Unavailable, match="switched off"):
        serving()
