"""The doors by which somebody can try to approve, to release, to weaken a policy, to attest a check, to rewrite a row.

Each does an act for real, raising `Told` when it is refused, or says in words why it does not offer the act.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from events.kinds import EventKind
from events.models import Event
from promptforge.lib.ids import encode
from prompts.actions.imports import import_release
from prompts.models import Release, Schedule
from prompts.shapes import digest_text
from prompts.tasks import apply_what_is_due
from tests.api.conftest import Caller
from tests.guards.attacks import head
from tests.promotions.attempts import Acts, Attempt, No, Told, told
from tests.promotions.rows import SETTINGS, bulk, by_rows, load, replica, save, shadows, sql, update, upsert

TWO_ROLES = settings.DATABASES["default"]["USER"] != settings.DATABASES["owner"]["USER"]


@dataclass(frozen=True)
class Door:
    acts: Acts
    # What this door answers to an act, whatever the trick: a code or rule, and a part of the sentence.
    always: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    # Tables in which it tells of the refusal itself.
    tells: frozenset[str] = frozenset()


# --- REST, with a key or with a session ------------------------------------------------------------------------------
def _ask(caller: Caller, method: str, path: str, body: Any) -> None:
    answer = caller.send(method, path, body)
    if answer.status_code >= 400:
        told = json.loads(answer.content)
        raise Told({told["code"], *(fault["code"] for fault in told["errors"])}, told["detail"])


def _by_rest(speaker: Callable[[Attempt], Caller]) -> Acts:
    def at(attempt: Attempt, verb: str = "") -> str:
        return f"promotions/{encode('pro', attempt.promotion.pk)}{verb}"

    def approve(a: Attempt) -> None:
        digest = digest_text(a.fields.get("diff_digest", a.promotion.diff_digest))
        _ask(speaker(a), "POST", at(a, "/reviews"), {"decision": "approve", "diff_digest": digest})

    def weaken(a: Attempt) -> None:
        _ask(speaker(a), "POST", f"policy-changes/{encode('pol', a.world.change.pk)}/approve", None)

    def direct(a: Attempt) -> None:
        body = {"kind": "promote", "prompt": a.promotion.prompt.name, "version": a.promotion.version.number}
        _ask(speaker(a), "POST", "releases", body)

    return {
        "approve": approve,
        "release": lambda a: _ask(speaker(a), "POST", at(a, "/apply"), {}),
        "direct": direct,
        "weaken": weaken,
        "attest": No("Checks are found by PromptForge; no call stores one."),
        "rewrite": lambda a: _ask(speaker(a), "PATCH", at(a), {"state": "applied", "opened_by": "noor"}),
    }


def _by_page(a: Attempt) -> None:
    at = head(a.promotion.prompt, a.promotion.channel)
    version = a.fields.get("version", a.promotion.version)
    typed = {"act": "promote", "channel": str(a.promotion.channel), "version": version.number, "reason": "x"}
    page = reverse("prompt", args=("shop", a.promotion.prompt.name))
    answer = a.world.browsers[a.who].post(page, typed | {"revision": at.revision})
    if answer.status_code >= 400:
        refusal = (answer.context or {}).get("refusal")
        raise Told({refusal.code if refusal else str(answer.status_code)}, refusal.detail if refusal else "")


PAGE_ACTS: Acts = {
    "approve": No("A prompt's page reviews nothing."),
    "release": _by_page,
    "direct": _by_page,
    "weaken": No("A prompt's page changes no policy."),
    "attest": No("A prompt's page stores no check."),
    "rewrite": No("A prompt's page moves a channel and changes nothing else."),
}


# --- The admin -------------------------------------------------------------------------------------------------------
def _post(attempt: Attempt, page: str, *args: int, **fields: Any) -> None:
    answer = attempt.world.browsers[attempt.who].post(reverse(f"admin:{page}", args=args), fields)
    if answer.status_code == 200:
        errors = [str(sentence) for found in answer.context["form"].errors.values() for sentence in found]
        raise Told({"form"}, " ".join(errors))
    if answer.status_code >= 400:
        raise Told({str(answer.status_code)}, "")


def _by_admin_release(a: Attempt) -> None:
    at = head(a.promotion.prompt, a.promotion.channel)
    number = a.promotion.version.number
    _post(a, "prompts_head_promote", at.pk, version=number, reason="x", expected_revision=at.revision)


def _by_admin_rewrite(a: Attempt) -> None:
    model, pk, fields = a.fields["row"]
    _post(a, f"prompts_{model._meta.model_name}_change", pk, **{n: str(v) for n, v in fields.items()}, _save="Save")


ADMIN_ACTS: Acts = {
    "approve": lambda a: _post(a, "prompts_review_add", promotion=a.promotion.pk, decision="approve"),
    "release": _by_admin_release,
    "direct": _by_admin_release,
    "weaken": lambda a: _post(a, "prompts_channelpolicy_add", channel=a.promotion.channel_id, required_approvals=0),
    "attest": lambda a: _post(a, "prompts_check_add", promotion=a.promotion.pk, name="secrets", conclusion="passed"),
    "rewrite": _by_admin_rewrite,
}


# --- Commands, tasks, imports ----------------------------------------------------------------------------------------
def _command(attempt: Attempt, *words: str) -> None:
    said, version = StringIO(), attempt.fields.get("version", attempt.promotion.version)
    about = ("--project", "shop", "--as", attempt.user.email, "--channel", attempt.promotion.channel.name)
    try:
        call_command(*words[:-1], f"{version}", *about, *words[-1].split(), stdout=StringIO(), stderr=said)
    except SystemExit:
        sentence, _, code = said.getvalue().strip().rpartition(" ")
        raise Told({code.strip("()")}, sentence) from None


COMMAND_ACTS: Acts = {
    "approve": lambda a: _command(a, "promotion", "review", "--decision approve"),
    "release": lambda a: _command(a, "promote", ""),
    "direct": lambda a: _command(a, "promote", ""),
    "weaken": No("No command changes a policy."),
    "attest": No("No command stores a check."),
    "rewrite": No("No command changes a row in place."),
}


def _by_task(a: Attempt) -> None:
    """A schedule that was forged, and the task that carries out what is due."""
    with told(), transaction.atomic():
        Schedule.objects.create(promotion=a.promotion, apply_at=timezone.now(), actor=a.user)
    apply_what_is_due.apply(throw=True)
    if not Release.objects.filter(promotion=a.promotion).exists():
        missed = Event.objects.filter(kind=EventKind.PROMOTION_MISSED, subject_id=a.promotion.pk).latest("pk")
        raise Told(set(json.loads(missed.data)["codes"]), "")


TASK_ACTS: Acts = {
    "approve": No("No task reviews: a person does, signed in."),
    "release": _by_task,
    "direct": No("A schedule is always a promotion's."),
    "weaken": No("No task changes a policy."),
    "attest": No("No task stores a check; applying does, of what it finds."),
    "rewrite": No("No task changes a row in place."),
}


def _by_import(a: Attempt) -> None:
    version = a.fields.get("version", a.promotion.version)
    with told():
        import_release(
            prompt=a.promotion.prompt,
            channel=a.promotion.channel,
            version=version,
            decided_by=a.user,
            reason="",
            at=timezone.now(),
        )


IMPORT_ACTS: Acts = {
    "approve": No("Files bring versions and releases, no reviews."),
    "release": _by_import,
    "direct": _by_import,
    "weaken": No("Files bring no policies; what they bring to a channel that stands is compared."),
    "attest": No("Files bring no checks."),
    "rewrite": No("What stands already is compared with the file and never changed."),
}


# --- The table -------------------------------------------------------------------------------------------------------
READ_ONLY = ("403", "")
UNPRIVILEGED = ("42501", "permission denied")
SNAPSHOT = ("read_committed", "read committed only")
_ADDED = ("approve", "release", "direct", "weaken", "attest")
_CHANGES_ONLY = "It changes rows and adds none."

DOORS: Mapping[str, Door] = {
    "REST with a key": Door(
        _by_rest(lambda a: a.world.key),
        {
            "approve": ("forbidden", "A key never reviews"),
            "weaken": ("forbidden", "A key never approves"),
            "rewrite": ("method_not_allowed", ""),
        },
    ),
    "REST with a session": Door(_by_rest(lambda a: a.world.sessions[a.who]), {"rewrite": ("method_not_allowed", "")}),
    "a prompt's page": Door(
        PAGE_ACTS, dict.fromkeys(("release", "direct"), ("promotion_required", "it takes no direct releases"))
    ),
    "the admin": Door(
        ADMIN_ACTS,
        dict.fromkeys(("approve", "weaken", "attest", "rewrite"), READ_ONLY)
        | dict.fromkeys(("release", "direct"), ("form", "it takes no direct releases")),
    ),
    "a command": Door(COMMAND_ACTS),
    "a Celery task": Door(TASK_ACTS, tells=frozenset({"prompts_schedule", "events_event", "events_eventseal"})),
    "an import": Door(IMPORT_ACTS, dict.fromkeys(("release", "direct"), ("import_closed", "no imported history"))),
    "save()": Door(by_rows(save)),
    "update()": Door(by_rows(update, adds=_CHANGES_ONLY)),
    "bulk_create and bulk_update": Door(by_rows(bulk)),
    "bulk_create over conflicts": Door(
        by_rows(upsert), dict.fromkeys(_ADDED, UNPRIVILEGED) if TWO_ROLES else {}
    ),
    "loaddata as the owner": Door(by_rows(load)),
    "raw SQL": Door(by_rows(sql())),
    "raw SQL behind tables named like ours": Door(by_rows(sql(*shadows()))),
    "raw SQL under other settings": Door(by_rows(sql(*SETTINGS))),
    "raw SQL on a repeatable read": Door(
        by_rows(sql(isolation="REPEATABLE READ")), dict.fromkeys(_ADDED, SNAPSHOT)
    ),
    "raw SQL, serializable": Door(by_rows(sql(isolation="SERIALIZABLE")), dict.fromkeys(_ADDED, SNAPSHOT)),
    "a replica's session": Door(by_rows(replica)),
}  # fmt: skip
