"""Two projects with everything that a route can name, and every kind of caller."""

import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.apps import apps
from django.db import connection, transaction
from django.utils import timezone
from guardian.shortcuts import assign_perm

from accounts.actions.api_keys import revoke_key
from accounts.actions.members import create_user, grant_break_glass, set_roles
from accounts.actions.webhooks import check_webhook, create_webhook
from accounts.models import ApiKey, Membership, Project, User
from accounts.roles import Permission, Role, Scope
from evaluations.actions.connections import create_connection, set_budget
from evaluations.actions.rules import add_rule, remove_rule
from evaluations.actions.runs import pause_run, start_run
from evaluations.actions.sets import create_set
from evaluations.models import DriftWatch
from promptforge.lib.ids import encode
from prompts.actions.channels import add_channel, change_policy, freeze_channel
from prompts.actions.promotions import open_promotion
from prompts.actions.releases import break_glass
from prompts.actions.reviews import review
from prompts.models import Prompt
from prompts.shapes import digest_text
from tests.api.conftest import Caller, release
from tests.api.people import signed_in
from tests.guards.test_observations import observation
from tests.personas import Team, make_team

IDS = {
    "version": "ver",
    "release": "rel",
    "promotion": "pro",
    "stale": "pro",
    "review": "rev",
    "freeze": "frz",
    "change": "pol",
    "key": "key",
    "member": "mem",
    "webhook": "whk",
    "delivery": "dlv",
    "connection": "con",
    "rule": "rul",
    "set": "set",
    "shared_set": "set",
    "watch": "drw",
    "run": "run",
    "paused_run": "run",
    "result": "cel",
}
HELLO = [{"type": "contains", "value": "Hello"}]
# What a call says besides the things that it names.
VALUES = {"digest", "tomorrow", "set_name"}


@dataclass
class World:
    """`own` and `foreign` name things of the two projects; `absent` names nothing, in words as long as `foreign`."""

    callers: dict[str, Caller]
    own: dict[str, str]
    foreign: dict[str, str]
    absent: dict[str, str]


def make_world() -> World:
    shop, rival = make_team("shop", preset="solo"), make_team("rival", preset="solo")
    own = _furnish(shop, "support/greeting", "beta", "guarded")
    foreign = _furnish(rival, "secret/plan", "gamma", "secure")
    callers = _people(shop, rival) | _keys(shop)
    absent = {"prompt": "secret/plus", "channel": "gemma", "observation": str(uuid4())}
    for what, prefix in IDS.items():
        absent[what] = next(
            text for number in range(10**9, 10**9 + 10_000) if len(text := encode(prefix, number)) == len(foreign[what])
        )
    return World(callers, own, foreign, absent)


def _furnish(team: Team, name: str, channel: str, guarded: str) -> dict[str, str]:
    prompt = team.prompt(name, versions=2)
    release(team, prompt, 1)
    add_channel(by=team.farah, name=guarded, policy={"required_approvals": 1})
    protected = team.project.channel_set.get(name=guarded)
    change = change_policy(by=team.emil, channel=protected, fields={"required_approvals": 0})
    open_channel = add_channel(by=team.farah, name=channel, policy={})
    stale = open_promotion(by=team.ada, prompt=prompt, channel=protected, version=team.version(prompt, 2))
    # Open, and ready at once: its channel demands nothing.
    promotion = open_promotion(by=team.ada, prompt=prompt, channel=open_channel, version=team.version(prompt, 2))
    given = review(by=team.ben, promotion=promotion, decision="comment", body="Nice")
    grant_break_glass(project=team.project, user=team.emil.user, minutes=15, by=team.farah)
    broken = break_glass(
        by=team.emil,
        prompt=prompt,
        channel=protected,
        version=team.version(prompt, 1),
        reason="The live answer is dangerous",
    )
    now = timezone.now()
    freeze = freeze_channel(
        by=team.farah,
        channel=open_channel,
        starts_at=now + timedelta(days=1),
        ends_at=now + timedelta(days=2),
        reason="The sale",
    )
    team.key()
    hook = create_webhook(
        by=team.farah, url="https://93.184.215.14/", events=["*"], format="standard", enabled=True, secret=None
    ).endpoint
    watch = _watch(team, prompt)
    set_budget(by=team.farah, fields={"calls_per_day": 0, "usd_per_day": None})
    model = create_connection(by=team.farah, name="gpt", kind="openai", model="gpt-4o", api_key="sk-own")
    shared = create_set(by=team.ada, name="shared", cases=[{"key": "one"}])
    rule = add_rule(by=team.emil, channel=protected, evaluation_set=shared, connection=model, prompt=prompt)
    rows = {
        "connection": model,
        "rule": remove_rule(by=team.emil, rule=rule),
        "version": team.version(prompt, 2),
        "release": broken,
        "promotion": promotion,
        "stale": stale,
        "review": given,
        "freeze": freeze,
        "change": change,
        "key": ApiKey.objects.get(project=team.project),
        "member": Membership.objects.get(project=team.project, user=team.noor.user),
        "webhook": hook,
        "delivery": check_webhook(by=team.farah, endpoint=hook),
        "set": create_set(by=team.ada, name="core", prompt=prompt, criteria=HELLO, cases=[{"key": "one"}]),
        "shared_set": shared,
        "watch": watch,
    }
    rows |= _runs(team, prompt, rows["connection"])
    said = {
        "prompt": name,
        "set_name": "sized",
        "channel": channel,
        "observation": str(observation(team, variables='{"customer_name":"Ada"}').uid),
        "digest": digest_text(promotion.diff_digest),
        "tomorrow": (now + timedelta(hours=20)).isoformat(),
    }
    return said | {what: encode(IDS[what], row.pk) for what, row in rows.items()}


