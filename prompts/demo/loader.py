"""Brings the demo project's history along, as an import would. README.md describes the data."""

import json
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from accounts.actions.members import create_user, set_roles
from accounts.models import Project, User
from accounts.policies import Principal
from prompts.actions.imports import import_release
from prompts.actions.projects import PRESETS, create_channel, create_project
from prompts.actions.versions import create_prompt, save_version
from prompts.models import Channel, Prompt
from prompts.reading import find_version
from prompts.selectors import parse_reference

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
    prompts: dict[str, Prompt] = field(default_factory=dict)
    written: dict[str, dict[str, Any]] = field(default_factory=dict)

    def save(self, entry: dict[str, Any]) -> None:
        """One saved version; fields that are left out are those of the version before."""
        name, _ = parse_reference(entry["saved"])
        given: dict[str, Any] = {key: entry[key] for key in ("variables", "config") if key in entry}
        if "content" in entry:
            given["content"] = _content(entry["content"])
        fields = self.written[name] = self.written.get(name, {}) | given
        by, at = Principal(self.people[entry["by"]], self.project), moment(entry["at"], today=self.today)
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


def load_demo(creator: User) -> Project:
    """Make the project `demo` with its people, prompts and seven weeks of history."""
    data = json.loads((HERE / "demo.json").read_text(encoding="utf-8"))
    # Its releases are direct ones, so nothing protects its channels yet.
    project = create_project(name=data["project"]["name"], preset="solo", creator=creator)
    people = {}
    for person in data["people"]:
        user = people[person["key"]] = create_user(email=person["email"], name=person["name"])
        set_roles(project=project, user=user, roles=person["roles"], by=None)
    for channel in data["channels"]:
        if channel["name"] != "stable":
            create_channel(project=project, name=channel["name"], policy=PRESETS["solo"], creator=creator)
    channels = {channel.name: channel for channel in Channel.objects.filter(project=project)}
    loader = _Loader(
        project, people, channels, timezone.now().date(), {prompt["name"]: prompt for prompt in data["prompts"]}
    )
    for entry in data["history"]:
        loader.save(entry) if "saved" in entry else loader.release(entry)
    return project


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
