"""The memory in the admin: read by whoever may see the project, changed by nobody."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from events.admin.seen import ProjectFilter, RememberedAdmin, RowsInline, SeenAdmin, shown_as
from events.models import (
    Delivery,
    DeliveryAttempt,
    Event,
    EventSeal,
    Letter,
    ServedChange,
    Serving,
    WebhookEndpoint,
)


@admin.register(Event)
class EventAdmin(SeenAdmin):
    project_lookup = "project_id"
    shown = ("id", "project_id", "kind", "actor_kind", "actor_id", "subject_kind", "subject_id", "data", "at", "place")
    list_display = ("at", "place", "kind", "project_id", "actor", "subject", "said")
    list_filter = (ProjectFilter, "kind")
    list_select_related = ("seal",)
    search_fields = ("kind", "data")
    date_hierarchy = "at"

    @shown_as("Actor", "actor_id")
    def actor(self, event: Event) -> str:
        return f"{event.actor_kind} {event.actor_id}"

    @shown_as("Subject", "subject_id")
    def subject(self, event: Event) -> str:
        return f"{event.subject_kind} {event.subject_id}"

    @shown_as("Data")
    def said(self, event: Event) -> SafeString:
        return format_html('<span class="said">{}</span>', Truncator(event.data).chars(90))

    @shown_as("Seal", "seal__seq")
    def place(self, event: Event) -> int | None:
        """The event's place in the chain of its project; none while its transaction is not committed."""
        return event.seal.seq if hasattr(event, "seal") else None


@admin.register(EventSeal)
class EventSealAdmin(SeenAdmin):
    project_lookup = "project_id"
    shown = ("project_id", "seq", "event", "fingerprint")
    list_display = ("seq", "project_id", "event", "fingerprint")
    list_select_related = ("event",)
    search_fields = ("event__kind",)

    @shown_as("Digest")
    def fingerprint(self, seal: EventSeal) -> str:
        return f"sha256:{bytes(seal.digest).hex()}"


@admin.register(Serving)
class ServingAdmin(SeenAdmin):
    project_lookup = "project_id"
    shown = ("project_id", "generation", "epoch", "transaction")
    list_display = ("project_id", "generation", "epoch")


@admin.register(ServedChange)
class ServedChangeAdmin(SeenAdmin):
    project_lookup = "project_id"
    shown = ("project_id", "generation", "kind", "subject_id")
    list_display = ("generation", "project_id", "kind", "subject_id")
    list_filter = (ProjectFilter, "kind")


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(RememberedAdmin):
    """By its host alone: the rest of an address may be a secret, and staff who may not configure look here too."""

    project_lookup = "project_id"
    shown = (
        "project_id",
        "host",
        "events",
        "format",
        "enabled",
        "failing_since",
        "previous_ends_at",
        "created_at",
        "removed_at",
    )
    list_display = ("host", "project_id", "events", "format", "enabled", "failing_since", "removed_at")
    list_filter = (ProjectFilter, "enabled")
    subject_kind = "webhook"

    def get_history_queryset(self, request: HttpRequest, history_manager: Any, pk_name: str, object_id: Any) -> Any:
        """The library would join the foreign keys of the model, and this one has none."""
        return history_manager.filter(**{pk_name: object_id})


class AttemptInline(RowsInline):
    model = DeliveryAttempt
    fields = ("at", "status", "outcome", "milliseconds")
    show_change_link = False


@admin.register(Delivery)
class DeliveryAdmin(SeenAdmin):
    project_lookup = "endpoint__project_id"
    shown = ("endpoint", "event", "state", "tries", "next_at", "delivered_at")
    list_display = ("id", "endpoint", "event", "state", "tries", "next_at", "delivered_at")
    list_filter = (ProjectFilter, ("next_at", admin.EmptyFieldListFilter), ("delivered_at", admin.EmptyFieldListFilter))
    list_select_related = ("endpoint", "event")
    inlines = (AttemptInline,)


@admin.register(Letter)
class LetterAdmin(SeenAdmin):
    project_lookup = "event__project_id"
    shown = ("event", "person_id", "tries", "next_at", "sent_at")
    list_display = ("event", "person_id", "tries", "next_at", "sent_at")
    list_select_related = ("event",)
