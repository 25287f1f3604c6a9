"""The tests' standing people: Ada edits, Ben reviews, Cleo releases, Farah administers, Noor reads, Emil does all."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.actions.api_keys import create_key
from accounts.actions.members import create_user, set_roles
from accounts.models import ApiKey, Project, User
from accounts.policies import Principal
from prompts.actions.projects import create_project
from prompts.actions.versions import create_prompt, save_version
from prompts.models import Channel, Prompt, PromptVersion

ROLES = {
    "ada": ["editor"],
    "ben": ["reviewer"],
    "cleo": ["release-manager"],
    "emil": ["editor", "reviewer", "release-manager", "admin"],
    "farah": ["admin"],
    "noor": ["viewer"],
}


@dataclass
class Team:
    """A project with its people; `ada` … `noor` are principals, `outsider` is a person without any membership."""

    project: Project
    stable: Channel
    ada: Principal
    ben: Principal
    cleo: Principal
    emil: Principal
    farah: Principal
    noor: Principal
    outsider: User

    def prompt(self, name: str = "support/greeting", versions: int = 1, **fields: Any) -> Prompt:
        """A text prompt with that many versions, written by Ada: "Text 1 …", "Text 2 …"."""
        content = fields.pop("content", "Text 1 for {{customer_name}}")
        prompt, _ = create_prompt(by=self.ada, name=name, content=content, **fields)
        for number in range(2, versions + 1):
            save_version(
                by=self.ada,
                prompt=prompt,
                content=f"Text {number} for {{{{customer_name}}}}",
                message=f"Change {number}",
            )
        return prompt

    def version(self, prompt: Prompt, number: int) -> PromptVersion:
        return PromptVersion.objects.select_related("prompt").get(prompt=prompt, number=number)

    def expired_key(self, *scopes: str) -> str:
        """The text of a key that ended a second ago."""
        text = self.key(*scopes, expires_at=timezone.now() + timedelta(hours=1))
        ApiKey.objects.filter(public_id=text.split("_")[2]).update(expires_at=timezone.now() - timedelta(seconds=1))
        return text

    def key(self, *scopes: str, **narrowing: Any) -> str:
        """The text of a fresh key with these scopes (prompts:read when none is named), for which Emil answers."""
        return create_key(
            project=self.project,
            name="test",
            scopes=scopes or ("prompts:read",),
            responsible=self.emil.user,
            by=None,
            **narrowing,
        ).text


def make_team(name: str, preset: str) -> Team:
    emil = create_user(email=f"emil@{name}.example", name="Emil")
    project = create_project(name=name, preset=preset, creator=emil)
    for person, roles in ROLES.items():
        user = create_user(email=f"{person}@{name}.example", name=person.capitalize())
        set_roles(project=project, user=user, roles=roles, by=None)
    create_user(email=f"oda@{name}.example", name="Oda")
    return find_team(name)


def find_team(name: str) -> Team:
    """A team that was made."""
    project = Project.objects.get(name=name)
    users = {user.email.partition("@")[0]: user for user in User.objects.filter(email__endswith=f"@{name}.example")}
    return Team(
        project=project,
        stable=Channel.objects.select_related("policy").get(project=project, name="stable"),
        outsider=users.pop("oda"),
        **{person: Principal(user, project) for person, user in users.items()},
    )
