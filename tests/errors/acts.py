"""One act for each code of the table, by which the product itself comes to answer with it.

An act is made from the standing shop and its keys; what it needs beside them it arranges first, and takes back after.
What it answers is the answer of a door, or the DomainError that reached the caller.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from typing import Any
from unittest import mock

from django.db import connection, connections, transaction
from django.http import HttpResponse
from django.test import Client, override_settings
from django.utils import timezone

from accounts.models import ApiKey, Membership, Project, User, WriteBucket
from accounts.policies import Principal
from delivery.api import views
from evaluations.scoring import read_criteria
from promptforge.lib.ids import encode
from promptforge.lib.json import canonical_json
from promptforge.lib.refusals import refusals
from prompts.actions.channels import add_channel, change_policy, freeze_channel
from prompts.actions.drafts import keep_draft, throw_away
from prompts.actions.imports import import_release
from prompts.actions.promotions import open_promotion as request
from prompts.actions.prompts import change_prompt
from prompts.actions.releases import promote
from prompts.actions.reviews import review as decide
from prompts.actions.versions import create_prompt, save_version
from prompts.models import Channel, Promotion, PromptVersion, Release
from prompts.reading import find_version
from prompts.shapes import digest_text
from tests.api.conftest import Caller, release
from tests.api.people import BACKEND, person, signed_in
from tests.errors.evaluation_acts import (
    GREETS,
    budget_used_up,
    ended_run,
    evaluated_long_ago,
    going_run,
    labelled,
    starting,
    stuck_run,
    trial_under_way,
)
from tests.errors.scene import GREETING, Act, Arranged, Scene
from tests.guards.attacks import apply, open_promotion, review
from tests.races.conftest import process

FETCH = f"prompts/{GREETING}"
PROMOTE = {"kind": "promote", "prompt": GREETING, "version": 2}
ROLLBACK = {"kind": "rollback", "prompt": GREETING, "reason": "Worse"}
NEW = {"name": "new", "content": "Hello"}
WEBHOOK = {"url": "https://93.184.215.14/", "events": ["*"]}


def send(method: str, path: str, body: Any = None, key: str = "all", **headers: str) -> Arranged:
    """A body of bytes is sent as it is, anything else as JSON."""
    return lambda scene: nullcontext(lambda: scene.caller(key).send(method, path, body, **headers))


get, post = partial(send, "GET"), partial(send, "POST")


def by(name: str, path: str, body: Any, *, ago: float = 0) -> Arranged:
    """As a person who signed in `ago` seconds ago."""
    return lambda scene: nullcontext(lambda: person(scene.team, name, ago=ago).post(path, body))


def content(text: Any, **fields: Any) -> Arranged:
    return post("prompts", NEW | {"content": text} | fields)


# --- What takes more than one call -----------------------------------------------------------------------------------
@contextmanager
def project_required(scene: Scene) -> Iterator[Act]:
    oda = signed_in(scene.team.outsider)
    yield lambda: oda.get("prompts")


@contextmanager
def csrf_failed(scene: Scene) -> Iterator[Act]:
    client = Client(enforce_csrf_checks=True)
    client.force_login(scene.team.ada.user, backend=BACKEND)
    yield lambda: Caller(None, client=client).post("prompts", NEW)


@contextmanager
def last_admin(scene: Scene) -> Iterator[Act]:
    members = Membership.objects.filter(project=scene.team.project)
    emil, farah = members.get(user=scene.team.emil.user), members.get(user=scene.team.farah.user)
    members.filter(pk=emil.pk).update(roles=["editor"])
    yield lambda: person(scene.team, "farah").send("DELETE", f"members/{encode('mem', farah.pk)}")
    members.filter(pk=emil.pk).update(roles=emil.roles)


@contextmanager
def four_eyes(scene: Scene) -> Iterator[Act]:
    farah = Membership.objects.get(project=scene.team.project, user=scene.team.farah.user)
    body = {"permission": "break_glass", "minutes": 5}
    yield lambda: person(scene.team, "farah").post(f"members/{encode('mem', farah.pk)}/grants", body)


@contextmanager
def body_too_slow(scene: Scene) -> Iterator[Act]:
    """A sender who stops in the middle of a body, at a server that waits less long than it does otherwise."""
    code = """
    import asyncio, json
    from promptforge import asgi
    asgi.SLOWEST_BODY = 0.05
    sent = []
    async def receive():
        if sent: await asyncio.Event().wait()
        sent.append(None)
        return {"type": "http.request", "body": b"{", "more_body": True}
    async def send(message):
        sent.append(message)
    scope = {"type": "http", "method": "POST", "path": "/api/v1/prompts", "headers": [(b"content-length", b"9")]}
    asyncio.run(asgi.application(scope, receive, send))
    start, body = sent[1:]
    print(json.dumps([start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, body["body"].decode()]))
    """
    yield lambda: _answer_of(code)


def _answer_of(code: str) -> HttpResponse:
    # In a process of its own, for the web server's module gives the database a pool.
    with process(connection.settings_dict["NAME"], code) as server:
        status, headers, body = json.loads(server.line())
    return HttpResponse(body, status=status, headers=headers)


@contextmanager
def too_large(scene: Scene) -> Iterator[Act]:
    with mock.patch.object(views, "LARGEST_DOCUMENT", 1000):  # the real limit takes a minute to reach
        yield lambda: scene.caller().get("prompts?_version=stable")


@contextmanager
def idempotency_in_flight(scene: Scene) -> Iterator[Act]:
    """Another session holds the key's lock, as one does that is still answering."""
    account = ApiKey.objects.get(public_id=str(scene.keys["all"]).split("_")[2]).service_account_id
    place = canonical_json([scene.team.project.pk, account, "POST", "/api/v1/prompts", "k"])
    with connections["owner"].cursor() as other:
        other.execute("SELECT pg_advisory_lock(20552, hashtext(%s))", [place])
        yield lambda: scene.caller().post("prompts", NEW, Idempotency_Key="k")
        other.execute("SELECT pg_advisory_unlock_all()")


