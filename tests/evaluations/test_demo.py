"""The demo's evaluations: made once whatever is killed, never half, by its people's own actions and a real engine."""

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection, transaction
from django.test import Client

from accounts.actions.members import create_user
from accounts.models import Project
from accounts.policies import Principal
from evaluations import local_model
from evaluations.actions.gate import start_what_is_demanded
from evaluations.demo import scenes, story
from evaluations.demo.making import go_on, told
from evaluations.demo.scenes import SCENES, Stage
from evaluations.evidence import of_promotions
from evaluations.incidents import demo as told_in_inbox
from evaluations.incidents import drifts
from evaluations.models import Cell, DemoStory, DriftFinding, EvaluationRule, EvaluationRun, EvaluationSet
from evaluations.running.engine import work
from evaluations.watching import sweep
from prompts.checks import lines, status
from prompts.demo.loader import begin_demo, load_demo_for
from prompts.models import Promotion, Prompt
from prompts.standing import standings
from prompts.verification import verify
from tests.evaluations.stub_provider import Provider, providing
from tests.evaluations.test_local_runs import processor_seconds

MADE = (Prompt, EvaluationSet, EvaluationRule, Promotion, EvaluationRun)


@pytest.fixture
def admin(committed_db: str) -> Principal:
    """Somebody with a fresh demo, whose evaluations are still to be made."""
    person = create_user(email="admin@example.com", name="Admin", is_superuser=True, is_staff=True)
    begin_demo(load_demo_for(person))
    return Principal(person, Project.objects.get(name="demo"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROMPTFORGE_VAR", str(tmp_path))
    return tmp_path


@pytest.fixture
def two_backends(home: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """Stubs in the model's place: the usual one, and the one that is behind the staged name once it is swapped."""
    with ExitStack() as stack:
        usual, swapped = (stack.enter_context(providing(home / name)) for name in ("usual", "swapped"))
        usual.behave(texts={"question first": "What a great question! Yes.", "": ["Yes, we do.", "No, we do not."]})
        swapped.behave(text="It depends on a great many things, as I was about to say. " * 4)
        staged = local_model._folder() / "staged"

        def serving(model: str = local_model.MODEL) -> local_model.Serving:
            is_swapped = model == local_model.STAGED and staged.read_text() == "swapped"
            return local_model.Serving((swapped if is_swapped else usual).port, "sk-local")

        monkeypatch.setattr(local_model, "serving", serving)
        monkeypatch.setattr(local_model, "missing", lambda: None)
        yield usual


def counts() -> list[int]:
    return [model.objects.count() for model in MADE]


def end_of_the_story(seconds: float, meanwhile: Callable[[], None] = lambda: None) -> DemoStory:
    """What beat and workers do, in turns, until the story has ended."""
    ends = time.monotonic() + seconds
    while (one := DemoStory.objects.get()).ended_at is None:
        assert time.monotonic() < ends, f"{one.scenes} of {len(SCENES)} scenes"
        go_on()
        start_what_is_demanded()
        sweep()
        work(20)
        meanwhile()
    return one


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A case or two and two repeats: how the story goes on does not depend on how much is asked."""
    less = {
        name: about | {"cases": about["cases"][: 1 + (name == story.STAGED_SET)]} for name, about in story.SETS.items()
    }
    monkeypatch.setattr(story, "SETS", less)
    monkeypatch.setattr(story, "RULES", [rule | {"repeats": 2} for rule in story.RULES])


def test_it_is_made_once_and_goes_on_after_a_kill(
    admin: Principal, two_backends: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch)
    before = counts()
    [banner] = told_in_inbox(admin)
    assert (banner.kind, f"0 of {len(SCENES)} steps" in banner.says, banner.says in told()) == ("note", True, True)

    # Killed in the middle of a scene: nothing of it is left, and the next worker plays it from its beginning.
    for name, nth in (("create_set", 3), ("add_rule", 2)):
        real, calls = getattr(scenes, name), iter(range(1, 100))

        def killed(real: Any = real, calls: Any = calls, nth: int = nth, **asked: Any) -> Any:
            if next(calls) == nth:
                raise SystemExit
            return real(**asked)

        monkeypatch.setattr(scenes, name, killed)
        with pytest.raises(SystemExit):
            go_on()
        played = DemoStory.objects.get().scenes
        assert played == (0 if name == "create_set" else 1)
        assert EvaluationRule.objects.count() == 0
        assert (counts() == before) == (played == 0)
        monkeypatch.setattr(scenes, name, real)

    # While one worker plays a scene, another one does not.
    with_lock, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            DemoStory.objects.select_for_update().get()
            with_lock.set()
            may_end.wait(10)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    with_lock.wait(10)
    assert not go_on()
    assert EvaluationRule.objects.count() == 0
    may_end.set()
    holder.join()

    # A run that paused, as when the model was taken away meanwhile, goes on with the story.
    paused = []

    def pause_one() -> None:
        if not paused:
            two_backends.behave(fault="bad_key")
            paused.append(True)
        else:
            two_backends.behave(
                texts={"question first": "What a great question! Yes.", "": ["Yes, we do.", "No, we do not."]}
            )

    one = end_of_the_story(100, pause_one)
    assert (one.scenes, one.why_not, told_in_inbox(admin), told()) == (len(SCENES), "", [], "")
    assert [len(found) for found in of_promotions([each.pk for each in Stage(admin.project).promotions()]).values()]
    assert DriftFinding.objects.filter(level="drift", watch__prompt__name=story.SWAPPED).count() == 1
    assert {run.status for run in EvaluationRun.objects.all()} == {"done"}
    after = counts()
    assert [new - old for new, old in zip(after, before, strict=True)][:3] == [3, len(story.SETS), len(story.RULES)]
    go_on()
    DemoStory.objects.get_or_create(project=admin.project)
    go_on()
    assert counts() == after, "it never begins anew"
    assert {finding.line for finding in verify(admin.project) if finding.broken} == set()


def test_without_a_model_nothing_is_half_made(
    admin: Principal, home: Path, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    before = counts()
    monkeypatch.setenv("PROMPTFORGE_LOCAL_MODEL", "no")
    assert not go_on()
    assert "declined" in told()
    assert "--no-model" in told_in_inbox(admin)[0].says
    monkeypatch.setenv("PROMPTFORGE_LOCAL_MODEL", "yes")
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "xllamacpp" else real(name))
    assert not go_on()
    [banner] = told_in_inbox(admin)
    assert "script/setup --model" in banner.says
    client.force_login(admin.user)
    page = client.get("/p/demo/").content.decode()
    assert "is-note" in page[: page.index(banner.says)].rpartition("banner")[2]
    assert counts() == before
    assert DemoStory.objects.get().ended_at is None


def test_a_name_that_is_taken_ends_it_with_the_reason(admin: Principal, two_backends: Provider) -> None:
    from prompts.actions.versions import create_prompt

    create_prompt(by=admin, name=story.TIPS, content="Mine")
    before = counts()
    assert not go_on()
    [banner] = told_in_inbox(admin)
    assert (banner.title, story.TIPS in banner.says) == ("The demo’s evaluations stopped half-way", True)
    assert counts() == before


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="script/setup --model was not possible")
@pytest.mark.xdist_group("local model")
def test_the_local_model_makes_one_that_passes_one_that_fails_one_that_cannot_be_told_and_an_alarm(
    admin: Principal, home: Path
) -> None:
    began = time.monotonic()
    local_model.serving()
    first = processor_seconds()
    one = end_of_the_story(3000)
    spent = processor_seconds() - first
    rows = Stage(admin.project).promotions()
    found = of_promotions([each.pk for each in rows])
    for each in rows:
        print(f"{each.version}: {found[each.pk][0].outcome}. {found[each.pk][0].sentence}")
    for finding in DriftFinding.objects.order_by("pk"):
        print(f"{finding.watch}: {finding.level}. {finding.sentence}")
    asked = Cell.objects.exclude(output=None).count()
    print(f"{time.monotonic() - began:.0f} s, {spent:.0f} s of processor, {asked} answers")
    local_model.stop()
    assert (one.why_not, len(rows)) == ("", 3)
    assert [found[each.pk][0].outcome for each in rows] == ["PASS", "FAIL", "INCONCLUSIVE"]
    assert [status(each, lines(each)) for each in standings(rows)] == ["ready", "blocked", "in_review"]
    [praised] = EvaluationRun.objects.filter(candidate=rows[1].version, purpose="comparison")
    fallen = [each["criterion"] for each in (praised.verdict_object or {})["criteria"] if each["interval"][1] < 0]
    assert fallen == ["No praise of the question"]
    assert [finding.level for finding in DriftFinding.objects.order_by("pk")] == ["suspect", "drift"]
    assert [each.title for each in drifts(admin)] == [f"The model behind {story.SWAPPED} drifted in staging"]
    assert spent <= 720, "six minutes on two cores"
