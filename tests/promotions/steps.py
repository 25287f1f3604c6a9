"""The steps of a promotion by REST, each asserted."""

from typing import Any

from prompts.actions.promotions import apply_promotion, open_promotion
from prompts.actions.reviews import review
from prompts.models import Head, Promotion, Prompt
from prompts.shapes import digest_text
from tests.api.conftest import Caller, body_of
from tests.personas import Team

NAME = "support/greeting"


def opened(caller: Caller, version: int, **fields: str) -> dict[str, Any]:
    return body_of(caller.post("promotions", {"prompt": NAME, "version": version} | fields), 201)


def reviewed(caller: Caller, promotion: dict[str, Any], decision: str = "approve", **fields: object) -> dict[str, Any]:
    body = {"decision": decision, "diff_digest": promotion["diff_digest"]} | fields
    return body_of(caller.post(f"promotions/{promotion['id']}/reviews", body), 201)


def shown(caller: Caller, promotion: dict[str, Any]) -> dict[str, Any]:
    return body_of(caller.get(f"promotions/{promotion['id']}"))


def live(team: Team) -> tuple[int, int]:
    """Version and revision of what is live."""
    head = Head.objects.get(prompt__name=NAME, channel=team.stable)
    return (0 if head.version is None else head.version.number), head.revision


def requested(team: Team, prompt: Prompt, number: int, **fields: Any) -> Promotion:
    """A promotion to `stable`, opened by Ada through the verb."""
    by = fields.pop("by", team.ada)
    return open_promotion(by=by, prompt=prompt, channel=team.stable, version=team.version(prompt, number), **fields)


def approved(team: Team, prompt: Prompt, number: int) -> Promotion:
    """The same, approved by Ben."""
    promotion = requested(team, prompt, number)
    review(by=team.ben, promotion=promotion, decision="approve", diff_digest=digest_text(promotion.diff_digest))
    return promotion


def applied(team: Team, prompt: Prompt, number: int) -> Promotion:
    """The same, made live by Cleo."""
    promotion = approved(team, prompt, number)
    apply_promotion(by=team.cleo, promotion=promotion)
    return promotion
