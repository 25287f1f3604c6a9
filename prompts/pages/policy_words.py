"""What a channel's policy demands, as sentences, and a policy as a form has it."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.http import QueryDict

from accounts.models import Membership, Project, User
from accounts.pages.settings import lines, whole
from accounts.roles import Role
from promptforge.lib.errors import shorten, wrong
from prompts.actions.channels import LONGEST_TTL_DAYS, MOST_APPROVALS
from prompts.actions.projects import PRESETS
from prompts.checks import installed
from prompts.models.channels import POLICY_FIELDS, REQUIRABLE, ChannelPolicy, CheckName, PolicyFields

CHECKS_IN_WORDS = {
    CheckName.UP_TO_DATE: ("Up to date", "It was compared with the version that is live."),
    CheckName.EVALUATION: ("Evaluation", "It passed an evaluation against the version that is live."),
    CheckName.VARIABLES: ("Variables", "Services send the variables that it needs."),
    CheckName.HIDDEN_TEXT: ("Hidden text", "It holds no hidden characters that nobody has looked at."),
    CheckName.SECRETS: ("Secrets", "It holds nothing that looks like a password or a key."),
    CheckName.CANARY: ("Canary", "A share of the users got it first."),
}
PRESETS_IN_WORDS = {
    "solo": ("Solo", "You alone. Nothing waits for anybody."),
    "team": ("Team", "For most teams. A second person reads each change."),
    "strict": ("Strict", "For prompts that can cost money or trust."),
}


def preset_of(policy: ChannelPolicy) -> str:
    """The preset whose demands these are; nothing when they are somebody's own."""
    for name, preset in PRESETS.items():
        is_so = set(policy.required_checks) == set(map(str, preset["required_checks"]))
        if is_so and policy.required_approvals == preset["required_approvals"]:
            return name
    return ""


def names_of(policies: Iterable[PolicyFields]) -> Mapping[int, str]:
    """The people whom review groups name by their id."""
    entries = [entry for policy in policies for group in policy.review_groups for entry in group]
    ids = {int(entry.partition(":")[2]) for entry in entries if entry.startswith("user:")}
    return {user.pk: str(user) for user in User.objects.filter(pk__in=ids)} if ids else {}


def sentences(policy: PolicyFields, names: Mapping[int, str]) -> list[str]:
    """A policy, one demand a line."""
    if not policy.protects:
        return ["Releases go straight in: nothing is asked, and nobody waits.", _rollbacks(policy)]
    said = [_approvals(policy)]
    said += [f"One of the approvals comes from {group}." for group in _groups(policy, names)]
    said += [f"{label}: {_lower(says)}" for label, says in _checks(policy)]
    said.append(f"An approval counts for {_days(policy.approval_ttl_days)}.")
    if policy.required_checks:
        said.append(f"The result of a check counts for {_days(policy.evidence_ttl_days)}.")
    return [*said, _rollbacks(policy)]


def differences(was: PolicyFields, becomes: PolicyFields, names: Mapping[int, str]) -> list[tuple[str, str, str]]:
    """What a change would change: what it is about, how it is, and how it would be."""
    before, after = _told(was, names), _told(becomes, names)
    return [(label, before[label], after[label]) for label in before if before[label] != after[label]]


def _told(policy: PolicyFields, names: Mapping[int, str]) -> dict[str, str]:
    return {
        "Approvals": str(policy.required_approvals),
        "Approvers": "; ".join(_groups(policy, names)) or "anybody who may review",
        "Checks": ", ".join(label for label, _ in _checks(policy)) or "none",
        "An approval counts for": _days(policy.approval_ttl_days),
        "A check counts for": _days(policy.evidence_ttl_days),
        "Roll back": ", ".join(_labels(policy.rollback_roles)) or "whoever may release",
    }


def _approvals(policy: PolicyFields) -> str:
    if policy.required_approvals == 0:
        return "No approval is needed."
    count = "One approval" if policy.required_approvals == 1 else f"{policy.required_approvals} approvals"
    return f"{count}, never the author’s."


def _checks(policy: PolicyFields) -> list[tuple[str, str]]:
    return [words for check, words in CHECKS_IN_WORDS.items() if check in policy.required_checks]


def _groups(policy: PolicyFields, names: Mapping[int, str]) -> list[str]:
    return [" or ".join(_entry(entry, names) for entry in group) for group in policy.review_groups]


def _entry(entry: str, names: Mapping[int, str]) -> str:
    kind, _, who = entry.partition(":")
    return f"a {Role(who).label.lower()}" if kind == "role" else names.get(int(who), "somebody who has left")


def _rollbacks(policy: PolicyFields) -> str:
    others = _labels(policy.rollback_roles)
    also = f"; so does every {' and every '.join(label.lower() for label in others)}" if others else ""
    return f"Whoever may release rolls back with one click and a reason{also}."


def _labels(roles: Iterable[str]) -> list[str]:
    return [str(Role(role).label) for role in roles]


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def unanswered_checks() -> set[CheckName]:
    """The checks that nothing answers here, so that no promotion passes where they are demanded."""
    return set(REQUIRABLE) - set(map(CheckName, installed()))


# --- As a form has it -------------------------------------------------------------------------------------------------
def check_choices() -> list[tuple[str, str, str]]:
    """The checks that can be demanded; of one that nothing answers yet it is said what demanding it does."""
    missing = " Nothing answers this yet: while it is demanded, nothing goes live."
    unanswered = unanswered_checks()
    return [
        (check.value, label, says + missing if check in unanswered else says)
        for check, (label, says) in CHECKS_IN_WORDS.items()
    ]


def filled(policy: PolicyFields, emails: Mapping[int, str]) -> dict[str, Any]:
    """A form's fields as the policy has them."""
    return {name: getattr(policy, name) for name in POLICY_FIELDS} | {
        "review_groups": "\n".join(
            ", ".join(_typed(entry, emails) for entry in group) for group in policy.review_groups
        )
    }


def _typed(entry: str, emails: Mapping[int, str]) -> str:
    kind, _, who = entry.partition(":")
    return who if kind == "role" else emails.get(int(who), entry)


def emails_of(project: Project) -> dict[int, str]:
    return dict(Membership.objects.filter(project=project).values_list("user_id", "user__email"))


def read(sent: QueryDict, project: Project) -> dict[str, Any]:
    """The fields of a policy as a form sent them."""
    checks = [check.value for check in REQUIRABLE if check in sent.getlist("required_checks")]
    return {
        "required_approvals": whole(sent, "required_approvals", 0, MOST_APPROVALS),
        "required_checks": checks,
        "review_groups": _read_groups(sent.get("review_groups", ""), project),
        "approval_ttl_days": whole(sent, "approval_ttl_days", 1, LONGEST_TTL_DAYS),
        "evidence_ttl_days": whole(sent, "evidence_ttl_days", 1, LONGEST_TTL_DAYS),
        "rollback_roles": [role.value for role in Role if role in sent.getlist("rollback_roles")],
    }


def _read_groups(text: str, project: Project) -> list[list[str]]:
    """A group a line: roles by their names, members by their addresses."""
    if not text.strip():
        return []
    ids = {email.lower(): pk for pk, email in emails_of(project).items()}
    groups = []
    for line in filter(str.strip, text.splitlines()):
        group = []
        for word in lines(line):
            role = word.lower().replace(" ", "-")
            if role in Role.values:
                group.append(f"role:{role}")
            elif word.lower() in ids:
                group.append(f"user:{ids[word.lower()]}")
            else:
                raise wrong("review_groups", f"{shorten(word)} is no role and no member’s e-mail address.")
        groups.append(group)
    return groups
