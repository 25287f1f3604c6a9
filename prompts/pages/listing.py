"""What the list of prompts asks of the database: a fixed number of questions, however many prompts there are."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, F, Func, Max, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Greatest, Left, Length, Reverse, StrIndex

from accounts.models import Project
from prompts.checks import lines, status
from prompts.models import Channel, Head, Promotion, Prompt, PromptVersion, Release
from prompts.standing import standings

LONG = ("content", "source", "variables", "config")
_NEWEST = PromptVersion.objects.filter(prompt=OuterRef("pk"), number=OuterRef("next_number") - 1)
_MOVED = (
    Release.objects.filter(prompt=OuterRef("pk")).order_by().values("prompt").annotate(last=Max("at")).values("last")
)
# The saved filters: how each is called.
FILTERS = {
    "open": "Has open promotion",
    "behind": "Stable behind newest",
    "never": "Never promoted",
    "archived": "Archived",
}
# By ids, which an index holds: the numbers stand in rows as long as their texts.
_BEHIND = Exists(PromptVersion.objects.filter(prompt=OuterRef("prompt"), pk__gt=OuterRef("version")))


@dataclass(frozen=True)
class Row:
    """One prompt as the list shows it."""

    prompt: Prompt
    heads: Sequence[Head]
    newest: PromptVersion
    promotion: Promotion | None
    status: str
    changed_at: datetime
    changed_by: Any


def by_last_change(prompts: QuerySet[Prompt]) -> QuerySet[Prompt]:
    """All of them in that order, each asked when it changed."""
    saved = Subquery(_NEWEST.values("created_at")[:1])  # PostgreSQL's greatest passes over what is not there
    return prompts.annotate(changed=Greatest(saved, Subquery(_MOVED))).order_by("-changed", "name")


class ByLastChange:
    """Prompts by when a version was saved or a channel moved, the newest first, to be cut into pages.

    The first pages of many are among the last that were saved and the last that moved, and indexes know both: when each
    of ten thousand prompts changed is not asked. Of few, and far down, it is.
    """

    FEW = 1_000

    def __init__(self, prompts: QuerySet[Prompt], count: int) -> None:
        self.prompts = prompts
        self.total = count

    def count(self) -> int:
        return self.total

    def __getitem__(self, part: slice) -> list[Prompt]:
        prompts = self.prompts
        if part.stop <= self.FEW < self.total:
            prompts = Prompt.objects.filter(pk__in=self._newest(part.stop))
        return list(by_last_change(prompts)[part])

    def _newest(self, most: int) -> QuerySet[Prompt, int]:
        newest = self.prompts.filter(versions__number=F("next_number") - 1)
        saved = newest.order_by("-versions__created_at").values_list("pk", flat=True)[:most]
        moved = self.prompts.filter(heads__release__isnull=False).order_by("-heads__release__at")
        # A prompt stands there once for each channel, so as many more are needed to meet as many different ones.
        channels = Channel.objects.filter(project__in=self.prompts.values("project")[:1]).count()
        return saved.union(moved.values_list("pk", flat=True)[: most * channels])


def matching(prompts: QuerySet[Prompt], words: str) -> QuerySet[Prompt]:
    """Those whose name, purpose or newest text has these words."""
    # Asked for as a value: a condition on versions PostgreSQL might turn round, and look through the older ones too.
    prompts = prompts.alias(text=Subquery(_NEWEST.values("content")[:1]))
    return prompts.filter(Q(name__icontains=words) | Q(description__icontains=words) | Q(text__icontains=words))


def counts(prompts: QuerySet[Prompt], project: Project) -> dict[str, int]:
    """How many there are in all, and behind each filter; asked of whole tables, not prompt by prompt."""
    every, stands = (
        prompts.count(),
        _stable(project).filter(prompt__in=prompts).aggregate(live=Count("pk"), behind=Count("pk", filter=_BEHIND)),
    )
    with_open = _open(prompts).values("prompt").distinct().count()
    return {"all": every, "open": with_open, "behind": stands["behind"], "never": every - stands["live"]}


def filtered(prompts: QuerySet[Prompt], project: Project, name: str) -> QuerySet[Prompt]:
    """Those that a saved filter leaves."""
    if name == "open":
        return prompts.filter(Exists(Promotion.objects.filter(prompt=OuterRef("pk"), state=Promotion.State.OPEN)))
    stable = _stable(project).filter(prompt=OuterRef("pk"))
    return prompts.filter(Exists(stable.filter(_BEHIND)) if name == "behind" else ~Exists(stable))


def _stable(project: Project) -> QuerySet[Head]:
    stable = Channel.objects.filter(project=project, name="stable").values("pk")
    return Head.objects.filter(channel=Subquery(stable[:1]), version__isnull=False)


def _open(prompts: QuerySet[Prompt]) -> QuerySet[Promotion]:
    return Promotion.objects.filter(prompt__in=prompts, state=Promotion.State.OPEN)


def folders(prompts: QuerySet[Prompt]) -> Counter[str]:
    """How many prompts each folder holds, those in folders below it included."""
    folder = Left("name", Length("name") - StrIndex(Reverse("name"), Value("/")))
    found: Counter[str] = Counter()
    for name, count in prompts.filter(name__contains="/").order_by().values_list(folder).annotate(Count("pk")):
        parts = name.split("/")
        for depth in range(1, len(parts) + 1):
            found["/".join(parts[:depth])] += count
    return found


def tags(prompts: QuerySet[Prompt]) -> list[tuple[str, int]]:
    tag = Func(F("tags"), function="unnest")
    return list(prompts.order_by().values_list(tag).annotate(count=Count("pk")).order_by("-count")[:30])


def in_order(ids: Sequence[int]) -> list[Prompt]:
    found = Prompt.objects.in_bulk(ids)
    return [found[pk] for pk in ids]


def rows(prompts: Iterable[Prompt]) -> list[Row]:
    """The prompts of one page with their channels, their newest open promotion, and who changed them last."""
    shown = {prompt.pk: prompt for prompt in prompts}
    heads: dict[int, list[Head]] = {pk: [] for pk in shown}
    for head in (
        Head.objects.filter(prompt__in=shown, version__isnull=False)
        .select_related("channel", "version", "release__actor")
        .defer(*(f"version__{text}" for text in LONG))
        .order_by("channel__position", "channel__name")
    ):
        heads[head.prompt_id].append(head)
    newest = {
        version.prompt_id: version
        for version in PromptVersion.objects.filter(prompt__in=shown, number=F("prompt__next_number") - 1)
        .select_related("author")
        .defer(*LONG)
    }
    promotions = {row.prompt_id: row for row in Promotion.objects.filter(prompt__in=shown, state="OPEN").order_by("pk")}
    states = {each.promotion.pk: status(each, lines(each)) for each in standings(promotions.values())}
    return [_row(prompt, heads[pk], newest[pk], promotions.get(pk), states) for pk, prompt in shown.items()]


def _row(
    prompt: Prompt, heads: list[Head], newest: PromptVersion, promotion: Promotion | None, states: dict[int, str]
) -> Row:
    changes = [(newest.created_at, newest.author)]
    changes += [(head.release.at, head.release.actor) for head in heads if head.release is not None]
    at, who = max(changes, key=lambda change: change[0])
    state = "" if promotion is None else states[promotion.pk]
    return Row(prompt, heads, newest, promotion, state, at, who)
