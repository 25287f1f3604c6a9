"""Where acts happen: the shop, its keys, and what an act is."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any

from prompts.models import Channel, Prompt
from tests.api.conftest import Caller
from tests.personas import Team

GREETING = "support/greeting"
FETCH = f"prompts/{GREETING}"
PROMOTE = {"kind": "promote", "prompt": GREETING, "version": 2}
ROLLBACK = {"kind": "rollback", "prompt": GREETING, "reason": "Worse"}
NEW = {"name": "new", "content": "Hello"}
WEBHOOK = {"url": "https://93.184.215.14/", "events": ["*"]}


@dataclass(eq=False)
class Scene:
    """The shop, and its keys by what they may."""

    team: Team
    keys: dict[str, str | None]

    @cache  # noqa: B019  a scene lasts as long as its test
    def caller(self, key: str = "all") -> Caller:
        return Caller(self.keys[key])

    @property
    def greeting(self) -> Prompt:
        return Prompt.objects.get(project=self.team.project, name=GREETING)

    @property
    def guarded(self) -> Channel:
        return Channel.objects.get(project=self.team.project, name="guarded")


type Act = Callable[[], Any]
type Arranged = Callable[[Scene], AbstractContextManager[Act]]