@contextmanager
def idempotency_mismatch(scene: Scene) -> Iterator[Act]:
    assert scene.caller().post("prompts", NEW | {"name": "once"}, Idempotency_Key="k-1").status_code == 201
    yield lambda: scene.caller().post("prompts", NEW, Idempotency_Key="k-1")


@contextmanager
def archived(scene: Scene) -> Iterator[Act]:
    change_prompt(by=scene.team.ada, prompt=scene.team.prompt("old"), archived=True)
    yield lambda: scene.caller().post("versions", {"prompt": "old", "content": "New"})


@contextmanager
def kind_not_available(scene: Scene) -> Iterator[Act]:
    plain = encode("rel", Release.objects.filter(prompt=scene.greeting).latest("pk").pk)
    yield lambda: person(scene.team, "emil").post(f"releases/{plain}/ratify", None)


@contextmanager
def import_closed(scene: Scene) -> Iterator[Act]:
    version = scene.team.version(scene.greeting, 2)
    decided = {"decided_by": scene.team.cleo.user, "reason": "", "at": timezone.now() - timedelta(days=1)}
    yield lambda: import_release(prompt=scene.greeting, channel=scene.team.stable, version=version, **decided)


@contextmanager
def one_project(scene: Scene) -> Iterator[Act]:
    rival = Principal(User.objects.get(email="ada@rival.example"), Project.objects.get(name="rival"))

    def act() -> None:
        with refusals(), transaction.atomic():
            create_prompt(by=scene.team.ada, name="mine", content="Mine")
            create_prompt(by=rival, name="theirs", content="Theirs")

    yield act


@contextmanager
def promotion_closed(scene: Scene) -> Iterator[Act]:
    promotion = open_promotion(scene.team, scene.greeting, 1, channel=scene.guarded)
    review(promotion, scene.team.ben)
    apply(scene.team, promotion)
    yield refusing(lambda: review(promotion, scene.team.emil))


