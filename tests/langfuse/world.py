"""What Langfuse's clients find, and a server that they find it on."""

from collections.abc import Iterator
from contextlib import contextmanager

from prompts.actions.channels import add_channel
from prompts.actions.releases import promote
from prompts.actions.versions import create_prompt
from prompts.models import Prompt
from tests.api.conftest import release
from tests.personas import Team
from tests.serving.fleet import fleet
from tests.startup.conftest import wait_until

NAME = "support/greeting"
MESSAGES = [
    {"role": "system", "content": "Speak {{language}}."},
    {"placeholder": "history"},
    {"role": "user", "content": "{{question}}"},
]


def furnish(team: Team) -> Prompt:
    """`support/greeting` with version 2 live and 1 on staging, a chat that is live, and a prompt that never was."""
    greeting = team.prompt(NAME, versions=3, config={"model": "m", "temperature": 0.2}, tags=["shop"])
    release(team, greeting, 2)
    staging = add_channel(by=team.farah, name="staging", policy={})
    promote(by=team.cleo, prompt=greeting, channel=staging, version=team.version(greeting, 1))
    chat, _ = create_prompt(by=team.ada, name="chat", content=MESSAGES)
    release(team, chat, 1)
    team.prompt("never/live")
    return greeting


@contextmanager
def serving(team: Team) -> Iterator[int]:
    """A server that has seen the database; its port."""
    with fleet(1) as [server]:
        ready = server.caller(team.key())
        wait_until(lambda: ready.call("GET", f"/api/v1/prompts/{NAME}")[0] == 200, 30)
        yield server.port
