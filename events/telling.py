"""An event in words. Events hold ids alone, so that a person can be forgotten: names are looked up at telling."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.conf import settings
from django.utils.module_loading import import_string

from events.kinds import EventKind
from events.models import EventSeal
from events.shapes import event_shape
from promptforge.lib.instants import instant_in_words, parse_instant


class Named(NamedTuple):
    """What an id stands for: how a sentence calls it, its readable fields, and the path of its page."""

    words: str
    fields: Mapping[str, Any]
    path: str | None = None


class Told(NamedTuple):
    """An event in words. `fields` is `event_shape` with project, actor, subject and url by name."""

    fields: Mapping[str, Any]
    sentence: str
    project: str
    url: str


class _Words(dict[str, Any]):
    """Values for a sentence; a word that an event does not tell stands for itself."""

    def __missing__(self, name: str) -> str:
        return name


_NOBODY = Named("PromptForge", {})
_DONE = {
    EventKind.PROJECT_CREATED: "{actor} made the project {subject}",
    EventKind.PROJECT_CHANGED: "{actor} changed the project {subject}",
    EventKind.MEMBER_ADDED: "{actor} made {subject} a member: {roles}",
    EventKind.MEMBER_CHANGED: "{actor} gave {subject} the roles {roles}",
    EventKind.MEMBER_REMOVED: "{actor} ended the membership of {subject}",
    EventKind.GRANT_GIVEN: "{actor} let {subject} break glass for {minutes} minutes",
    EventKind.RIGHTS_CHANGED: "{actor} set the rights of {subject} on {prompt}: {rights}",
    EventKind.KEY_CREATED: "{actor} made the key {subject}",
    EventKind.KEY_ROTATED: "{actor} rotated the key {subject}",
    EventKind.KEY_REVOKED: "{actor} revoked the key {subject}",
    EventKind.PROMPT_CREATED: "{actor} made the prompt {subject}",
    EventKind.PROMPT_CHANGED: "{actor} changed what is said of {subject}",
    EventKind.PROMPT_ARCHIVED: "{actor} archived {subject}",
    EventKind.PROMPT_RESTORED: "{actor} restored {subject}",
    EventKind.VERSION_SAVED: "{actor} saved {subject}",
    EventKind.CHANNEL_CREATED: "{actor} made the channel {subject}",
    EventKind.POLICY_PROPOSED: "{actor} proposed another policy for {subject}",
    EventKind.POLICY_CHANGED: "{actor} changed the policy of {subject}",
    EventKind.FREEZE_SET: "{actor} set a freeze on {subject}",
    EventKind.FREEZE_LIFTED: "{actor} lifted a freeze on {subject}",
    EventKind.RELEASE_RATIFIED: "{actor} ratified {subject}",
    EventKind.WEBHOOK_CREATED: "{actor} made the webhook to {subject}",
    EventKind.WEBHOOK_CHANGED: "{actor} changed the webhook to {subject}",
    EventKind.WEBHOOK_ROTATED: "{actor} rotated the secret of the webhook to {subject}",
    EventKind.WEBHOOK_TESTED: "{actor} tests the webhook to {subject}",
    EventKind.WEBHOOK_REMOVED: "{actor} removed the webhook to {subject}",
    EventKind.SET_CREATED: "{actor} made the evaluation set {subject}",
    EventKind.SET_REVISED: "{actor} saved revision {revision} of the evaluation set {subject}",
    EventKind.SET_CHANGED: "{actor} changed what is said of the evaluation set {subject}",
    EventKind.SET_ARCHIVED: "{actor} archived the evaluation set {subject}",
    EventKind.CONNECTION_CREATED: "{actor} made the model connection {subject}",
    EventKind.CONNECTION_CHANGED: "{actor} changed the model connection {subject}",
    EventKind.CONNECTION_ROTATED: "{actor} gave the model connection {subject} another key",
    EventKind.CONNECTION_TESTED: "{actor} tested the model connection {subject}",
    EventKind.CONNECTION_REMOVED: "{actor} removed the model connection {subject}",
    EventKind.RULE_ADDED: "{actor} made a gate rule: {subject} must pass",
    EventKind.RULE_QUESTIONED: "{actor} asks to take the gate rule {subject} away",
    EventKind.RULE_REMOVED: "{actor} took the gate rule {subject} away",
    EventKind.BUDGET_CHANGED: "{actor} changed what evaluations of {subject} may cost in a day",
    EventKind.RUN_STARTED: "{actor} started the evaluation of {subject}",
    EventKind.RUN_PAUSED: "The evaluation of {subject} waits: {why}",
    EventKind.RUN_RESUMED: "{actor} resumed the evaluation of {subject}",
    EventKind.RUN_CANCELLED: "{actor} cancelled the evaluation of {subject}",
    EventKind.RUN_FINISHED: "The evaluation of {subject} ended: {outcome}",
    EventKind.REFERENCE_TAKEN: "A reference is taken of {subject}, by which its model is watched",
    EventKind.WATCH_CHANGED: "{actor} changed how {subject} is watched",
    EventKind.DRIFT_NOTICED: "{subject}: {finding}",
    EventKind.DRIFT_SUSPECTED: "Drift of {subject} is suspected. {finding}",
    EventKind.DRIFT_FOUND: "Drift of {subject}. {finding}",
    EventKind.DRIFT_CLEARED: "{subject}: {finding}",
    EventKind.PROMOTION_OPENED: "{actor} asks to promote {subject}",
    EventKind.PROMOTION_WITHDRAWN: "{actor} withdrew the promotion of {subject}",
    EventKind.PROMOTION_REJECTED: "{actor} rejected the promotion of {subject}",
    EventKind.PROMOTION_SUPERSEDED: "{actor} renewed the promotion of {subject}",
    EventKind.PROMOTION_APPLIED: "{actor} applied the promotion of {subject}",
    EventKind.PROMOTION_SCHEDULED: "{actor} scheduled the promotion of {subject} for {apply_at}",
    EventKind.PROMOTION_UNSCHEDULED: "{actor} called off the schedule of {subject}",
    EventKind.PROMOTION_MISSED: "The promotion of {subject} was due and could not be applied",
    EventKind.REVIEW_DISMISSED: "{actor} dismissed a review of {subject}",
    # With what the event itself tells further: a decision, the move of a release, why a webhook was disabled.
    EventKind.SESSION_BEGUN: "{subject} signed in",
    EventKind.SESSION_ENDED: "{actor} ended sessions of {subject}: {sessions}",
    EventKind.PASSWORD_CHANGED: "{actor} set another password for {subject}",
    EventKind.FACTOR_ADDED: "{actor} added a second factor to the sign-in of {subject}",
    EventKind.FACTOR_REMOVED: "{actor} removed the second factor of {subject}",
    EventKind.CODES_RENEWED: "{actor} made new recovery codes for {subject}",
    "review.given approve": "{actor} approved {subject}",
    "review.given request_changes": "{actor} asks for changes to {subject}",
    "review.given comment": "{actor} commented on {subject}",
    "release.made promote": "{actor} put {subject} live",
    "release.made rollback": "{actor} rolled back: {subject} is live again",
    "release.made break_glass": "{actor} broke glass and put {subject} live",
    "release.made import": "{actor} imported {subject}",
    "webhook.disabled gone": "The receiver of the webhook to {subject} said that it is gone; nothing is sent there",
    "webhook.disabled failing": "The webhook to {subject} failed for three days; nothing is sent there",
}


def tell(seals: Sequence[EventSeal]) -> list[Told]:
    """Each of these events in words, in a fixed number of queries."""
    events = [seal.event for seal in seals]
    named = _names(
        [(e.actor_kind, e.actor_id) for e in events]
        + [(e.subject_kind, e.subject_id) for e in events]
        + [("project", e.project_id) for e in events]
    )
    return [_tell(seal, named) for seal in seals]


def _tell(seal: EventSeal, named: Mapping[tuple[str, int], Named]) -> Told:
    event, shape = seal.event, event_shape(seal)
    project = named.get(("project", event.project_id), Named("", {})).words
    actor = named.get((event.actor_kind, event.actor_id), _NOBODY)
    subject = named.get((event.subject_kind, event.subject_id), Named(f"{event.subject_kind} {event.subject_id}", {}))
    told = shape["data"]
    further = told.get("move") or told.get("because") or told.get("decision")
    form = _DONE.get(f"{event.kind} {further}") or _DONE.get(event.kind, "{actor}: {kind}, {subject}")
    words = _Words({name: _in_words(name, value) for name, value in told.items()})
    words.update(actor=actor.words, subject=subject.words, kind=event.kind)
    sentence = form.format_map(words)
    url = settings.ORIGIN + (subject.path or "/")
    fields = shape | {
        "project": project,
        "actor": actor.fields or None,
        "subject": shape["subject"] | subject.fields,
        "url": url,
    }
    return Told(fields, " ".join(f"{sentence} ({project}).".split()), project, url)


def _in_words(name: str, value: Any) -> Any:
    if name.endswith("_at") and isinstance(value, str):
        return instant_in_words(parse_instant(value, name))
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _names(wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Named]:
    """What each kind and id is called, by the function that the table names for the kind; what is unknown is absent."""
    ids: dict[str, set[int]] = {}
    for kind, number in wanted:
        ids.setdefault(kind, set()).add(number)
    found: dict[tuple[str, int], Named] = {}
    for kind, numbers in ids.items():
        if (path := settings.EVENT_NAMED_BY.get(kind)) is not None:
            name: Callable[[set[int]], Mapping[int, Named]] = import_string(path)
            found |= {(kind, number): named for number, named in name(numbers).items()}
    return found