@contextmanager
def promotion_not_ready(scene: Scene) -> Iterator[Act]:
    promotion = open_promotion(scene.team, scene.greeting, 2, channel=scene.guarded)
    yield refusing(lambda: apply(scene.team, promotion))


def lacking(policy: dict[str, Any], *then: Callable[[Scene, Promotion], Any], content: str = "Hello") -> Arranged:
    """Applying a promotion to a channel with this policy, after what happened meanwhile."""

    @contextmanager
    def arranged(scene: Scene) -> Iterator[Act]:
        number = Channel.objects.count()
        channel = add_channel(by=scene.team.farah, name=f"guarded-{number}", policy=policy)
        prompt, version = create_prompt(by=scene.team.ada, name=f"lacking/{number}", content=content)
        promotion = request(by=scene.team.ada, prompt=prompt, channel=channel, version=version)
        for happens in then:
            happens(scene, promotion)
        yield lambda: person(scene.team, "cleo").post(f"promotions/{encode('pro', promotion.pk)}/apply", {})

    return arranged


def ask_for_changes(scene: Scene, promotion: Promotion) -> None:
    digest = digest_text(promotion.diff_digest)
    decide(by=scene.team.ben, promotion=promotion, decision="request_changes", body="No.", diff_digest=digest)


def protect(scene: Scene, promotion: Promotion) -> None:
    change_policy(by=scene.team.cleo, channel=promotion.channel, fields={"required_approvals": 1})


def freeze(scene: Scene, promotion: Promotion) -> None:
    now = timezone.now()
    window = {"starts_at": now - timedelta(hours=1), "ends_at": now + timedelta(hours=1)}
    freeze_channel(by=scene.team.cleo, channel=promotion.channel, reason="Everybody is away.", **window)


@contextmanager
def variables(scene: Scene) -> Iterator[Act]:
    """The live version needs nothing; the new one needs a name that nobody sends."""
    channel = add_channel(by=scene.team.farah, name="callers", policy={})
    prompt, version = create_prompt(by=scene.team.ada, name="callers", content="Hello")
    promote(by=scene.team.cleo, prompt=prompt, channel=channel, version=version)
    newer = save_version(by=scene.team.ada, prompt=prompt, content="Hello {{name}}").version
    change_policy(by=scene.team.cleo, channel=channel, fields={"required_checks": ["variables"]})
    promotion = request(by=scene.team.ada, prompt=prompt, channel=channel, version=newer)
    yield lambda: person(scene.team, "cleo").post(f"promotions/{encode('pro', promotion.pk)}/apply", {})


@contextmanager
def expired(scene: Scene) -> Iterator[Act]:
    """A promotion that was opened before the life of an approval began."""
    with lacking({"approval_ttl_days": 1})(scene) as act:
        with connections["owner"].cursor() as owner:
            owner.execute("ALTER TABLE prompts_promotion DISABLE TRIGGER promotion_update")
            owner.execute("UPDATE prompts_promotion SET opened_at = opened_at - interval '2 days' WHERE state = 'OPEN'")
            owner.execute("ALTER TABLE prompts_promotion ENABLE ALWAYS TRIGGER promotion_update")
        yield act


@contextmanager
def duplicate_promotion(scene: Scene) -> Iterator[Act]:
    prompt = scene.team.prompt("twice")
    open_promotion(scene.team, prompt, 1, channel=scene.guarded)
    yield refusing(lambda: open_promotion(scene.team, prompt, 1, channel=scene.guarded))


@contextmanager
def stale_diff(scene: Scene) -> Iterator[Act]:
    promotion = open_promotion(scene.team, scene.team.prompt("seen"), 1, channel=scene.guarded)
    yield refusing(lambda: review(promotion, scene.team.ben, diff_digest=b"what an older one showed"))


@contextmanager
def webhook_disabled(scene: Scene) -> Iterator[Act]:
    made = json.loads(scene.caller().post("webhook-endpoints", WEBHOOK | {"enabled": False}).content)
    yield lambda: scene.caller().send("POST", f"webhook-endpoints/{made['id']}/test")


