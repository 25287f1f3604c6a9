"""What can be done with a promotion besides reviewing it: when it fits, and what is asked before it happens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prompts.checks import Line, missing
from prompts.standing import Standing


@dataclass(frozen=True)
class Verb:
    """`title`, `says` and `button` are forms with {version}, {channel}, {back} (the way back) and {who}.

    `reason` says how its reason is asked for; without one it takes none. `menu` is what it is called in a menu.
    """

    menu: str
    title: str
    says: str
    button: str
    look: str = "primary"
    reason: str = ""
    hint: str = ""
    is_reason_needed: bool = False


VERBS: Mapping[str, Verb] = {
    "promote": Verb(
        "Now, to everybody",
        "Promote version {version} to {channel} now?",
        "The next request gets it.{back}",
        "Promote version {version}",
        reason="Why",
        hint="It stands in the history; left empty, the title stands there.",
    ),
    "schedule": Verb(
        "At a set time",
        "When does version {version} go live in {channel}?",
        "All checks are asked again then. If something is missing, it is called off and you are told.",
        "Schedule version {version}",
        reason="Why",
        hint="It stands in the history; left empty, the title stands there.",
    ),
    "unschedule": Verb(
        "Call off the schedule",
        "Call off what is scheduled?",
        "The promotion stays open, with its reviews.",
        "Call it off",
    ),
    "renew": Verb(
        "Renew it",
        "Renew this promotion?",
        "A new one compares version {version} with what is live now. Title and note come along, reviews do not.",
        "Renew it",
    ),
    "withdraw": Verb(
        "Withdraw",
        "Withdraw this promotion?",
        "It is closed for good. You can ask for version {version} anew.",
        "Withdraw it",
        look="danger",
    ),
    "reject": Verb(
        "Reject",
        "Reject this promotion?",
        "It is closed for good. To see it again mended, ask for changes instead.",
        "Reject it",
        look="danger",
        reason="Why",
        hint="Whoever opened it reads this.",
        is_reason_needed=True,
    ),
    "dismiss": Verb(
        "Dismiss",
        "Let the review of {who} count no longer?",
        "It stays in the conversation, with your reason.",
        "Dismiss the review",
        look="danger",
        reason="Why",
        hint="Whoever gave it reads this.",
        is_reason_needed=True,
    ),
    "glass": Verb(
        "Break glass",
        "Put version {version} live in {channel} past every rule?",
        "The next request gets it. Everybody is told, and a second person must ratify it.{back}",
        "Break glass",
        look="danger",
        reason="Why this cannot wait",
        hint="At least 20 characters; a second person reads it.",
        is_reason_needed=True,
    ),
}


def fitting(now: Standing, shown: Sequence[Line], may: Mapping[str, bool], *, can_break_glass: bool) -> dict[str, Verb]:
    """The verbs that make sense for a promotion as it stands, and that the person may do."""
    if not now.is_open:
        return {}
    lacking = {verdict.code for _, verdict in missing(now, shown)}
    is_live = now.head.version_id == now.promotion.version_id
    fits = {
        "promote": may["release"] and not lacking,
        "schedule": may["release"] and lacking <= {"freeze"},  # the window may be over by then
        "unschedule": may["release"] and now.schedule is not None,
        "renew": may["edit"] and bool(lacking & {"stale_base", "policy_changed", "expired"}) and not is_live,
        "withdraw": may["edit"],
        "reject": may["review"],
        "dismiss": may["release"],
        "glass": can_break_glass,
    }
    return {name: VERBS[name] for name, applies in fits.items() if applies}
