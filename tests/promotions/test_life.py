"""The whole life of a promotion by REST: opened, sent back, stale, renewed, scheduled, applied, rolled back twice."""

from tests.api.conftest import body_of
from tests.api.people import person
from tests.personas import Team

NAME = "support/greeting"


def test_the_whole_life(careful_team: Team) -> None:
    team = careful_team
    team.prompt(versions=3)
    ada, ben, cleo = (person(team, name) for name in ("ada", "ben", "cleo"))
    one = body_of(ada.post("promotions", {"prompt": NAME, "version": 1, "title": "First"}), 201)
    print(one)
    given = body_of(
        ben.post(f"promotions/{one['id']}/reviews", {"decision": "approve", "diff_digest": one["diff_digest"]}), 201
    )
    print(given)
    done = body_of(cleo.post(f"promotions/{one['id']}/apply", {"mode": "now", "at": None}))
    print(done)
    assert done["status"] == "applied"