@contextmanager
def stale_draft(scene: Scene) -> Iterator[Act]:
    """Two windows of one person, of which the second does not know what the first one kept."""
    prompt, by_ada = scene.greeting, scene.team.ada
    newest = find_version(prompt, None)

    def keep(source: str) -> None:
        columns = {"source": source, "variables": "[]", "config": "", "message": ""}
        keep_draft(by=by_ada, prompt=prompt, columns=columns, base=newest, seen=None)

    keep("From the first window")
    yield lambda: keep("From the second window")
    throw_away(by=by_ada, prompt=prompt)


def refusing(act: Act, using: str = "default") -> Act:
    """The act in a transaction of its own, whose refusal by the database is put into our words."""

    def refused() -> None:
        with refusals(), transaction.atomic(using=using):
            act()

    return refused


@contextmanager
def frozen(scene: Scene) -> Iterator[Act]:
    yield refusing(lambda: PromptVersion.objects.using("owner").update(message="x"), "owner")


@contextmanager
def guard(scene: Scene) -> Iterator[Act]:
    yield refusing(lambda: Channel.objects.using("owner").update(name="other"), "owner")


@contextmanager
def frozen_channel(scene: Scene) -> Iterator[Act]:
    channel = add_channel(by=scene.team.farah, name="cold", policy={})
    window = {"starts_at": timezone.now() - timedelta(hours=1), "ends_at": timezone.now() + timedelta(hours=1)}
    freeze_channel(by=scene.team.farah, channel=channel, reason="The sale", **window)
    yield lambda: scene.caller().post("releases", PROMOTE | {"channel": "cold"})


@contextmanager
def rollback_target_withdrawn(scene: Scene) -> Iterator[Act]:
    prompt = scene.team.prompt("back", versions=2)
    release(scene.team, prompt, 1)
    release(scene.team, prompt, 2)
    back = ROLLBACK | {"prompt": "back"}
    assert scene.caller().post("releases", back).status_code == 201
    yield lambda: scene.caller().post("releases", back | {"version": 2})


@contextmanager
def rate_limited(scene: Scene) -> Iterator[Act]:
    scene.caller().post("prompts", {})
    WriteBucket.objects.update(tokens=0)
    with override_settings(RATE_WRITE=1, BURST_WRITE=1):
        yield lambda: scene.caller().post("prompts", NEW)


@contextmanager
def server_error(scene: Scene) -> Iterator[Act]:
    """A table that is not where the code looks for it: nothing foresees that."""

    def act() -> HttpResponse:
        with connections["owner"].cursor() as owner:
            owner.execute("ALTER TABLE prompts_head RENAME TO prompts_tail")
            answer: HttpResponse = scene.caller().get(FETCH)
            owner.execute("ALTER TABLE prompts_tail RENAME TO prompts_head")
        return answer

    yield act


@contextmanager
def unavailable(scene: Scene) -> Iterator[Act]:
    """Somebody else holds the head for longer than anybody waits."""
    with connections["owner"].cursor() as other, connection.cursor() as ours:
        ours.execute("SET lock_timeout = '50ms'")
        other.execute("BEGIN")
        other.execute("SELECT 1 FROM prompts_head WHERE prompt_id = %s FOR UPDATE", [scene.greeting.pk])
        yield lambda: scene.caller().post("releases", PROMOTE)
        other.execute("ROLLBACK")
        ours.execute("RESET lock_timeout")


@contextmanager
def storage_full(scene: Scene) -> Iterator[Act]:
    """PostgreSQL says in the middle of a write what it says when its disk is full."""
    with connections["owner"].cursor() as owner:
        owner.execute(
            "CREATE FUNCTION public.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION "
            "'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$"
        )
        owner.execute(
            "CREATE TRIGGER full_disk AFTER INSERT ON prompts_promptversion EXECUTE FUNCTION public.full_disk()"
        )
        yield lambda: scene.caller().post("prompts", NEW)
        owner.execute("DROP FUNCTION public.full_disk() CASCADE")


