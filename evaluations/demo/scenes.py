"""The demo's scenes, in order: what its people do, by the actions that everybody uses; nothing is typed in.

A scene is played in one transaction together with its count, so it is played once, whatever is killed meanwhile. It
answers whether it was played; one that waits for a model answers no, and is asked again.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from django.utils import timezone

from accounts.models import Project, User
from accounts.policies import Principal
from evaluations import local_model
from evaluations.actions.connections import create_connection
from evaluations.actions.rules import add_rule
from evaluations.actions.runs import resume_run
from evaluations.actions.sets import create_set
from evaluations.actions.watches import begin_night, change_watch, locked_watch
from evaluations.demo import story
from evaluations.evidence import of_promotions
from evaluations.models import DriftWatch, EvaluationRun, EvaluationSet, ModelConnection
from promptforge.lib.errors import DomainError
from prompts.actions.promotions import apply_promotion, open_promotion
from prompts.actions.reviews import review
from prompts.actions.versions import create_prompt, save_version
from prompts.models import Channel, Promotion, Prompt
from prompts.reading import find_version
from prompts.shapes import digest_text

_OPEN = (EvaluationRun.Status.QUEUED, EvaluationRun.Status.RUNNING, EvaluationRun.Status.PAUSED)
WEEKLY = 168  # hours: what is staged need not be asked each night


@dataclass(frozen=True)
class Stage:
    """The project that a scene is played in; people go by their first names."""

    project: Project

    def who(self, name: str) -> Principal:
        return Principal(User.objects.get(email=f"{name}@example.com"), self.project)

    def prompt(self, name: str) -> Prompt:
        return Prompt.objects.select_related("project").get(project=self.project, name=name)

    def channel(self, name: str) -> Channel:
        return Channel.objects.select_related("policy", "project").get(project=self.project, name=name)

    def watch(self) -> DriftWatch | None:
        """Of the staged prompt, once the worker has begun its reference."""
        return DriftWatch.objects.filter(prompt__project=self.project, prompt__name=story.SWAPPED).first()

    def promotions(self) -> list[Promotion]:
        """Those whose evaluation is waited for, while they are open; in the story's order."""
        asked = [(each["prompt"], each["version"]) for each in story.PROMOTIONS]
        found = Promotion.objects.filter(
            prompt__project=self.project, prompt__name__in={name for name, _ in asked}, state=Promotion.State.OPEN
        ).select_related("prompt__project", "version")
        place = {(each.prompt.name, each.version.number): each for each in found}
        return [place[key] for key in asked if key in place]


def write(stage: Stage) -> bool:
    """Prompts, sets and connections; the first versions go live as any version does."""
    local_model.stage("usual")  # what an earlier demo on this machine may have swapped
    ada, ben, cleo, farah = (stage.who(name) for name in ("ada", "ben", "cleo", "farah"))
    for name, about in story.PROMPTS.items():
        if Prompt.objects.filter(project=stage.project, name__iexact=name).exists():
            raise DomainError("name_taken", f"The prompt {name}, which they begin with, is there already.")
        (message, content), *later = about["versions"]
        fields = {field: about[field] for field in ("description", "tags", "variables")}
        prompt, _ = create_prompt(by=ada, name=name, message=message, content=content, **fields)
        for message, content in later:
            save_version(by=ada, prompt=prompt, message=message, content=content)
        channel = stage.channel("staging" if name == story.SWAPPED else "stable")
        first = open_promotion(
            by=ada, prompt=prompt, channel=channel, version=find_version(prompt, 1), title="Goes live"
        )
        if channel.name == "stable":
            review(
                by=ben,
                promotion=first,
                decision="approve",
                body="Good enough to begin with.",
                diff_digest=digest_text(first.diff_digest),
            )
        apply_promotion(by=cleo, promotion=first)
    for name, about in story.SETS.items():
        create_set(by=ada, name=name, **about | {"prompt": stage.prompt(about["prompt"])})
    for name, about in story.CONNECTIONS.items():
        create_connection(by=farah, name=name, kind="local", max_concurrency=4, **about)
    return True


