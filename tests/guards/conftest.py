"""What several modules of attacks begin with."""

import pytest

from prompts.models import Promotion
from tests.guards.attacks import review
from tests.guards.promoting import half_ready
from tests.personas import Team


@pytest.fixture
def ready(careful_team: Team) -> Promotion:
    """An open promotion of version 2 that lacks nothing: approved by Ben, every required check passed."""
    promotion = half_ready(careful_team)
    review(promotion, careful_team.ben)
    return promotion
