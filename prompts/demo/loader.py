"""Brings the demo project's history along, as an import would, and has its people go on. README.md describes it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts.actions.members import create_user, set_roles
from accounts.models import Membership, Project, User
from accounts.policies import Principal
from accounts.roles import Role
from promptforge.lib.errors import DomainError
from prompts.actions.imports import import_release
from prompts.actions.projects import PRESETS, create_channel, create_project
from prompts.actions.promotions import apply_promotion, open_promotion, reject, withdraw
from prompts.actions.reviews import review
from prompts.actions.schedules import schedule
from prompts.actions.versions import create_prompt, save_version
from prompts.models import Channel, Promotion, Prompt
from prompts.reading import find_version
from prompts.selectors import parse_reference
from prompts.shapes import digest_text

HERE = Path(__file__).parent
ZONE = ZoneInfo("UTC")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri")


@dataclass
class _Loader:
    project: Project
    people: dict[str, User]
    channels: dict[str, Channel]
    today: date
    described: dict[str, dict[str, Any]]
    prompts: dict[str, Prompt]
    written: dict[str, dict[str, Any]] = field(default_factory=dict)
    promotions: dict[str, Promotion] = field(default_factory=dict)

    def save(self, entry: dict[str, Any]) -> None:
        """One saved version; fields that are left out are those of the version before."""
        name, _ = parse_reference(entry["saved"])
        given: dict[str, Any] = {key: entry[key] for key in ("variables", "config") if key in entry}
        if "content" in entry:
            given["content"] = _content(entry["content"])
        fields = self.written[name] = self.written.get(name, {}) | given
        by, at = self.who(entry), moment(entry["at"], today=self.today) if "at" in entry else None
        if name in self.prompts:
            save_version(by=by, prompt=self.prompts[name], message=entry["message"], created_at=at, **fields)
        else:
            about = self.described[name]
            self.prompts[name], _ = create_prompt(by=by, message=entry["message"], created_at=at, **about, **fields)

    def release(self, entry: dict[str, Any]) -> None:
        name, selector = parse_reference(entry["released"])
        version = find_version(self.prompts[name], selector.number)
        import_release(
            prompt=self.prompts[name],
            channel=self.channels[entry["channel"]],
            version=version,
            decided_by=self.people[entry["by"]],
            reason=entry["reason"],
            at=moment(entry["at"], today=self.today),
        )

    def open(self, entry: dict[str, Any]) -> None:
        name, selector = parse_reference(entry["opened"])
        self.promotions[entry["opened"]] = open_promotion(
            by=self.who(entry),
            prompt=self.prompts[name],
            channel=self.channels["stable"],
            version=find_version(self.prompts[name], selector.number),
            title=entry["title"],
            note=entry["note"],
        )

    def review(self, entry: dict[str, Any]) -> None:
        promotion = self.promotions[entry["reviewed"]]
        seen = digest_text(promotion.diff_digest)
        said = {"decision": entry["decision"], "body": entry["body"]}
        review(by=self.who(entry), promotion=promotion, diff_digest=seen, **said)

    def apply(self, entry: dict[str, Any]) -> None:
        apply_promotion(by=self.who(entry), promotion=self.promotions[entry["applied"]])

    def schedule(self, entry: dict[str, Any]) -> None:
        days, clock = entry["at"].split()
        on = self.today + timedelta(days=int(days))
        at = datetime.combine(on, time.fromisoformat(clock), tzinfo=ZONE)
        schedule(by=self.who(entry), promotion=self.promotions[entry["scheduled"]], apply_at=at)

    def reject(self, entry: dict[str, Any]) -> None:
        reject(by=self.who(entry), promotion=self.promotions[entry["rejected"]], reason=entry["reason"])

    def withdraw(self, entry: dict[str, Any]) -> None:
        withdraw(by=self.who(entry), promotion=self.promotions[entry["withdrawn"]])

    def who(self, entry: dict[str, Any]) -> Principal:
        return Principal(self.people[entry["by"]], self.project)


# What an entry does, by the key that names its version.
_ACTS: Mapping[str, Callable[[_Loader, dict[str, Any]], None]] = {
    "saved": _Loader.save,
    "released": _Loader.release,
    "opened": _Loader.open,
    "reviewed": _Loader.review,
    "applied": _Loader.apply,
    "scheduled": _Loader.schedule,
    "rejected": _Loader.reject,
    "withdrawn": _Loader.withdraw,
}


def load_demo(creator: User) -> Project:
    """Make the project `demo` with its people, prompts and seven weeks of history."""
    data = _data()
    project = create_project(name=data["project"]["name"], preset=data["project"]["preset"], creator=creator)
    for person in data["people"]:
        user = create_user(email=person["email"], name=person["name"])
        set_roles(project=project, user=user, roles=person["roles"], by=None)
    for channel in data["channels"]:
        if channel["name"] != "stable":
            create_channel(project=project, name=channel["name"], policy=PRESETS["solo"], creator=creator)
    _play(project, data, data["history"])
    return project


def load_demo_for(admin: User) -> Project:
    """The demo with this person as its admin and release manager. `begin_demo` follows, after a commit."""
    with transaction.atomic():
        project = load_demo(admin)
        set_roles(project=project, user=admin, roles=[Role.ADMIN, Role.RELEASE_MANAGER], by=None)
    return project


def live_today(project: Project) -> None:
    """Have the demo's people save, ask and decide. It ends the import, so the history is committed before."""
    data = _data()
    with transaction.atomic():
        _play(project, data, data["today"])