def ask(stage: Stage) -> bool:
    """Rules, and the promotions that they are for."""
    ada, farah = stage.who("ada"), stage.who("farah")
    for rule in story.RULES:
        owner = EvaluationSet.objects.select_related("prompt").get(project=stage.project, name=rule["set"])
        add_rule(
            by=farah,
            channel=stage.channel(rule["channel"]),
            prompt=owner.prompt,
            evaluation_set=owner,
            connection=ModelConnection.objects.standing().get(project=stage.project, name=rule["connection"]),
            repeats=rule.get("repeats"),
        )
    for each in story.PROMOTIONS:
        prompt = stage.prompt(each["prompt"])
        open_promotion(
            by=ada,
            prompt=prompt,
            channel=stage.channel("stable"),
            version=find_version(prompt, each["version"]),
            title=each["title"],
            note=each["note"],
        )
    return True


def review_them(stage: Stage) -> bool:
    """Ben reads what the evaluations found."""
    promotions = stage.promotions()
    evidence = of_promotions([each.pk for each in promotions])
    if any(each.outcome is None and not each.refused for found in evidence.values() for each in found):
        return False
    said = {(each["prompt"], each["version"]): each for each in story.PROMOTIONS}
    for promotion in promotions:
        about = said[promotion.prompt.name, promotion.version.number]
        with suppress(DomainError):  # somebody was quicker, and it needs no review any more
            review(
                by=stage.who("ben"),
                promotion=promotion,
                decision=about["review"],
                body=about["body"],
                diff_digest=digest_text(promotion.diff_digest),
            )
    return True


def quiet_night(stage: Stage) -> bool:
    """The staged model is asked again while nothing has changed. Nights stand minutes apart here."""
    watch = stage.watch()
    if watch is None or watch.reference is None or watch.reference.status in _OPEN:
        return False
    if watch.reference.status == EvaluationRun.Status.CANCELLED:
        raise DomainError("bad_value", "The reference of the staged model was cancelled.")
    begin_night(locked_watch(watch.pk), timezone.now())
    return True


def swap(stage: Stage) -> bool:
    """Another backend comes behind the name of the staged model, and the next night meets it."""
    watch = _after_night(stage)
    if watch is None:
        return False
    local_model.stage("swapped")
    begin_night(watch, timezone.now())
    return True


def confirm(stage: Stage) -> bool:
    """Fresh samples settle the suspicion; where chance made another one before, it takes one night more."""
    watch = _after_night(stage)
    if watch is None:
        return False
    if watch.state != DriftWatch.State.DRIFTED:
        begin_night(watch, timezone.now())
    return True


def rest(stage: Stage) -> bool:
    """The staged model is asked once a week from here on."""
    watch = _after_night(stage)
    if watch is None:
        return False
    change_watch(by=stage.who("farah"), watch=watch, fields={"every_hours": WEEKLY})
    return True


SCENES: Sequence[Callable[[Stage], bool]] = (write, ask, review_them, quiet_night, swap, confirm, confirm, rest)


def _after_night(stage: Stage) -> DriftWatch | None:
    """The watch of the staged prompt, locked, unless its last night is still to be judged."""
    watch = stage.watch()
    if watch is None or watch.nights.filter(figures="null").exists():
        return None
    return locked_watch(watch.pk)


def go_on_with_paused(stage: Stage) -> None:
    """A run pauses when the model is switched off or taken away; it is back, so the run goes on."""
    ours = {"connection__name__in": list(story.CONNECTIONS), "project": stage.project}
    for run in EvaluationRun.objects.filter(status=EvaluationRun.Status.PAUSED, **ours):
        resume_run(by=stage.who("ada"), run=run)