# --- The table -------------------------------------------------------------------------------------------------------


ACTS: dict[str, Arranged] = {
    "bad_channel_name": post("channels", {"name": "Stable"}),
    "bad_cursor": get("prompts?cursor=x"),
    "bad_limit": get("prompts?limit=0"),
    "bad_name": post("prompts", NEW | {"name": "a b"}),
    "bad_receipt": get("observations?receipt=x"),
    "bad_request": get("prompts", Host="evil.example"),
    "bad_timestamp": get(f"{FETCH}?_at=yesterday"),
    "bad_value": post("releases", PROMOTE | {"version": "2"}),
    "bad_version": get(f"{FETCH}?_version=0"),
    "body_required": post("prompts", None),
    "bom_not_allowed": post("prompts", b"\xef\xbb\xbf{}"),
    "duplicate_key": post("prompts", b'{"content": "safe", "content": "evil"}'),
    "field_required": post("prompts", {"name": "new"}),
    "invalid_unicode": post("prompts", b'{"content": "\\ud800"}'),
    "invalid_utf8": post("prompts", b'{"content": "\xff"}'),
    "json_syntax": post("prompts", b'{"content": "x",}'),
    "json_too_deep": post("prompts", b"[" * 100),
    "key_in_url": get("prompts?key=pf_live_abc_def"),
    "list_expected": content("Hi", variables={}),
    "nul_not_allowed": content("a\0b"),
    "number_out_of_range": post("prompts", b'{"config": {"t": 1e400}}'),
    "object_expected": post("prompts", b"[1, 2]"),
    "project_required": project_required,
    "read_only_field": content("Hi", number=7),
    "string_expected": content("Hi", name=5),
    "unknown_field": content("Hi", is_admin=True),
    "unknown_parameter": get("prompts?page=2"),
    "key_expired": get("prompts", key="expired"),
    "key_malformed": get("prompts", key="mistyped"),
    "key_revoked": get("prompts", key="revoked"),
    "key_unknown": get("prompts", key="unknown"),
    "not_authenticated": get("prompts", key="none"),
    "csrf_failed": csrf_failed,
    "forbidden": by("noor", "prompts", NEW),
    "four_eyes": four_eyes,
    "reauthentication_required": by("farah", "api-keys", {"name": "x", "scopes": ["prompts:read"]}, ago=3600),
    "key_scope": post("prompts", NEW, key="reader"),
    "channel_empty": get(f"{FETCH}?_version=guarded"),
    "channel_not_found": get(f"{FETCH}?_version=beta"),
    "not_found": get("nowhere"),
    "not_yet_released": get(f"{FETCH}?_at=2001-01-01T00:00:00Z"),
    "project_not_found": get("prompts", PromptForge_Project="rival"),
    "prompt_not_found": get("prompts/secret/plan"),
    "version_not_found": get(f"{FETCH}?_version=99"),
    "body_too_slow": body_too_slow,
    "method_not_allowed": send("PUT", "prompts", NEW),
    "not_acceptable": get("prompts", Accept="text/html"),
    "body_too_large": post("prompts", b'{"content": "' + b"x" * 1_048_576 + b'"}'),
    "config_too_large": content("Hi", config={"a": "x" * 65_536}),
    "content_too_large": content("x" * 262_145),
    "too_large": too_large,
    "encoding_not_supported": post("prompts", NEW, Content_Encoding="gzip"),
    "unsupported_media_type": post("prompts", NEW, content_type="text/plain"),
    "idempotency_in_flight": idempotency_in_flight,
    "already_labelled": labelled,
    "already_live": post("releases", PROMOTE | {"version": 1}),
    "archived": archived,
    "kind_not_available": kind_not_available,
    "import_closed": import_closed,
    "name_taken": post("prompts", NEW | {"name": GREETING}),
    "nothing_to_roll_back": post("releases", ROLLBACK),
    "one_project": one_project,
    "promotion_closed": promotion_closed,
    "promotion_not_ready": promotion_not_ready,
    "promotion_required": post("releases", PROMOTE | {"channel": "guarded"}),
    "budget_used_up": budget_used_up,
    "duplicate_promotion": duplicate_promotion,
    "frozen": frozen,
    "last_admin": last_admin,
    "frozen_channel": frozen_channel,
    "guard": guard,
    "rollback_target_never_live": post("releases", ROLLBACK | {"version": 2}),
    "rollback_target_withdrawn": rollback_target_withdrawn,
    "run_ended": ended_run,
    "run_not_paused": going_run,
    "run_not_resumable": stuck_run,
    "stale_base": post("versions", {"prompt": GREETING, "content": "x", "base_version": 1}),
    "stale_draft": stale_draft,
    "trial_under_way": trial_under_way,
    "webhook_disabled": webhook_disabled,
    "stale_diff": stale_diff,
    "stale_head": post("releases", PROMOTE | {"expected_revision": 7}),
    "canary_required": lacking({"required_checks": ["canary"]}),
    "changes_requested": lacking({"required_approvals": 1}, ask_for_changes),
    "evaluation_not_passed": lacking({"required_checks": ["evaluation"]}),
    "evidence_expired": lacking({"evidence_ttl_days": 1}, evaluated_long_ago),
    "expired": expired,
    "freeze": lacking({}, freeze),
    "hidden_text": lacking({"required_checks": ["hidden-text"]}, content="Hello\u202e"),
    "policy_changed": lacking({}, protect),
    "review_missing": lacking({"required_approvals": 1}),
    "secrets": lacking({"required_checks": ["secrets"]}, content="AKIAIOSFODNN7EXAMPLQ and here"),
    "variables": variables,
    "bad_policy": post("channels", {"name": "beta", "policy": {"required_approvals": -1}}),
    "bad_criterion": lambda _: nullcontext(lambda: read_criteria([{"type": "regex", "value": "("}], "/criteria")),
    "bad_role": content([{"role": "root", "content": "Hi"}]),
    "bad_type": content("Hi", type="image"),
    "bad_url": post("webhook-endpoints", WEBHOOK | {"url": "nowhere"}),
    "bad_variable": post("prompts/values/both", {"variables": {"i": "seven", "m": "x"}}),
    "bad_variable_name": content("{{a.b}}"),
    "confusable_variable": content("{{n\u0430me}}"),
    "case_not_rendered": lambda scene: nullcontext(starting(scene, "unfilled", variables="{}")),
    "empty_messages": content([]),
    "empty_prompt": content(" \n "),
    "include_ambiguous": content("{{> brace }}{x}}"),
    "include_not_found": content("{{> nowhere }}"),
    "missing_variable": post("prompts/values/text", {"variables": {"a": "x"}}),
    "idempotency_mismatch": idempotency_mismatch,
    "nothing_counts": lambda scene: nullcontext(starting(scene, "advice", criteria=[GREETS])),
    "reason_required": post("releases", ROLLBACK | {"reason": " "}),
    "reason_too_short": by("cleo", "releases", PROMOTE | {"kind": "break_glass", "reason": "Hurry"}),
    "reserved_name": content("{{_name}}"),
    "set_empty": lambda scene: nullcontext(starting(scene, "empty", cases=0)),
    "too_many_variables": content(" ".join(f"{{{{v{number}}}}}" for number in range(201))),
    "unclosed_tag": content("Hi {{name"),
    "unknown_variable": post("prompts/values/text", {"variables": {"a": "x", "b": "y", "c": "z"}, "strict": True}),
    "url_not_allowed": post("webhook-endpoints", WEBHOOK | {"url": "http://10.0.0.5/"}),
    "rate_limited": rate_limited,
    "server_error": server_error,
    "unavailable": unavailable,
    "storage_full": storage_full,
}
# What stands in the errors of `promotion_not_ready` and is no answer of its own.
LACKS = tuple(list(ACTS)[list(ACTS).index("canary_required") : list(ACTS).index("bad_policy")])
