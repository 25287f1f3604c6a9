"""Many savers at once, and savers that are killed: numbers stay 1 … n without gap or double."""

import time

import pytest

from promptforge.lib.errors import DomainError
from prompts.actions.versions import Saved, create_prompt, save_version
from prompts.models import Prompt, PromptVersion
from prompts.verification import verify
from tests.personas import Team
from tests.races.conftest import at_once, process

PATIENCE = 1.0  # seconds until a killed process's locks are free


def numbers(prompt: Prompt) -> list[int]:
    return list(PromptVersion.objects.filter(prompt=prompt).order_by("number").values_list("number", flat=True))


def assert_history_adds_up(team: Team) -> None:
    assert [finding.line for finding in verify(team.project) if finding.broken is not None] == []


@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.full)])
def test_fifty_savers_at_once_all_succeed_within_two_seconds(team: Team, rounds: int) -> None:
    prompt = team.prompt()
    for done in range(rounds):
        times: list[float] = []

        def save(number: int, done: int = done, times: list[float] = times) -> Saved:
            begun = time.monotonic()
            saved = save_version(by=team.ada, prompt=prompt, content=f"Round {done}, saver {number}")
            times.append(time.monotonic() - begun)
            return saved

        answers = at_once(50, save)
        assert [answer for answer in answers if not isinstance(answer, Saved)] == []
        print(f"50 savers: the slowest took {max(times):.3f} s")
        assert max(times) < 2
        assert sorted(answer.version.number for answer in answers) == list(range(2 + 50 * done, 52 + 50 * done))
    assert numbers(prompt) == list(range(1, 2 + 50 * rounds))
    assert_history_adds_up(team)


def test_savers_on_one_base_have_one_winner(team: Team) -> None:
    prompt = team.prompt()
    answers = at_once(20, lambda n: save_version(by=team.ada, prompt=prompt, content=f"Saver {n}", base_version=1))
    won = [answer for answer in answers if isinstance(answer, Saved)]
    lost = [answer for answer in answers if isinstance(answer, DomainError)]
    assert (len(won), len(lost)) == (1, 19), answers
    assert {(error.code, error.extra["latest"]) for error in lost} == {("stale_base", 2)}
    assert numbers(prompt) == [1, 2]
    assert_history_adds_up(team)


def test_the_same_text_at_once_makes_one_version(team: Team) -> None:
    prompt = team.prompt()
    answers = at_once(20, lambda _: save_version(by=team.ada, prompt=prompt, content="The same"))
    assert [answer.version.number for answer in answers] == [2] * 20
    assert sum(answer.created for answer in answers) == 1
    assert numbers(prompt) == [1, 2]


def test_a_name_made_twice_at_once_is_made_once(team: Team) -> None:
    names = ["support/greeting", "Support/Greeting"]
    answers = at_once(10, lambda n: create_prompt(by=team.ada, name=names[n % 2], content=f"Writer {n}"))
    lost = [answer for answer in answers if isinstance(answer, DomainError)]
    assert len(lost) == 9, answers
    assert {(error.code, error.status) for error in lost} == {("name_taken", 409)}
    assert numbers(Prompt.objects.get()) == [1]
    assert_history_adds_up(team)


SAVER = """
import sys
from django.db import transaction
from accounts.models import User
from accounts.policies import Principal
from prompts.actions.versions import save_version
from prompts.models import Prompt
prompt = Prompt.objects.select_related("project").get()
ada = Principal(User.objects.get(name="Ada"), prompt.project)
"""


def test_killed_before_commit_nothing_is_saved_and_the_lock_is_freed(team: Team, committed_db: str) -> None:
    prompt = team.prompt()
    code = (
        SAVER
        + """
with transaction.atomic():
    print(save_version(by=ada, prompt=prompt, content="Never committed").version.number, flush=True)
    sys.stdin.read()
"""
    )
    with process(committed_db, code) as saver:
        assert saver.line() == "2"
        begun = time.monotonic()
        saver.kill()
        assert save_version(by=team.ada, prompt=prompt, content="The next").version.number == 2
        print(f"the lock of a killed saver was free after {time.monotonic() - begun:.3f} s")
        assert time.monotonic() - begun < PATIENCE
    assert list(PromptVersion.objects.order_by("number").values_list("number", "content")) == [
        (1, "Text 1 for {{customer_name}}"),
        (2, "The next"),
    ]
    assert_history_adds_up(team)


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.full)])
def test_killed_while_saving_what_was_answered_stays(team: Team, committed_db: str, kills: int) -> None:
    prompt = team.prompt()
    code = (
        SAVER
        + """
while True:
    content = f"After {prompt.versions.count()}"
    print(save_version(by=ada, prompt=prompt, content=content).version.number, flush=True)
"""
    )
    for kill in range(kills):
        with process(committed_db, code) as saver:
            answered = [int(saver.line()) for _ in range(5 + 3 * kill)]
            saver.kill()
            begun = time.monotonic()
            mine = save_version(by=team.ada, prompt=prompt, content=f"After kill {kill}").version.number
            assert time.monotonic() - begun < PATIENCE
            answered += map(int, saver.rest())
        assert numbers(prompt) == list(range(1, max(*answered, mine) + 1))
        assert set(answered) <= set(numbers(prompt))
        assert mine >= max(answered) + 1 or mine in range(answered[-1], answered[-1] + 3)
    assert_history_adds_up(team)
