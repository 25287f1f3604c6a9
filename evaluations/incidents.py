"""What the inbox tells of evaluations: models that drifted, and a demo that is still being made."""

from django.urls import reverse

from accounts.policies import Principal
from evaluations.demo.making import sentence
from evaluations.drift_reading import newest_findings, visible_watches
from evaluations.models import DemoStory, DriftWatch
from prompts.pages.waiting import Incident

MOST = 5


def drifts(principal: Principal) -> list[Incident]:
    """The watches whose drift is not over, the newest first."""
    drifted = visible_watches(principal).filter(state=DriftWatch.State.DRIFTED, enabled=True).order_by("-pk")
    watches = list(drifted[:MOST])
    newest = newest_findings(watches) if watches else {}
    href = reverse("drift", args=(principal.project.name,))
    return [
        Incident(
            f"The model behind {watch.prompt.name} drifted in {watch.rule.channel}",
            newest[watch.pk].sentence if watch.pk in newest else "",
            href,
            "See the figures",
        )
        for watch in watches
    ]


def demo(principal: Principal) -> list[Incident]:
    """While the demo's evaluations are made, and when they could not be."""
    story = DemoStory.objects.filter(project=principal.project).exclude(ended_at__isnull=False, why_not="").first()
    if story is None:
        return []
    title = (
        "The demo’s evaluations stopped half-way" if story.why_not else "The demo’s evaluations are not all there yet"
    )
    return [Incident(title, sentence(story), kind="note")]