def begin_demo(project: Project) -> None:
    """Today, and what the apps above add in the background: both or neither, and once, whoever else begins it."""
    with transaction.atomic():
        if import_string(settings.DEMO_GOES_ON)(project):
            live_today(project)


def resume_demo() -> str:
    """Begin a demo that was loaded and not begun, because whoever made it was ended in between.

    Returns why it cannot be begun any more, which is for its people to have gone on without it.
    """
    data = _data()
    emails = [person["email"] for person in data["people"]]
    project = Project.objects.filter(name=data["project"]["name"]).first()
    if project is None or Membership.objects.filter(project=project, user__email__in=emails).count() < len(emails):
        return ""  # or somebody's own project of that name
    try:
        begin_demo(project)
    except DomainError as refusal:
        return f"The demo stays without its promotions and evaluations: {refusal.detail}"
    return ""


def _play(project: Project, data: dict[str, Any], entries: list[dict[str, Any]]) -> None:
    loader = _Loader(
        project,
        {person["key"]: User.objects.get(email=person["email"]) for person in data["people"]},
        {channel.name: channel for channel in Channel.objects.filter(project=project)},
        timezone.now().date(),
        {prompt["name"]: prompt for prompt in data["prompts"]},
        {prompt.name: prompt for prompt in Prompt.objects.filter(project=project)},
    )
    for entry in entries:
        [act] = [act for key, act in _ACTS.items() if key in entry]
        act(loader, entry)


def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads((HERE / "demo.json").read_text(encoding="utf-8"))
    return data


def moment(at: str, *, today: date, zone: ZoneInfo = ZONE) -> datetime:
    """What `-1 Tue 09:41` means today: week -1 is the newest working week whose Friday lies before today."""
    week, day, clock = at.split()
    newest_friday = today - timedelta(days=(today.weekday() - 4) % 7 or 7)
    on = newest_friday + timedelta(days=DAYS.index(day) - 4, weeks=int(week) + 1)
    return datetime.combine(on, time.fromisoformat(clock), tzinfo=zone)


def _content(given: Any) -> Any:
    if isinstance(given, str):
        return _read(given)
    return [message | {"content": _read(message["content"])} if "content" in message else message for message in given]


def _read(path: str) -> str:
    """A text as its bytes are, but for the one line end that closes the file."""
    return (HERE / "texts" / path).read_bytes().decode().removesuffix("\n")
