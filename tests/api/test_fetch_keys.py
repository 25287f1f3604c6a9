"""Which key may fetch what."""

import json
from datetime import timedelta

from django.utils import timezone

from accounts.actions.api_keys import revoke_key
from accounts.models import ApiKey
from promptforge.lib.instants import format_instant
from promptforge.lib.tokens import new_token
from prompts.models import Prompt, Release
from tests.api.conftest import Caller, body_of, problem_of
from tests.api.test_fetch import NAME
from tests.personas import Team


def test_a_key_in_the_address_is_refused(team: Team, prompt: Prompt) -> None:
    key = team.key()
    for caller in (Caller(None), Caller(key)):
        body = problem_of(caller.fetch(NAME, api_key=key), 400, "key_in_url")
        assert key not in json.dumps(body)


def test_channels_that_a_key_is_narrowed_to(team: Team, prompt: Prompt) -> None:
    past = format_instant(Release.objects.get(revision=1).at)
    everything: list[dict[str, str]] = [
        {}, {"_version": "stable"}, {"_at": past}, {"_version": "latest"}, {"_version": "1"}, {"_version": "beta"},
    ]  # fmt: skip
    reach = {"stable": everything[:3], "latest": [everything[3]], "pinned": [everything[4]]}
    for word, allowed in reach.items():
        caller = Caller(team.key(channels=[word]))
        for parameters in everything:
            answer = caller.fetch(NAME, **parameters)
            if parameters in allowed:
                body_of(answer)
            else:
                problem_of(answer, 403, "key_scope")


def test_prompts_that_a_key_is_narrowed_to(team: Team, prompt: Prompt) -> None:
    body_of(Caller(team.key(prompts=["support/*"])).fetch(NAME))
    body_of(Caller(team.key(prompts=["billing/*", "*greeting"])).fetch(NAME))
    outside = Caller(team.key(prompts=["billing/*", "Support/*", "support"]))
    known, unknown = (problem_of(outside.fetch(name), 404, "prompt_not_found") for name in (NAME, "support/nothing1"))
    assert known["detail"].replace(NAME, "N") == unknown["detail"].replace("support/nothing1", "N")


def test_a_scope_that_is_missing(team: Team, prompt: Prompt) -> None:
    caller = Caller(team.key("versions:write", "releases:write", "manage"))
    problem_of(caller.fetch(NAME), 403, "key_scope")
    problem_of(caller.fetch("none"), 403, "key_scope")


def test_keys_that_open_nothing(team: Team, prompt: Prompt) -> None:
    def refused(header: str | None, code: str) -> None:
        headers = {} if header is None else {"Authorization": header}
        answer = Caller(None).fetch(NAME, headers)
        problem_of(answer, 401, code)
        assert answer["WWW-Authenticate"] == 'Bearer realm="PromptForge"'

    good = team.key()
    body_of(Caller(None).fetch(NAME, {"Authorization": f"bearer {good}"}))
    refused(None, "not_authenticated")
    refused("Basic eDp5", "not_authenticated")
    for text in (good[:-1] + ("a" if good[-1] != "a" else "b"), good[:-1], good + "0", "", "x", good.lower(), "ü" * 20):
        refused(f"Bearer {text}", "key_malformed")
    refused(f"Bearer {new_token('dev').text}", "key_unknown")

    key = ApiKey.objects.get()
    revoke_key(key=key, by=None)
    refused(f"Bearer {good}", "key_revoked")

    expired = team.key(expires_at=timezone.now() + timedelta(hours=1))
    ApiKey.objects.filter(revoked_at=None).update(expires_at=timezone.now() - timedelta(microseconds=1))
    refused(f"Bearer {expired}", "key_expired")
