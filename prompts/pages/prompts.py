"""Prompts: every prompt of the project, with what is live of each."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from accounts.pages.door import ProjectPage
from prompts.models import Prompt
from prompts.pages import listing

PER_PAGE = 40


class PromptsPage(ProjectPage):
    place = "prompts"

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = {name: request.GET.get(name, "").strip() for name in ("q", "folder", "tag", "state", "sort")}
        visible = Prompt.objects.visible_to(self.principal)
        everything, archived = visible.filter(archived_at=None), visible.exclude(archived_at=None)
        counts = listing.counts(everything, self.principal.project) | {"archived": archived.count()}
        counted = listing.folders(everything)
        narrowed = self._narrowed(archived if asked["state"] == "archived" else everything, asked)
        paginator = Paginator(self._sorted(narrowed, asked, counts), PER_PAGE)
        page = paginator.get_page(request.GET.get("page"))
        shown = listing.in_order(list(page.object_list)) if asked["q"] else list(page.object_list)
        return self.show(
            "prompts/prompts.html",
            {
                "asked": asked,
                "counts": counts,
                "filters": [(name, words, counts[name]) for name, words in listing.FILTERS.items()],
                "folders": _tree(counted, asked["folder"]),
                "tops": sum("/" not in path for path in counted),
                "tags": listing.tags(everything),
                "page": page,
                "rows": listing.rows(shown),
                "is_narrowed": any(asked[name] for name in ("q", "folder", "tag", "state")),
            },
            part="answer",
        )

    def _narrowed(self, prompts: QuerySet[Prompt], asked: dict[str, str]) -> QuerySet[Prompt]:
        if asked["q"]:
            prompts = listing.matching(prompts, asked["q"][:200])
        if asked["folder"]:
            prompts = prompts.filter(name__startswith=f"{asked['folder']}/")
        if asked["tag"]:
            prompts = prompts.filter(tags__contains=[asked["tag"]])
        if asked["state"] in listing.FILTERS and asked["state"] != "archived":
            prompts = listing.filtered(prompts, self.principal.project, asked["state"])
        return prompts

    def _sorted(self, prompts: QuerySet[Prompt], asked: dict[str, str], counts: dict[str, int]) -> Any:
        """What is cut into pages; of a search the ids, for looking through every text once is enough."""
        by_name = asked["sort"] == "name"
        if asked["q"]:
            found = prompts.order_by("name") if by_name else listing.by_last_change(prompts)
            return list(found.values_list("pk", flat=True))
        is_counted = not (asked["folder"] or asked["tag"])
        count = counts.get(asked["state"], counts["all"]) if is_counted else prompts.count()
        return prompts.order_by("name") if by_name else listing.ByLastChange(prompts, count)


def _tree(counted: dict[str, int], chosen: str) -> list[dict[str, Any]]:
    """The folders to show: those at the top, and those on the way to the chosen one and right below it."""
    shown = []
    for path in sorted(counted):
        above, _, name = path.rpartition("/")
        if not above or chosen == above or chosen.startswith(f"{above}/"):
            shown.append({"path": path, "name": name, "count": counted[path], "depth": path.count("/")})
    return shown
