"""Making the demo's evaluations in the background, once, by the local model itself."""

from django.db import transaction
from django.utils import timezone

from accounts.models import Project
from evaluations import local_model
from evaluations.demo.scenes import SCENES, Stage, go_on_with_paused
from evaluations.models import DemoStory
from promptforge.env import has_local_model
from promptforge.lib.errors import DomainError

MINUTES = "about five minutes"


def begin(project: Project) -> bool:
    """Have the evaluations of this demo made, as soon as there is a local model; returns whether they were not yet."""
    return DemoStory.objects.get_or_create(project=project)[1]


def go_on() -> bool:
    """Play the scenes that are due of every demo; returns whether any was played."""
    played = False
    if DemoStory.objects.filter(ended_at=None).exists() and local_model.missing() is None:
        for pk in DemoStory.objects.filter(ended_at=None).values_list("pk", flat=True):
            while _play(pk):
                played = True
    return played


def _play(pk: int) -> bool:
    """The next scene of one demo, unless another worker is at it."""
    with transaction.atomic():
        held = DemoStory.objects.select_for_update(skip_locked=True, of=("self",)).select_related("project")
        one = held.filter(pk=pk, ended_at=None).first()
        if one is None:
            return False
        stage = Stage(one.project)
        try:
            with transaction.atomic():
                go_on_with_paused(stage)
                if not SCENES[one.scenes](stage):
                    return False
        except DomainError as refusal:
            one.why_not = refusal.detail
        else:
            one.scenes += 1
        if one.why_not or one.scenes == len(SCENES):
            one.ended_at = timezone.now()
        one.save()
        return one.ended_at is None


# --- What is told of it ----------------------------------------------------------------------------------------------
def told() -> str:
    """For whoever starts the server; empty when nothing is to be made."""
    story = DemoStory.objects.filter(ended_at=None).select_related("project").first()
    if story is None:
        return ""
    return f"The demo's evaluations: {sentence(story)} See /p/{story.project.name}/evaluations/"


def sentence(story: DemoStory) -> str:
    """How it stands, and what it takes."""
    if story.why_not:
        return f"{story.why_not} What was made so far stays."
    if not has_local_model():
        return (
            "They are made by the local model, which is declined here. Start without --no-model "
            "(PROMPTFORGE_LOCAL_MODEL), and they are made in the background."
        )
    if local_model.missing() is not None:
        return f"They are made by the local model, once it is installed (script/setup --model); that takes {MINUTES}."
    return (
        f"The local model makes them in the background, in {MINUTES}: {story.scenes} of {len(SCENES)} steps are done."
    )