def _watch(team: Team, prompt: Prompt) -> DriftWatch:
    """A drift watch on a channel of its own, by a set of its own."""
    owner = create_set(
        by=team.ada,
        name="watched",
        prompt=prompt,
        criteria=[{"type": "contains", "value": "Hello"}],
        cases=[{"key": "one", "variables": {"customer_name": "Ada"}}],
    )
    rule = add_rule(
        by=team.farah,
        channel=add_channel(by=team.farah, name="watched", policy={}),
        evaluation_set=owner,
        connection=create_connection(by=team.farah, name="watched", kind="openai", model="gpt-4o", api_key="sk-own"),
    )
    return DriftWatch.objects.create(rule=rule, prompt=prompt, version=team.version(prompt, 1))


def _runs(team: Team, prompt: Prompt, connection: Any) -> dict[str, Any]:
    """A run that waits, and one that paused; nobody works on either."""
    variables = [variable["name"] for variable in team.version(prompt, 2).variable_list]
    sized = create_set(
        by=team.ada,
        name="sized",
        prompt=prompt,
        criteria=[{"type": "contains", "value": "Hello"}],
        cases=[{"key": "one", "variables": dict.fromkeys(variables, "Ada")}],
    )
    asked = {"candidate": team.version(prompt, 2), "baseline": None, "owner": sized, "connection": connection}
    run, paused = (start_run(by=team.ada, **asked) for _ in range(2))
    pause_run(paused.pk, "The key was revoked.")
    return {"run": run, "paused_run": paused, "result": run.cells.first()}


def _people(shop: Team, rival: Team) -> dict[str, Caller]:
    callers = {"anonymous": Caller(None)}
    prompt = Prompt.objects.get(project=shop.project)
    for role in Role:
        callers[role.value] = signed_in(_member(shop.project, role.value, role), shop.project)
    owner = _member(shop.project, "owner", Role.VIEWER)
    assign_perm(Permission.EDIT.value, owner, prompt)
    guest = create_user(email="guest@shop.example", name="guest")
    assign_perm(Permission.READ.value, guest, prompt)
    root = create_user(email="root@shop.example", name="root", is_staff=True, is_superuser=True)
    return callers | {
        "owner": signed_in(owner, shop.project),
        "guest": signed_in(guest, shop.project),
        "superuser": signed_in(root, shop.project),
        "stranger": signed_in(rival.emil.user, shop.project),
    }


def _member(project: Project, name: str, role: Role) -> User:
    user = create_user(email=f"{name}@members.example", name=name)
    set_roles(project=project, user=user, roles=[role], by=None)
    return user


def _keys(shop: Team) -> dict[str, Caller]:
    every = [scope.value for scope in Scope]
    callers = {scope: Caller(shop.key(scope)) for scope in every}
    narrow = [scope for scope in every if scope != "manage"]  # which reaches everything, or nothing would be narrowed
    callers["beta"] = Caller(shop.key(*narrow, channels=["beta"]))
    callers["billing"] = Caller(shop.key(*narrow, prompts=["billing/*"]))
    callers["expired"] = Caller(shop.expired_key(*every))
    callers["revoked"] = Caller(shop.key(*every))
    revoke_key(key=ApiKey.objects.latest("pk"), by=None)
    return callers


def fill(template: Any, names: dict[str, str]) -> Any:
    """The path or body with every `{…}` filled in."""
    if isinstance(template, dict):
        return {key: fill(value, names) for key, value in template.items()}
    return template.format(**names) if isinstance(template, str) else template


def named_in(*templates: Any) -> set[str]:
    """Which things a call names."""
    texts = [t for t in templates if isinstance(t, str)]
    texts += [t for body in templates if isinstance(body, dict) for t in body.values() if isinstance(t, str)]
    return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}


def everything() -> list[tuple[str, int]]:
    """How many rows every table of ours holds, but for the counted writes and the sessions; and the generations."""
    tables = sorted(
        model._meta.db_table
        for label in ("accounts", "prompts", "events", "delivery", "evaluations")
        for model in apps.get_app_config(label).get_models()
        if model.__name__ not in ("WriteBucket", "Session")
    )
    counts = [f"SELECT '{table}', count(*) FROM {table}" for table in tables]
    counts.append("SELECT 'generation', coalesce(sum(generation), 0) FROM events_serving")
    counts.append("SELECT 'revisions', coalesce(sum(revision), 0) FROM prompts_head")
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(counts) + " ORDER BY 1")
        return list(cursor.fetchall())


@contextmanager
def undone() -> Iterator[None]:
    """What happens in the block is taken back at its end, so that the next caller finds things as they were."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
