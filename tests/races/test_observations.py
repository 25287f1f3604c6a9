"""Many senders of the same observations, and senders that are killed: nothing answered is lost, nothing is doubled."""

import uuid

import pytest

from delivery.models import Observation
from tests.api.conftest import Caller, body_of
from tests.personas import Team
from tests.races.conftest import at_once, process

ROW = {"prompt": "support/greeting", "version": 1}


def test_fifty_senders_of_the_same_ids_store_each_once(team: Team) -> None:
    """Each sends them in another order, as retries of overlapping batches do."""
    team.prompt()
    caller = Caller(team.key("observations:write"))
    ids = [str(uuid.uuid4()) for _ in range(40)]

    def send(number: int) -> dict[str, int]:
        rows = [ROW | {"id": one} for one in ids[number % 40 :] + ids[: number % 40]]
        answer: dict[str, int] = body_of(caller.post("observations", {"observations": rows}), 202)
        return answer

    answers = at_once(50, send)
    assert [answer for answer in answers if not isinstance(answer, dict)] == []
    assert {answer["accepted"] + answer["duplicates"] for answer in answers} == {40}
    assert sum(answer["accepted"] for answer in answers) == 40
    assert sorted(str(row.uid) for row in Observation.objects.all()) == sorted(ids)


SENDER = """
import json, uuid
from django.test import Client
while True:
    ids = [str(uuid.uuid4()) for _ in range(20)]
    print("sent", *ids, flush=True)
    body = json.dumps({"observations": [{"id": one, "prompt": "support/greeting", "version": 1} for one in ids]})
    answer = Client(SERVER_NAME="localhost").post(
        "/api/v1/observations", body, content_type="application/json", headers={"Authorization": "Bearer KEY"}
    )
    assert answer.json() == {"accepted": 20, "duplicates": 0, "rejected": []}, answer.content
    print("answered", *ids, flush=True)
"""


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=pytest.mark.full)])
def test_killed_between_receiving_and_answering(team: Team, committed_db: str, kills: int) -> None:
    team.prompt()
    key = team.key("observations:write")
    for kill in range(kills):
        sent: list[str] = []
        answered: set[str] = set()
        with process(committed_db, SENDER.replace("KEY", key)) as sender:
            lines = [sender.line() for _ in range(5 + kill)]
            sender.kill()
            lines += sender.child.communicate(timeout=30)[0].splitlines()
        for line in lines:
            word, *ids = line.split()
            sent = ids if word == "sent" and len(ids) == 20 else sent
            answered |= set(ids) if word == "answered" else set()
        kept = {str(uid) for uid in Observation.objects.values_list("uid", flat=True)}
        assert answered <= kept
        again = body_of(Caller(key).post("observations", {"observations": [ROW | {"id": one} for one in sent]}), 202)
        assert again["accepted"] + again["duplicates"] == 20
        assert again["accepted"] in (0, 20)  # one statement: all of a call or nothing
        assert Observation.objects.filter(uid__in=sent).count() == 20
    assert Observation.objects.count() % 20 == 0
