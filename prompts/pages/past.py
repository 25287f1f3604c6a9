"""What was live at an instant, and the ledger around it: the questions that History asks of the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils.dateparse import parse_date, parse_time

from accounts.policies import Principal
from promptforge.lib.errors import DomainError, Fault, shorten
from prompts.models import Head, Prompt, Release
from prompts.pages.listing import LONG
from prompts.reading import find_channel

_WITH_ALL = ("prompt", "channel", "version", "canary_version", "actor", "promotion")
_LONG = [f"{version}__{text}" for version in ("version", "canary_version") for text in LONG]


@dataclass(frozen=True)
class Asked:
    """A question to the past: when (None: nothing was asked yet), in which zone, of which prompts and channel."""

    at: datetime | None
    zone: ZoneInfo
    of: str
    channel: str

    @property
    def place(self) -> str:
        return place(self.zone)

    @property
    def local(self) -> datetime | None:
        return None if self.at is None else self.at.astimezone(self.zone)


def read(given: Mapping[str, str]) -> Asked:
    """The question of a form or an address; what cannot be read is refused at its field."""
    at, zone = instant(given)
    if at is not None and at > datetime.now(UTC):
        raise _wrong("date", "This moment lies in the future, and nobody knows yet what will be live then.")
    return Asked(at, zone, given.get("of", "").strip(), given.get("channel", "stable").strip() or "stable")


def instant(given: Mapping[str, str]) -> tuple[datetime | None, ZoneInfo]:
    """The moment that the fields date, time and zone name, None without a date; and the zone."""
    zone = given.get("zone", "").strip() or "UTC"
    if zone not in available_timezones():
        raise _wrong("zone", f"{shorten(zone)} is no time zone. Write it as Europe/Vienna, or UTC.")
    day, clock = given.get("date", "").strip(), given.get("time", "").strip() or "00:00"
    if not day:
        return None, ZoneInfo(zone)
    try:
        at = datetime.combine(_date(day), _time(clock), tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except OverflowError:  # the first or the last day that can be written, moved over the edge by its zone
        raise _wrong("date", f"{shorten(day)} is too far away. Write a day of your lifetime.") from None
    return at, ZoneInfo(zone)


def place(zone: ZoneInfo) -> str:
    """A zone as people call it."""
    return "UTC" if zone.key == "UTC" else f"in {zone.key.rpartition('/')[2].replace('_', ' ')}"


def _date(text: str) -> Any:
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None:
        raise _wrong("date", f"{shorten(text)} is no day. Write it as 2026-11-17.")
    return day


def _time(text: str) -> Any:
    try:
        clock = parse_time(text)
    except (ValueError, ValidationError):
        clock = None
    if clock is None:
        raise _wrong("time", f"{shorten(text)} is no time of day. Write it as 10:00.")
    return clock


def _wrong(name: str, sentence: str) -> DomainError:
    return DomainError("bad_value", sentence, [Fault(f"/{name}", "bad_value", sentence)])


def prompts_of(principal: Principal, of: str) -> QuerySet[Prompt]:
    """The prompts that are asked about: one by its name, those of a folder, or all that may be seen."""
    visible = Prompt.objects.visible_to(principal)
    if not of:
        return visible
    if visible.filter(name=of).exists():
        return visible.filter(name=of)
    inside = visible.filter(name__startswith=f"{of.rstrip('/')}/")
    if not inside.exists():
        raise _wrong("of", f"There is no prompt and no folder {shorten(of)} within reach.")
    return inside


def live_at(principal: Principal, prompts: QuerySet[Prompt], asked: Asked) -> list[int]:
    """The ids of the ledgers' rows that counted at the instant, by their prompts' names."""
    channel = find_channel(principal, asked.channel)
    stood = Release.objects.filter(prompt=OuterRef("prompt"), channel=OuterRef("channel"), at__lte=asked.at).order_by(
        "-revision"
    )
    heads = Head.objects.filter(prompt__in=prompts, channel=channel).order_by("prompt__name")
    return [pk for pk in heads.values_list(Subquery(stood.values("pk")[:1]), flat=True) if pk is not None]


def told(ids: list[int]) -> list[Any]:
    """The rows behind `live_at`, each with `until` (None: it still counts) and `now`, the number that is live now."""
    following = Release.objects.filter(
        prompt=OuterRef("prompt"), channel=OuterRef("channel"), revision=OuterRef("revision") + 1
    )
    standing = Head.objects.filter(prompt=OuterRef("prompt"), channel=OuterRef("channel"))
    rows = (
        Release.objects.filter(pk__in=ids)
        .select_related(*_WITH_ALL)
        .defer(*_LONG)
        .annotate(until=Subquery(following.values("at")[:1]), now=Subquery(standing.values("version__number")[:1]))
    )
    by_id = {row.pk: row for row in rows}
    return [by_id[pk] for pk in ids]


def ledger(prompts: QuerySet[Prompt], asked: Asked) -> QuerySet[Release]:
    """The releases of these prompts up to the instant, newest first."""
    rows = Release.objects.filter(prompt__in=prompts).order_by("-pk")
    return rows if asked.at is None else rows.filter(at__lte=asked.at)


def with_all(rows: QuerySet[Release]) -> QuerySet[Release]:
    """Releases with everything that is shown of them."""
    return rows.select_related(*_WITH_ALL).defer(*_LONG)


def whole(rows: QuerySet[Release]) -> list[Release]:
    """The few rows that a slice leaves. Which they are is asked first: joined before it is cut, a ledger is long."""
    found = with_all(Release.objects.filter(pk__in=list(rows.values_list("pk", flat=True))))
    return sorted(found, key=lambda row: row.pk, reverse=True)
