"""Acts that take more than one call to come to their refusal."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

from django.db import connection, connections, transaction
from django.http import HttpResponse
from django.test import Client, override_settings
from django.utils import timezone

from accounts.models import ApiKey, Membership, Project, User, WriteBucket
from accounts.policies import Principal
from delivery.api import views
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
from tests.errors.scene import FETCH, NEW, PROMOTE, ROLLBACK, WEBHOOK, Act, Arranged, Scene
from tests.guards.attacks import apply, open_promotion, review
from tests.races.conftest import process


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
