"""Carrying events to webhook endpoints: one pump for each database, in which no endpoint waits for another.

The pump turns seals into deliveries, takes what is due, calls receivers in threads, and writes down what they said.
Threads touch no database, and the pump no receiver: one that hangs holds its own thread, and nothing else.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now
from django.utils import timezone

from events.actions import SYSTEM, record
from events.fence import is_fenced
from events.kinds import EventKind
from events.models import ALL_KINDS, Delivery, DeliveryAttempt, WebhookEndpoint
from events.telling import Told, tell
from events.webhooks import GONE, pause_after, signed_headers, slack_body, standard_body
from promptforge.lib import http
from promptforge.lib.errors import DomainError
from promptforge.lib.only_one import let_go, only_one
from promptforge.lib.sealing import Unsealable, unseal

log = logging.getLogger("promptforge.webhooks")

SECONDS = 15.0  # for one call; the specification says 15 to 30
LEASE = timedelta(seconds=60)  # longer than any call: what is not settled by then is due again
PATIENCE = timedelta(days=3)  # how long an endpoint may fail without a single success
THREADS = 200
APIECE, CROWDED = 8, 64  # calls at once to one endpoint; beyond so many in all, and to one that fails, a single one
PAUSE = 0.2  # seconds between two looks at the database while calls are under way
LONGEST_RUN = 60.0  # seconds after which a pump makes room for the next, so that no task lasts for ever
_LOCK = 20553

# One statement, so one snapshot: the cursor moves over exactly the seals that were looked at.
_PLAN = """
WITH behind AS (
    SELECT e.id, e.cursor, newest.seq FROM events_webhookendpoint e
    CROSS JOIN LATERAL (
        SELECT seq FROM events_eventseal s WHERE s.project_id = e.project_id ORDER BY seq DESC LIMIT 1
    ) newest
    WHERE e.enabled AND e.removed_at IS NULL AND newest.seq > e.cursor FOR NO KEY UPDATE OF e SKIP LOCKED
), planned AS (
    INSERT INTO events_delivery (endpoint_id, event_id, next_at, tries)
    SELECT e.id, v.id, now(), 0 FROM behind JOIN events_webhookendpoint e USING (id)
    JOIN events_eventseal s ON s.project_id = e.project_id AND s.seq > behind.cursor AND s.seq <= behind.seq
    JOIN events_event v ON v.id = s.event_id
    WHERE v.kind <> %(tested)s AND e.events && ARRAY[v.kind, %(all)s]::varchar[] ORDER BY s.seq
    ON CONFLICT DO NOTHING
)
UPDATE events_webhookendpoint e SET cursor = behind.seq FROM behind WHERE e.id = behind.id
"""
# Of each endpoint's due deliveries as many as it has room for, those that waited longest first.
_TAKE = """
UPDATE events_delivery d SET next_at = now() + make_interval(secs => %(lease)s), tries = d.tries + 1
FROM unnest(%(endpoints)s::bigint[], %(room)s::int[]) AS room (endpoint_id, n)
CROSS JOIN LATERAL (
    SELECT id FROM events_delivery due WHERE due.endpoint_id = room.endpoint_id AND due.next_at <= now()
    ORDER BY next_at, id LIMIT room.n FOR UPDATE SKIP LOCKED
) taken
WHERE d.id = taken.id RETURNING d.id
"""


class Parcel(NamedTuple):
    """One delivery ready to be sent; `taken_until` is the lease under which it was taken."""

    delivery_id: int
    endpoint_id: int
    tries: int
    taken_until: datetime
    url: str
    signed: dict[str, str] | None  # the headers; None when the secret cannot be read
    body: bytes


class Outcome(NamedTuple):
    """What came of one call."""

    status: int | None
    words: str
    milliseconds: int = 0

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def pump(longest: float = LONGEST_RUN) -> bool:
    """Send everything that is due, unless another pump does; returns whether it gave up its turn with work left."""
    if is_fenced():
        return False
    with only_one(_LOCK) as mine:
        return mine and _pump(time.monotonic() + longest)


def _pump(ends: float) -> bool:
    flying: dict[Future[Outcome], Parcel] = {}
    with ThreadPoolExecutor(THREADS, thread_name_prefix="webhook") as pool:
        while True:
            is_late = time.monotonic() > ends
            if is_late:
                let_go(_LOCK)  # the next pump goes on, while the last calls of this one end
            else:
                plan()
                for parcel in take(Counter(parcel.endpoint_id for parcel in flying.values())):
                    flying[pool.submit(send, parcel)] = parcel
            if not flying:
                return is_late
            done, _ = wait(flying, timeout=PAUSE, return_when=FIRST_COMPLETED)
            settle([(flying.pop(future), future.result()) for future in done])


# --- From seals to deliveries ----------------------------------------------------------------------------------------
def plan() -> None:
    """Make a delivery of every event that an endpoint wants, in the order of the seals: none is passed over."""
    with connection.cursor() as cursor:
        cursor.execute(_PLAN, {"tested": EventKind.WEBHOOK_TESTED.value, "all": ALL_KINDS})


# --- From deliveries to calls ----------------------------------------------------------------------------------------
def take(flying: Counter[int]) -> list[Parcel]:
    """Lease what is due, for each endpoint as much as it may have under way beside what is `flying` already."""
    due = Delivery.objects.filter(endpoint=OuterRef("pk"), next_at__lte=Now())
    endpoints = {e.pk: e for e in WebhookEndpoint.objects.standing().filter(Exists(due), enabled=True)}
    room = _room(endpoints.values(), flying.copy())
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {"endpoints": list(room), "room": list(room.values()), "lease": LEASE.total_seconds()})
        taken = [pk for (pk,) in cursor.fetchall()]
    rows = list(Delivery.objects.filter(pk__in=taken).select_related("event__seal").order_by("pk")) if taken else []
    keys = {pk: _keys(endpoints[pk]) for pk in {row.endpoint_id for row in rows}}
    told = tell([row.event.seal for row in rows])
    return [
        _parcel(endpoints[row.endpoint_id], row, keys[row.endpoint_id], said)
        for row, said in zip(rows, told, strict=True)
    ]


def _room(endpoints: Iterable[WebhookEndpoint], flying: Counter[int]) -> dict[int, int]:
    """How many more calls each endpoint may have under way."""
    room = {}
    for endpoint in endpoints:
        is_calm = endpoint.failing_since is None and flying.total() < CROWDED
        most = min((APIECE if is_calm else 1) - flying[endpoint.pk], THREADS - flying.total())
        if most > 0:
            room[endpoint.pk] = most
            flying[endpoint.pk] += most
    return room


def _keys(endpoint: WebhookEndpoint) -> list[str] | None:
    try:
        return secrets_of(endpoint)
    except Unsealable:
        log.exception("%s sends nothing", endpoint)
        return None


def _parcel(endpoint: WebhookEndpoint, row: Delivery, keys: list[str] | None, told: Told) -> Parcel:
    assert row.next_at is not None
    body = body_of(endpoint, told)
    signed = (
        None
        if keys is None
        else signed_headers(message_id=row.message_id, timestamp=int(time.time()), body=body, keys=keys)
    )
    return Parcel(row.pk, endpoint.pk, row.tries, row.next_at, endpoint.url, signed, body)


def body_of(endpoint: WebhookEndpoint, told: Told) -> bytes:
    if endpoint.format == WebhookEndpoint.Format.SLACK:
        return slack_body(told.sentence, told.url)
    return standard_body(told.fields)


def secrets_of(endpoint: WebhookEndpoint) -> list[str]:
    """What signs now: the secret, and for a while after a rotation the one before it."""
    sealed = [endpoint.secret]
    if endpoint.previous_secret and endpoint.previous_ends_at and endpoint.previous_ends_at > timezone.now():
        sealed.append(endpoint.previous_secret)
    return [unseal(bytes(secret), endpoint.place) for secret in sealed]


def send(parcel: Parcel) -> Outcome:
    """Call the receiver once; of what it answers only the status counts."""
    if parcel.signed is None:
        return Outcome(None, "Its secret cannot be read.")
    began, status = time.monotonic(), None
    headers = {"Content-Type": "application/json"} | parcel.signed
    try:
        status = http.request("POST", parcel.url, headers=headers, body=parcel.body, seconds=SECONDS, largest=0).status
        words = "Received." if 200 <= status < 300 else f"It answered {status}."
        if 300 <= status < 400:
            words = f"It answered {status}: redirects are not followed. Name the final address."
    except (DomainError, http.Unreachable) as refusal:
        words = str(refusal)
    except Exception:  # a fault of ours must not stop the pump for everybody
        log.exception("delivery %s could not be sent", parcel.delivery_id)
        words = "It could not be sent through a fault of ours."
    return Outcome(status, words[:200], round((time.monotonic() - began) * 1000))


# --- From calls to rows ----------------------------------------------------------------------------------------------
def settle(results: list[tuple[Parcel, Outcome]]) -> None:
    """Write down what came of calls, and when the failed ones are tried again."""
    results.sort(key=lambda result: result[0].endpoint_id)
    for pk, group in groupby(results, key=lambda result: result[0].endpoint_id):
        _settle(pk, list(group))


@transaction.atomic
def _settle(pk: int, results: list[tuple[Parcel, Outcome]]) -> None:
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=pk)
    DeliveryAttempt.objects.bulk_create(
        DeliveryAttempt(delivery_id=p.delivery_id, status=o.status, outcome=o.words, milliseconds=o.milliseconds)
        for p, o in results
    )
    sent = [parcel.delivery_id for parcel, outcome in results if outcome.is_success]
    Delivery.objects.filter(pk__in=sent).update(delivered_at=Now(), next_at=None)
    for parcel, outcome in results:
        if not outcome.is_success:
            pause = pause_after(parcel.tries)
            # Whoever took it since, because this call outlived its lease, decides instead.
            Delivery.objects.filter(pk=parcel.delivery_id, next_at=parcel.taken_until).update(
                next_at=None if pause is None else Now() + pause
            )
    if endpoint.removed_at is None:
        _judge(endpoint, [outcome for _, outcome in results])


def _judge(endpoint: WebhookEndpoint, outcomes: list[Outcome]) -> None:
    """Note since when an endpoint fails, and disable it when it is gone or has failed for days."""
    is_gone = any(outcome.status == GONE for outcome in outcomes)
    has_succeeded = any(outcome.is_success for outcome in outcomes)
    since = None if has_succeeded else endpoint.failing_since or timezone.now()
    if since != endpoint.failing_since:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(failing_since=since)
    has_failed = since is not None and since < timezone.now() - PATIENCE
    if endpoint.enabled and (is_gone or has_failed):
        endpoint.enabled = False
        endpoint.save(update_fields=["enabled"])
        record(
            EventKind.WEBHOOK_DISABLED,
            project_id=endpoint.project_id,
            actor=SYSTEM,
            subject=("webhook", endpoint.pk),
            because="gone" if is_gone else "failing",
        )
