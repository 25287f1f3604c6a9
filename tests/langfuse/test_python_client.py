"""The `langfuse` package from PyPI, unchanged, against a running server: only the host is another."""

import socket
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from langfuse import Langfuse
from langfuse._utils.prompt_cache import PromptCacheItem
from langfuse.api import AccessDeniedError, Error, MethodNotAllowedError, NotFoundError, UnauthorizedError

from delivery.receipts import read_receipt
from prompts.actions.releases import rollback
from prompts.models import Prompt
from tests.api.conftest import release
from tests.langfuse.world import NAME, furnish, serving
from tests.personas import Team


class World:
    """The project that the server serves, and clients of it as their users make them."""

    def __init__(self, team: Team, greeting: Prompt, port: int) -> None:
        self.team, self.greeting, self.port = team, greeting, port
        self.clients: list[Langfuse] = []
        self.client = self.sign_in(team.key())

    def sign_in(self, key: str, user: str | None = None) -> Langfuse:
        client = Langfuse(
            public_key=user or key.split("_")[2],
            secret_key=key,
            base_url=f"http://127.0.0.1:{self.port}",
            tracing_enabled=False,
        )
        self.clients.append(client)
        return client


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> set[Any]:
    """Every address to which this process connects meanwhile."""
    addresses: set[Any] = set()
    connect = socket.socket.connect

    def noted(self: socket.socket, address: Any) -> None:
        addresses.add(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    return addresses


@pytest.fixture
def world(team: Team, called: set[Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("langfuse._client.client.langfuse_logger.disabled", True)
    greeting = furnish(team)
    with serving(team) as port:
        called.clear()
        world = World(team, greeting, port)
        yield world
        for client in world.clients:
            client.shutdown()
        assert called == {("127.0.0.1", port)}


def text(world: World, _: pytest.MonkeyPatch) -> None:
    prompt = world.client.get_prompt(NAME)
    assert (prompt.name, prompt.version, prompt.is_fallback) == (NAME, 2, False)
    assert prompt.prompt == "Text 2 for {{customer_name}}"
    assert prompt.compile(customer_name="Ada {{x}}") == "Text 2 for Ada {{x}}"
    assert prompt.variables == ["customer_name"]
    assert prompt.get_langchain_prompt() == "Text 2 for {customer_name}"
    assert (prompt.labels, prompt.tags, prompt.commit_message) == (["production", "stable"], ["shop"], "Change 2")
    first = world.client.get_prompt(NAME, version=1)
    assert (first.config, first.labels) == ({"model": "m", "temperature": 0.2}, ["staging"])


def chat_and_placeholders(world: World, _: pytest.MonkeyPatch) -> None:
    prompt = world.client.get_prompt("chat", type="chat")
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    assert prompt.compile(language="Welsh", question="Why?", history=history) == [
        {"role": "system", "content": "Speak Welsh."},
        *history,
        {"role": "user", "content": "Why?"},
    ]
    assert prompt.compile(language="Welsh")[1] == {"type": "placeholder", "name": "history"}
    assert prompt.variables == ["language", "question"]


def labels_and_versions(world: World, _: pytest.MonkeyPatch) -> None:
    def version(**asked: Any) -> int:
        return int(world.client.get_prompt(NAME, **asked).version)

    assert [version(label=label) for label in ("production", "stable", "staging", "latest")] == [2, 2, 1, 3]
    assert [version(version=number) for number in (1, 2, 3)] == [1, 2, 3]
    raw = world.client.api.prompts.get("support%2Fgreeting", label="staging")
    receipt = read_receipt(raw.promptforge["receipt"])
    assert receipt is not None
    assert (receipt.prompt, receipt.revision) == (world.greeting.pk, raw.promptforge["revision"])
    assert world.client.api.prompts.get("chat", resolve=False).prompt[1].name == "history"


def lists(world: World, _: pytest.MonkeyPatch) -> None:
    listed = world.client.api.prompts.list(label="production", limit=1, page=2)
    assert [(entry.name, entry.versions, entry.labels) for entry in listed.data] == [
        (NAME, [2], ["production", "stable"])
    ]
    assert (listed.meta.total_items, listed.meta.total_pages) == (2, 2)
    whole = world.client.api.prompts.list(name=NAME, tag="shop")
    assert (whole.data[0].versions, whole.data[0].type) == ([1, 2, 3], "text")
    later = world.client.api.prompts.list(from_updated_at=datetime.now().astimezone())
    assert later.data == []


def refusals(world: World, _: pytest.MonkeyPatch) -> None:
    for name, asked in (("nope", {}), ("never/live", {}), (NAME, {"label": "nowhere"}), (NAME, {"version": 9})):
        with pytest.raises(NotFoundError) as refused:
            world.client.get_prompt(name, max_retries=0, **asked)
        assert refused.value.body["error"] == "LangfuseNotFoundError"
        lost = world.client.get_prompt(name, fallback="Dear {{name}}", max_retries=0, **asked)
        assert (lost.is_fallback, lost.compile(name="Ada")) == (True, "Dear Ada")
    good = world.team.key()
    for client in (world.sign_in(good, "0000000000"), world.sign_in(good[:-8] + "x" * 8, "0000000001")):
        with pytest.raises(UnauthorizedError):
            client.get_prompt(NAME, max_retries=0)
    with pytest.raises(AccessDeniedError):
        world.sign_in(world.team.key(channels=["staging"])).get_prompt(NAME, max_retries=0)
    with pytest.raises(Error, match="exclude each other"):
        world.client.api.prompts.get("chat", version=1, label="stable")


def writes(world: World, _: pytest.MonkeyPatch) -> None:
    for write in (
        lambda client: client.create_prompt(name="new", prompt="x", labels=["production"]),
        lambda client: client.update_prompt(name=NAME, version=3, new_labels=["production"]),
        lambda client: client.api.prompts.delete("chat"),
    ):
        with pytest.raises(MethodNotAllowedError, match="POST /api/v1/releases"):
            write(world.client)


def its_own_cache(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only here may a reader be behind: by the time to live that the SDK was told, and no longer."""
    assert world.client.get_prompt(NAME).version == 2
    release(world.team, world.greeting, 3)
    assert world.client.get_prompt(NAME).version == 2
    assert world.client.get_prompt(NAME, cache_ttl_seconds=0).version == 3
    rollback(by=world.team.cleo, prompt=world.greeting, channel=world.team.stable, reason="Back")
    assert world.client.get_prompt(NAME, cache_ttl_seconds=0).version == 2
    assert world.client.get_prompt(NAME).labels == ["production", "stable"]
    release(world.team, world.greeting, 3)
    world.client.clear_prompt_cache()
    assert world.client.get_prompt(NAME).version == 3
    release(world.team, world.greeting, 1)
    now = PromptCacheItem.get_epoch_seconds()
    monkeypatch.setattr(PromptCacheItem, "get_epoch_seconds", staticmethod(lambda: now + 61))
    assert world.client.get_prompt(NAME).version == 3  # stale, and refreshed behind it
    world.client._resources.prompt_cache._task_manager.wait_for_idle()
    assert world.client.get_prompt(NAME).version == 1


def test_the_python_client(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for case in (text, chat_and_placeholders, labels_and_versions, lists, refusals, writes, its_own_cache):
        case(world, monkeypatch)
