"""A version that a drift watch follows, night by night."""

from datetime import timedelta

from django.utils import timezone

from evaluations.actions.rules import add_rule
from evaluations.models import DriftFinding, DriftNight, DriftWatch
from evaluations.running.engine import work
from evaluations.watching import sweep
from tests.evaluations.running import Bench
from tests.guards.attacks import forge_release


class Watched:
    """A version live on stable under a rule; `night` passes the hours until the next run is due, and judges it."""

    def __init__(self, bench: Bench, live: int = 1) -> None:
        self.bench, self.team, self.now = bench, bench.team, timezone.now()
        forge_release(bench.prompt, self.team.stable, self.team.version(bench.prompt, live), self.team.cleo)
        add_rule(by=self.team.cleo, channel=self.team.stable, evaluation_set=bench.owner, connection=bench.connection)
        self.sweep()

    def sweep(self) -> None:
        sweep(self.now)
        work(100)
        sweep(self.now)

    @property
    def watch(self) -> DriftWatch:
        return DriftWatch.objects.select_related("reference", "rule__channel").get()

    def night(self) -> DriftNight:
        before = DriftNight.objects.count()
        self.now = (self.watch.next_at or self.now + timedelta(hours=25)) + timedelta(seconds=1)
        self.sweep()
        assert DriftNight.objects.count() == before + 1
        return DriftNight.objects.select_related("run").latest("pk")

    def levels(self) -> list[str]:
        return list(DriftFinding.objects.order_by("pk").values_list("level", flat=True))

    @property
    def said(self) -> str:
        return DriftFinding.objects.latest("pk").sentence
