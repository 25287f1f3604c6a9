"""What is refused ahead of any action: keys in addresses, and a header that would be ignored."""

import pytest
from django.test import Client

from accounts.models import Project
from tests.personas import Team


@pytest.mark.parametrize(
    "address", ["prompts/pf_dev_abc", "prompts/pf%5Flive%5Fabc", "prompts/a?x=pf%5Fdev%5Fabc", "prompts/a?pf_dev_=1"]
)
def test_a_key_anywhere_in_the_address_is_refused(team: Team, address: str) -> None:
    answer = Client().get(f"/api/v1/{address}", headers={"Authorization": f"Bearer {team.key()}"})
    assert (answer.status_code, answer.json()["code"]) == (400, "key_in_url")


def test_a_project_is_not_made_with_an_idempotency_key(team: Team) -> None:
    client = Client()
    client.force_login(team.emil.user, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post("/api/v1/projects", {"name": "new"}, "application/json", headers={"Idempotency-Key": "one"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_value")
    assert "Idempotency-Key is not taken here" in answer.json()["detail"]
    assert not Project.objects.filter(name="new").exists()
