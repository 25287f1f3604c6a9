"""Which versions may come back by a rollback: as the sentence in concepts says, after any moves."""

import random

import pytest

from promptforge.lib.errors import DomainError
from prompts.actions.releases import promote, rollback
from prompts.models import Release
from tests.personas import Team


def withdrawn(ledger: list[tuple[str, int]], target: int) -> bool:
    """Left by a rollback, and not brought back by a forward row since; the ledger as (kind, version)."""
    forward = max(
        (place for place, (kind, version) in enumerate(ledger, 1) if version == target and kind == "promote"), default=0
    )
    left = [
        place
        for place in range(2, len(ledger) + 1)
        if ledger[place - 1][0] == "rollback" and ledger[place - 2][1] == target
    ]
    return forward <= max(left, default=0)


@pytest.mark.parametrize("seed", [20, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(20))])
def test_any_moves(team: Team, seed: int) -> None:
    rng = random.Random(seed)
    prompt = team.prompt(versions=4)
    ledger: list[tuple[str, int]] = []
    outcomes = set()
    for _ in range(40):
        number = rng.randint(1, 4)
        version = team.version(prompt, number)
        if rng.random() < 0.5:
            if not ledger or ledger[-1][1] != number:
                promote(by=team.cleo, prompt=prompt, channel=team.stable, version=version)
                ledger.append(("promote", number))
            continue
        try:
            rollback(by=team.cleo, prompt=prompt, channel=team.stable, version=version, reason="It is worse")
            outcome = "done"
        except DomainError as refusal:
            outcome = refusal.code
        if not ledger:
            expected = "nothing_to_roll_back"
        elif ledger[-1][1] == number:
            expected = "already_live"
        elif number not in {version for _, version in ledger}:
            expected = "rollback_target_never_live"
        else:
            expected = "rollback_target_withdrawn" if withdrawn(ledger, number) else "done"
        assert outcome == expected, (ledger, number)
        outcomes.add(outcome)
        if outcome == "done":
            ledger.append(("rollback", number))
    assert list(Release.objects.order_by("revision").values_list("kind", "version__number")) == ledger
    assert {"done", "rollback_target_withdrawn"} <= outcomes
