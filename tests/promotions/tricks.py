"""The tricks: what somebody tries in order to get a version live that nobody else has looked at.

Each says on which promotion of the world it is tried, which act it is and in whose name, which rule of the database
refuses it, and which code and part of a sentence the doors say that speak to people.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from django.utils import timezone

from prompts.models import ChannelPolicy, Head, Promotion, PromptVersion, Review
from tests.promotions.attempts import Attempt, No

Forged = dict[str, Any]


class Trick(NamedTuple):
    promotion: str
    act: str
    who: str
    rule: str
    code: str
    says: str = ""
    # What a door answers otherwise, or why the trick cannot be tried there.
    at: Mapping[str, tuple[str, str] | No] = {}
    # What is written beside the honest values of the act.
    forge: Callable[[Attempt], Forged] = lambda attempt: {}


KEY, SESSION, PAGE, ADMIN = "REST with a key", "REST with a session", "a prompt's page", "the admin"
COMMAND, TASK = "a command", "a Celery task"
NOT_A_MEMBER = {
    SESSION: ("project_not_found", "no project"),
    PAGE: ("404", ""),
    COMMAND: ("prompt_not_found", "within reach"),
}
NOT_OF_A_KEY = {KEY: No("A key acts for its own account, in nobody's name.")}
NO_RELEASER = {ADMIN: ("form", "does not let you release"), PAGE: ("forbidden", "does not let you release")}
NAMED_BY_PROMOTION = No("The call names the promotion, and the promotion its version.")
REVIEWING, RELEASING = "does not let you review", "does not let you release"
NOT_READY = "promotion_not_ready"


def another_version(attempt: Attempt) -> Forged:
    return {"version": attempt.world.team.version(attempt.promotion.prompt, 3)}


def other_opener(attempt: Attempt) -> Forged:
    cleo = attempt.world.people["cleo"]
    return {"row": (Promotion, attempt.promotion.pk, {"opened_by": cleo, "opener": cleo})}


def called_applied(attempt: Attempt) -> Forged:
    fields = {"state": "APPLIED", "closed_by": attempt.user, "closed_at": timezone.now()}
    return {"row": (Promotion, attempt.promotion.pk, fields)}


def moved_head(attempt: Attempt) -> Forged:
    at = Head.objects.get(prompt=attempt.promotion.prompt, channel=attempt.promotion.channel)
    return {"row": (Head, at.pk, {"version": attempt.promotion.version, "revision": at.revision + 1})}


def objection_turned(attempt: Attempt) -> Forged:
    objection = attempt.promotion.reviews.get(decision="request_changes")
    return {"row": (Review, objection.pk, {"decision": "approve"})}


def weakened_in_place(attempt: Attempt) -> Forged:
    return {"row": (ChannelPolicy, attempt.promotion.policy_id, {"required_approvals": 0})}


def other_text(attempt: Attempt) -> Forged:
    return {"row": (PromptVersion, attempt.promotion.version_id, {"content": "Other"})}


TRICKS: Mapping[str, Trick] = {
    # Four eyes: Emil may review and release, and wrote or opened what he approves.
    "approve one's own version": Trick("own", "approve", "emil", "four_eyes", "four_eyes", "You wrote own@2"),
    "approve on top of one's earlier version": Trick(
        "earlier", "approve", "emil", "four_eyes", "four_eyes", "You wrote earlier@2"
    ),
    "approve a new include of one's own": Trick(
        "include", "approve", "emil", "four_eyes", "four_eyes", "what it newly includes"
    ),
    "approve what one opened": Trick(
        "opened", "approve", "emil", "four_eyes", "four_eyes", "You opened this promotion"
    ),
    "approve what one's key saved": Trick(
        "keyed", "approve", "emil", "four_eyes", "four_eyes", "You answer for the key that saved keyed@2"
    ),
    "approve what one's key opened": Trick(
        "machine", "approve", "emil", "four_eyes", "four_eyes", "You opened this promotion"
    ),
    "approve what one's key saved, the key given away": Trick(
        "handed", "approve", "emil", "four_eyes", "four_eyes", "You answer for the key that saved handed@2"
    ),
    # Without the right.
    "approve as a viewer": Trick("unapproved", "approve", "noor", "review_right", "forbidden", REVIEWING),
    "approve as a superuser": Trick(
        "unapproved", "approve", "root", "review_right", "forbidden", REVIEWING, NOT_A_MEMBER
    ),
    "approve as a removed member": Trick(
        "unapproved", "approve", "rita", "review_right", "forbidden", REVIEWING, NOT_A_MEMBER
    ),
    "release as an editor": Trick(
        "ready", "release", "ada", "release_right", "forbidden", RELEASING, NOT_OF_A_KEY | NO_RELEASER
    ),
    "release as a superuser": Trick(
        "ready", "release", "root", "release_right", "forbidden", RELEASING, NOT_OF_A_KEY | NO_RELEASER | NOT_A_MEMBER
    ),
    "release as a removed member": Trick(
        "ready", "release", "rita", "release_right", "forbidden", RELEASING,
        NOT_OF_A_KEY | NOT_A_MEMBER | {ADMIN: ("404", "")},
    ),
    # What was approved is not what would go live.
    "approve another diff": Trick(
        "unapproved", "approve", "ben", "stale_diff", "stale_diff", "diff that you saw is not",
        {COMMAND: No("It quotes the digest of the promotion itself.")},
        lambda attempt: {"diff_digest": b"what an older promotion showed"},
    ),
    "release another version than the approved one": Trick(
        "swapped", "release", "cleo", "promotion_matches", NOT_READY, "",
        dict.fromkeys((KEY, SESSION, ADMIN, TASK), NAMED_BY_PROMOTION)
        | {COMMAND: ("promotion_required", "takes no direct releases")},
        another_version,
    ),
    "release on a base that moved": Trick(
        "moved", "release", "cleo", "promotion_base", NOT_READY, "Renew the promotion", {TASK: ("stale_base", "")}
    ),
    "release under a policy that changed": Trick(
        "policy", "release", "cleo", "promotion_policy", NOT_READY, "has changed since", {TASK: ("policy_changed", "")}
    ),
    "release what was withdrawn": Trick(
        "withdrawn", "release", "cleo", "promotion_open", NOT_READY, "",
        dict.fromkeys((KEY, SESSION), ("promotion_closed", "it was withdrawn"))
        | {COMMAND: ("promotion_required", "Open a promotion"), TASK: ("schedule_of_open", "")},
    ),
    # Nobody approved, or nobody who counts.
    "release without a promotion": Trick(
        "ready", "direct", "cleo", "promotion_required", "promotion_required", "takes no direct releases",
        {COMMAND: No("`promote` takes the promotion that is open.")},
    ),
    "release unapproved": Trick(
        "unapproved", "release", "cleo", "promotion_approvals", NOT_READY, "One approval of one is missing",
        {TASK: ("review_missing", "")},
    ),
    "release with a removed member's approval": Trick(
        "removed", "release", "cleo", "promotion_approvals", NOT_READY, "One approval of one is missing",
        {TASK: ("review_missing", "")},
    ),
    "release over an objection that a comment followed": Trick(
        "objection", "release", "cleo", "promotion_objection", NOT_READY, "Emil asked for changes",
        {TASK: ("changes_requested", "")},
    ),
    "release into a freeze": Trick(
        "frozen", "release", "cleo", "freeze", NOT_READY, "is frozen until", {TASK: ("freeze", "")}
    ),
    # What nobody sees.
    "release tag characters unseen": Trick(
        "tags", "release", "cleo", "promotion_checks", NOT_READY, "They spell “ignore all rules”",
        {TASK: ("hidden_text", "")},
    ),
    "release bidi overrides unseen": Trick(
        "bidi", "release", "cleo", "promotion_checks", NOT_READY, "U+202E", {TASK: ("hidden_text", "")}
    ),
    "attest that no tag character is there": Trick(
        "tags", "attest", "cleo", "check_hidden_text", "guard", forge=lambda attempt: {"name": "hidden-text"}
    ),
    "attest that no bidi override is there": Trick(
        "bidi", "attest", "cleo", "check_hidden_text", "guard", forge=lambda attempt: {"name": "hidden-text"}
    ),
    "release a key inside the text": Trick(
        "leak", "release", "cleo", "promotion_checks", NOT_READY, "Looks like a secret", {TASK: ("secrets", "")}
    ),
    "attest that no key is there": Trick(
        "leak", "attest", "cleo", "check_secrets", "guard", forge=lambda attempt: {"name": "secrets"}
    ),
    "attest that callers do not break": Trick(
        "callers", "attest", "cleo", "check_variables", "guard", forge=lambda attempt: {"name": "variables"}
    ),
    "attest an evaluation that nothing ran": Trick(
        "ready", "attest", "cleo", "check_has_owner", "guard", forge=lambda attempt: {"name": "evaluation"}
    ),
    "attest by another version's check": Trick(
        "swapped", "attest", "cleo", "check_of_this_promotion", "guard",
        forge=lambda attempt: {"name": "secrets"} | another_version(attempt),
    ),
    # Another rule instead of another fact.
    "weaken the policy alone": Trick(
        "ready", "weaken", "cleo", "policy_four_eyes", "four_eyes", "You proposed this change"
    ),
    "weaken the policy as a superuser": Trick(
        "ready", "weaken", "root", "policy_four_eyes", "four_eyes", "", NOT_A_MEMBER
    ),
    # What was decided, decided otherwise.
    "forge who opened it": Trick(
        "opened", "rewrite", "emil", "promotion_closes_once", "promotion_closed", forge=other_opener
    ),
    "call it applied": Trick(
        "unapproved", "rewrite", "cleo", "promotion_applied_by_release", "promotion_closed", "",
        # A file knows milliseconds only, so that it changes when the promotion was opened as well.
        {
            "bulk_create over conflicts": ("promotion_on_the_present", ""),
            "loaddata as the owner": ("promotion_closes_once", ""),
        },
        called_applied,
    ),
    "move the head": Trick(
        "ready", "rewrite", "cleo", "head_follows_ledger", "guard", "",
        {"bulk_create over conflicts": ("head_starts_empty", "")}, moved_head,
    ),
    "turn an objection into an approval": Trick(
        "objection", "rewrite", "cleo", "prompts_review_frozen", "frozen", forge=objection_turned
    ),
    "weaken the policy in place": Trick(
        "ready", "rewrite", "cleo", "prompts_channelpolicy_frozen", "frozen", forge=weakened_in_place
    ),
    "swap the text of the approved version": Trick(
        "ready", "rewrite", "cleo", "version_frozen", "frozen", forge=other_text
    ),
}  # fmt: skip
