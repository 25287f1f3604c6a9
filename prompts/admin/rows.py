"""What the pages of this app share: rows of the prompts that may be seen, and texts shown as they were written."""

import json
from functools import reduce
from operator import or_
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.policies import Principal
from events.admin.seen import SeenAdmin, projects_seen
from prompts.models import Prompt


def visible_prompts(request: HttpRequest) -> QuerySet[Prompt]:
    """The prompts that a staff member may read, over all the projects that they are a member of."""
    user: Any = request.user
    readable = (Prompt.objects.visible_to(Principal(user, project)) for project in projects_seen(request))
    return reduce(or_, readable, Prompt.objects.none())


class PromptRowsAdmin(SeenAdmin):
    """Rows that belong to one prompt each."""

    prompt_lookup: ClassVar[str] = "prompt"
    project_lookup = "prompt__project"

    def narrowed(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(**{f"{self.prompt_lookup}__in": visible_prompts(request).values("pk")})


def written(text: str) -> SafeString:
    """Text with its blanks and line ends, never as markup."""
    # The line end after <pre> is the one that a browser leaves out: a text that begins with one keeps it.
    return format_html('<pre class="written" tabindex="0" dir="auto">\n{}</pre>', text)


def as_json(value: Any) -> SafeString:
    return written(json.dumps(value, ensure_ascii=False, indent=2))
