"""What every template can say without loading anything: icons, states, channels, people, moments and numbers."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django import template
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from promptforge.lib.errors import DomainError
from promptforge.lib.ids import encode

register = template.Library()
THEMES = ("light", "dark")

# What a state is called where nothing more exact is said.
WORDS = {
    "passed": "Passed",
    "failed": "Failed",
    "waiting": "Waiting",
    "running": "Running",
    "advice": "Advice",
    "stale": "Out of date",
    "waived": "Waived",
    "not_required": "Not required",
    "note": "Note",
    "open": "To do",
}
_CHANNEL_SHAPES = {"stable": "square", "staging": "diamond", "dev": "circle", "latest": "ring", "draft": "ring"}


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """One symbol of the sprite; it says nothing of its own to a screen reader."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true"><use href="{}#{}"/></svg>', classes, static("icons/sprite.svg"), name
    )


@register.simple_tag
def state(name: str) -> SafeString:
    """The shape of a state in its colour; the word stands beside it."""
    return icon(f"status-{name}", f"is-{name}")


@register.simple_tag
def badge(name: str, word: str = "") -> SafeString:
    """A state as shape, word and colour."""
    return format_html('<span class="badge is-{}">{}{}</span>', name, icon(f"status-{name}"), word or WORDS[name])


def channel_shape(name: str) -> str:
    return _CHANNEL_SHAPES.get(name, "triangle")


@register.simple_tag
def channel_icon(name: str) -> SafeString:
    return icon(f"channel-{channel_shape(name)}")


@register.simple_tag
def channel(name: str, number: int | str | None = None, share: str = "", href: str = "") -> SafeString:
    """A channel's tag: shape and name, its version, and beside it the canary (`13 · 10 %`)."""
    inside = format_html("<span>{}{}</span>", channel_icon(name), name)
    if number is not None:
        inside += format_html('<span class="number">{}</span>', number)
    if share:
        inside += format_html('<span class="share">{}{}</span>', icon("channel-canary"), share)
    classes = "channel live" if name == "stable" else "channel"
    if href:
        return format_html('<a class="{}" href="{}">{}</a>', classes, href, inside)
    return format_html('<span class="{}">{}</span>', classes, inside)


@register.simple_tag
def initial(person: Any) -> SafeString:
    return format_html('<span class="initial" aria-hidden="true">{}</span>', str(person)[:1].upper())


@register.filter
def first_name(person: Any) -> str:
    """How people call one another; a name that is an address or a key stays whole."""
    text = str(person)
    return text if "@" in text or getattr(person, "kind", "person") == "service" else text.split(maxsplit=1)[0]


@register.filter
def thousands(number: int) -> str:
    return f"{number:,}"


@register.filter
def when(moment: datetime | None) -> SafeString | str:
    """A moment as people say it, exact where one looks closer and for a screen reader."""
    if moment is None:
        return ""
    return _time(moment, said(moment, timezone.now()))


@register.filter
def at_clock(moment: datetime | None) -> SafeString | str:
    """A moment by date and clock: `3 Nov, 16:20`."""
    if moment is None:
        return ""
    moment = moment.astimezone(UTC)
    year = "" if moment.year == timezone.now().year else f" {moment.year}"
    return _time(moment, f"{moment.day} {moment:%b}{year}, {moment:%H:%M}")


@register.filter
def weekday_date(moment: datetime) -> str:
    """A day in words, in the zone that the moment has: `Tuesday 17 November 2026`."""
    return f"{moment:%A} {moment.day} {moment:%B %Y}"


@register.filter
def clock(moment: datetime) -> str:
    """A time of day, in the zone that the moment has: Django's own filters would turn it into UTC."""
    return f"{moment:%H:%M}"


def exact(moment: datetime) -> str:
    moment = moment.astimezone(UTC)
    return f"{moment:%A} {moment.day} {moment:%B %Y}, {moment:%H:%M:%S} UTC"


def _time(moment: datetime, words: str) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}">{}<span class="visually-hidden">, {}</span></time>',
        moment.astimezone(UTC).isoformat(timespec="seconds"),
        exact(moment),
        words,
        exact(moment),
    )


def said(moment: datetime, now: datetime) -> str:
    """`2 hours ago`, `yesterday`, `Wednesday`, `16 November`; the same for what is to come."""
    moment, now = moment.astimezone(UTC), now.astimezone(UTC)
    seconds, days = (now - moment).total_seconds(), (now.date() - moment.date()).days
    if abs(seconds) < 60:
        return "just now" if seconds >= 0 else "in a moment"
    for unit, size, limit in (("minute", 60, 3600), ("hour", 3600, 43_200)):
        if abs(seconds) < limit:
            count = int(abs(seconds) // size)
            words = f"{count} {unit}{'' if count == 1 else 's'}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
    if days in (0, 1, -1):
        return f"{('today', 'yesterday', 'tomorrow')[days]}, {moment:%H:%M}"
    if 0 < days < 7:
        return f"{moment:%A}"
    year = "" if moment.year == now.year else f" {moment.year}"
    return f"{moment.day} {moment:%B}{year}"


@register.simple_tag(takes_context=True)
def theme(context: template.Context) -> str:
    """The theme that was chosen in this browser, or nothing: then the system's is taken."""
    request: HttpRequest | None = context.get("request")
    chosen = request.COOKIES.get("theme", "") if request is not None else ""
    return chosen if chosen in THEMES else ""


@register.filter
def at(refusal: DomainError | None, field: str) -> str:
    """What a refusal says of one field of a form: by its pointer, or by a code that begins with the field's name."""
    if not refusal:  # absent from a context, it is an empty text
        return ""
    for fault in refusal.faults:
        if fault.pointer == f"/{field}" or fault.pointer.startswith(f"/{field}/"):
            return fault.detail
    return refusal.detail if refusal.code.startswith(f"{field}_") else ""


@register.filter
def opaque(number: int, prefix: str) -> str:
    """The id by which addresses name a row: `{{ promotion.pk|opaque:"pro" }}`."""
    return encode(prefix, number)


@register.filter
def of(key: str, words: Mapping[str, str]) -> str:
    """What a value is called: `{{ role|of:label_of }}`."""
    return words.get(key, key)
