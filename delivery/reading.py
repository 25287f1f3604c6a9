"""What a principal sees of observations and feedback, and where an observation came from."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
from django.db import OperationalError, connection, transaction
from django.db.models import Exists, OuterRef, QuerySet

from accounts.policies import Principal, granted, holds, pattern_condition
from accounts.roles import Permission
from delivery.models import Arm, Feedback, Observation
from delivery.receipts import read_receipt
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.instants import parse_instant
from promptforge.lib.verdicts import require
from prompts.models import Prompt, Release, Review
from prompts.reading import find_channel, find_prompt, find_version
from prompts.selectors import parse_selector
from prompts.shapes import releases_with_all

SEARCH_SECONDS = 5.0
FILTERS = ("trace_id", "session_id", "user", "prompt", "version", "channel", "arm", "receipt")
_COLUMNS = {"trace_id": "trace_id", "session_id": "session_id", "user": "end_user"}


def observations_of(principal: Principal) -> QuerySet[Observation]:
    """The observations of the prompts that the principal may read, or that its key reaches."""
    observations = Observation.objects.filter(project=principal.project)
    if principal.key is not None:
        patterns = principal.key.prompts
        reached = Prompt.objects.filter(pattern_condition(patterns), project=principal.project)
        return observations.filter(prompt__in=reached) if patterns else observations
    if holds(principal.user, Permission.READ, principal.project):
        return observations
    return observations.filter(prompt__in=Prompt.objects.visible_to(principal))


def content_prompts(principal: Principal) -> frozenset[int] | None:
    """Ids of the prompts whose observations are read with what was sent and answered; None: of all that are seen."""
    right = Permission.READ_OBSERVATIONS
    if principal.key is not None or holds(principal.user, right, principal.project):
        return None
    prompts = granted(principal.user, right, Prompt.objects.filter(project=principal.project))
    return frozenset(prompts.values_list("pk", flat=True))


def narrowed(principal: Principal, given: Mapping[str, str]) -> QuerySet[Observation]:
    """Those that fit what an address asks for: `FILTERS`, each by its exact value."""
    observations = observations_of(principal)
    fields: dict[str, Any] = {column: given[name] for name, column in _COLUMNS.items() if name in given}
    if "prompt" in given:
        prompt = find_prompt(principal, given["prompt"], Permission.READ_OBSERVATIONS)
        fields["prompt"] = prompt
        if "version" in given:
            fields["version"] = find_version(prompt, _number(given["version"]))
    elif "version" in given:
        raise DomainError("field_required", "Versions are numbered prompt by prompt: name the prompt too, ?prompt=….")
    if "channel" in given:
        fields["channel"] = find_channel(principal, given["channel"])
    if "arm" in given:
        if given["arm"] not in Arm.values:
            raise DomainError("bad_value", f"{shorten(given['arm'])} is no arm. Arms: {', '.join(Arm.values)}.")
        fields["arm"] = given["arm"]
    if "receipt" in given:
        observations = observations.filter(**_receipt(principal, given["receipt"]))
    return observations.filter(**fields)


def between(rows: QuerySet[Any], given: Mapping[str, str]) -> QuerySet[Any]:
    """Rows dated from `from` on and before `to`."""
    if "from" in given:
        rows = rows.filter(at__gte=parse_instant(given["from"], "from"))
    return rows.filter(at__lt=parse_instant(given["to"], "to")) if "to" in given else rows


def feedback_about(observations: QuerySet[Observation]) -> QuerySet[Feedback]:
    """What was said of these observations, or of the traces that they belong to."""
    same_project = observations.filter(project=OuterRef("project"))
    return Feedback.objects.filter(
        Exists(same_project.filter(uid=OuterRef("observation")))
        | Exists(same_project.filter(trace_id=OuterRef("trace_id")))
    )


def release_behind(observation: Observation) -> Any:
    """The release that made the observed version live on its channel; None for a number, `latest`, or another one."""
    if observation.channel_id is None:
        return None
    ledger = Release.objects.filter(prompt=observation.prompt_id, channel=observation.channel_id)
    if observation.revision is not None:
        return releases_with_all(ledger.filter(revision=observation.revision)).first()
    release = releases_with_all(ledger.as_of(observation.at)).first()
    return release if release and release.version_id == observation.version_id else None


def approvals(promotion_id: int) -> list[Review]:
    """Of each reviewer the newest decision, where it is an approval that was not dismissed."""
    decisions = Review.objects.filter(promotion=promotion_id).exclude(decision="comment")
    newest = decisions.order_by("reviewer_id", "-id").distinct("reviewer_id").select_related("reviewer", "dismissal")
    return [each for each in newest if each.decision == Review.Decision.APPROVE and not hasattr(each, "dismissal")]


def uuid_of(text: str) -> UUID:
    """The id that a caller names; what is none is not found."""
    try:
        return UUID(text)
    except ValueError:
        raise DomainError("not_found", f"There is no observation {shorten(text)} within reach.") from None


@contextmanager
def bounded_search() -> Iterator[None]:
    """Refuse a search that PostgreSQL does not finish in time, instead of holding everybody else up."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{SEARCH_SECONDS * 1000:.0f}ms"])
            yield
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise
        raise DomainError(
            "too_large", f"Looking through that much takes more than {SEARCH_SECONDS:.0f} seconds. Narrow it by from "
            "and to, or by prompt, user, session or trace."
        ) from None  # fmt: skip


def saying(observations: Any, text: str, principal: Principal, content: frozenset[int] | None) -> Any:
    """Those with this part in their output, case ignored, among those whose content may be read."""
    if content is not None:
        if not content:
            require(principal.may(Permission.READ_OBSERVATIONS))
        observations = observations.filter(prompt__in=content)
    return observations.filter(output__icontains=text)


def _number(text: str) -> int:
    number = parse_selector(text).number
    if number is None:
        raise DomainError("bad_version", f"{shorten(text)} is no number; an observation has the number of its version.")
    return number


def _receipt(principal: Principal, text: str) -> dict[str, Any]:
    receipt = read_receipt(text)
    if receipt is None or receipt.project != principal.project.pk:
        raise DomainError(
            "bad_receipt", "receipt is none of this project. Send it as the fetch answered it, unchanged."
        )
    return {
        "version": receipt.version,
        "channel": receipt.channel,
        "revision": receipt.revision,
        "arm": receipt.arm,
    }
