"""A version that is served, and a service that reports what models made of it."""

import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from accounts.models import ApiKey
from delivery.intake import Reach
from delivery.models import Observation
from prompts.models import Prompt
from tests.api.conftest import Caller, body_of, release
from tests.personas import Team

NAME = "support/greeting"


@dataclass
class Served:
    """`support/greeting` with version 2 live on stable as revision 2; `receipt` as a fetch of it answers."""

    team: Team
    prompt: Prompt
    receipt: str
    service: Caller

    def observation(self, **fields: Any) -> dict[str, Any]:
        return {"id": str(uuid.uuid4()), "receipt": self.receipt, "output": "Dear Ada"} | fields

    def report(self, *observations: Any, status: int = 202) -> Any:
        return body_of(self.service.post("observations", {"observations": list(observations)}), status)

    @property
    def reach(self) -> Reach:
        key = ApiKey.objects.get(scopes__contains=["observations:write"], prompts=[])
        return Reach(key.project_id, key.pk, key.reaches_prompt)


@pytest.fixture
def served(team: Team) -> Served:
    prompt = team.prompt(versions=3)
    release(team, prompt, 1, reason="First")
    release(team, prompt, 2, reason="Kinder")
    receipt = body_of(Caller(team.key()).fetch(NAME))["receipt"]
    return Served(team, prompt, receipt, Caller(team.key("observations:write", "observations:read", "feedback:write")))


def stored() -> list[Observation]:
    return list(Observation.objects.order_by("at", "id"))
