"""Drift watches in the demo, by rows: one model drifted after quiet nights, one reference is being taken."""

import json
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from evaluations.models import (
    Case,
    Cell,
    DriftFinding,
    DriftNight,
    DriftWatch,
    EvaluationRule,
    EvaluationRun,
    EvaluationSet,
    ModelConnection,
    SetRevision,
)
from promptforge.lib.ids import encode
from prompts.models import Head
from tests.evaluations.rows import PLAN
from tests.pages.conftest import Demo

QUIET_NIGHTS = 9
LOUD = "The score is 32 points lower than in the reference, and fresh samples confirm it. Nothing changed here; the model did."  # noqa: E501


def drifted(demo: Demo, channel: str = "staging", watches: int = 2) -> str:
    """The page; the rows are made once in each demo."""
    if not DriftWatch.objects.exists():
        heads = Head.objects.filter(channel__project=demo.project, channel__name=channel).exclude(version=None)
        for number, head in enumerate(heads.select_related("prompt", "channel", "version").order_by("pk")[:watches]):
            Watched(demo, head).live(drifts=number == 0)
    return "/p/demo/evaluations/drift/"


def asked_for_a_reference(demo: Demo) -> str:
    """The question that precedes another reference."""
    path = drifted(demo)
    return f"{path}?ask={encode('drw', DriftWatch.objects.filter(prompt__project=demo.project).latest('pk').pk)}"


class Watched:
    def __init__(self, demo: Demo, head: Head) -> None:
        assert head.version is not None
        self.demo, self.head, self.version = demo, head, head.version
        project, emil = demo.project, demo.people["emil"]
        self.owner = EvaluationSet.objects.create(project=project, prompt=head.prompt, name=f"core {head.pk}")
        with transaction.atomic():
            SetRevision.objects.create(set=self.owner, number=1, author=emil)
            self.case = Case.objects.create(set=self.owner, added_in=1, key="one", digest=b"")
        self.connection = ModelConnection.objects.create(
            project=project, name=f"assistant {head.pk}", kind="openai", model="small-chat-4"
        )
        self.rule = EvaluationRule.objects.create(
            channel=head.channel, prompt=head.prompt, set=self.owner, connection=self.connection, margin=0.1,
            created_by=emil,
        )  # fmt: skip
        self.reference = self.run("reference")
        self.watch = DriftWatch.objects.create(
            rule=self.rule, prompt=head.prompt, version=self.version, reference=self.reference,
            next_at=timezone.now() + timedelta(hours=7),
        )  # fmt: skip

    def live(self, *, drifts: bool) -> None:
        if not drifts:
            return
        self.end(self.reference)
        for number in range(QUIET_NIGHTS):
            self.night(0.93 + 0.02 * (number % 3), [])
        self.tell(
            self.night(0.62, ["suspect"]), "suspect", "Tonight the score is 31 points lower than in the reference."
        )
        self.tell(self.night(0.63, ["drift"], confirms=True), "drift", LOUD)
        DriftWatch.objects.filter(pk=self.watch.pk).update(state="drifted")

    def run(self, purpose: str) -> EvaluationRun:
        return EvaluationRun.objects.create(
            project=self.demo.project, purpose=purpose, candidate=self.version, channel=self.head.channel,
            set_revision=self.owner.revisions.get(), set_digest=b"", connection=self.connection,
            settings=json.dumps(self.connection.snapshot), plan=json.dumps(PLAN), seed=1, max_calls=10,
            created_by=self.demo.people["emil"],
        )  # fmt: skip

    def end(self, run: EvaluationRun) -> None:
        cell = Cell.objects.create(run=run, case=self.case, arm="candidate", repeat=0, position=0)
        Cell.objects.filter(pk=cell.pk).update(state="calling", fence=1, tries=1)
        Cell.objects.filter(pk=cell.pk).update(state="done", output="Hello", score=1.0, passed=True)
        EvaluationRun.objects.filter(pk=run.pk).update(
            status="done", outcome="PASS", verdict='{"delta":null}', finished_at=run.created_at
        )

    def night(self, score: float, levels: list[str], **fields: Any) -> DriftNight:
        run = self.run("drift")
        self.end(run)
        night = DriftNight.objects.create(watch=self.watch, reference=self.reference, run=run, **fields)
        means = {"score": [0.95, score], "refusals": [0.01, 0.01], "length": [4.1, 4.1]}
        DriftNight.objects.filter(pk=night.pk).update(figures=json.dumps({"levels": levels, "means": means}))
        return night

    def tell(self, night: DriftNight, level: str, sentence: str) -> None:
        DriftFinding.objects.create(watch=self.watch, night=night, level=level, sentence=sentence)
