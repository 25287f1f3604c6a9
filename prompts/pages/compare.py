"""Compare: what differs between two versions, or between one's draft and a version, in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts.pages.door import ProjectPage
from accounts.policies import held
from promptforge.lib.json import canonical_json
from prompts.diffing import diff_versions
from prompts.hidden_text import find_hidden
from prompts.pages import lines
from prompts.pages.prompt import whole
from prompts.pages.sides import Side, Sides
from prompts.reading import find_prompt
from prompts.showing import in_one_line


class ComparePage(ProjectPage):
    place = "prompts"

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        prompt = find_prompt(self.principal, name)
        sides = Sides(self.principal, prompt)
        old, new = sides.read(*_asked(request, sides))
        diff = diff_versions(old.compared(), new.compared())
        is_beside = request.GET.get("view") == "beside"
        hidden = _came_in(old, new)
        return self.show(
            "prompts/compare.html",
            {
                "prompt": prompt,
                "may": held(self.principal.user, self.principal.project, prompt),
                "old": old,
                "new": new,
                "choices": sides.choices(),
                "live": sides.live,
                "newest": sides.newest,
                "diff": diff,
                "summary": in_one_line(diff),
                "parts": list(_parts(diff["content"], is_beside=is_beside)),
                "is_beside": is_beside,
                "shows_spaces": request.GET.get("spaces") == "shown",
                "hidden": hidden,
                "variables": list(_variables(old, new)),
                "settings": list(_settings(old, new, diff)),
            },
        )


def _asked(request: HttpRequest, sides: Sides) -> tuple[str, str]:
    """`?from=12&to=14`, or two ticks `?v=14&v=12`; left out: what is live, and the newest."""
    ticked = [number for number in request.GET.getlist("v") if whole(number) is not None]
    if len(ticked) >= 2:
        first, second = sorted(ticked[:2], key=int)
        return first, second
    to = request.GET.get("to", "") or (ticked[0] if ticked else "latest")
    before = str(max(1, (sides.number(to) or sides.newest + 1) - 1))
    return request.GET.get("from", "") or ("live" if "stable" in sides.live else before), to


def _parts(content: Mapping[str, Any], *, is_beside: bool) -> Iterator[dict[str, Any]]:
    """Each text of the two with its heading and its lines; a chat has one for each message."""
    messages = content.get("messages") or [{"op": "change", "segments": content["segments"], "role": None}]
    for message in messages:
        segments = message["segments"]
        laid_out: Sequence[Any] = lines.beside(segments) if is_beside else lines.inline(segments)
        changed = any(line.changed for line in laid_out)
        yield message | {
            "stretches": lines.folded(laid_out),
            "changed": changed,
            "lines": len(laid_out),
            "lines_changed": sum(line.changed for line in laid_out),
        }


def _came_in(old: Side, new: Side) -> list[dict[str, Any]]:
    """What does not show in the new text and stood nowhere in the old one."""
    known = {found["codepoint"] for text in _texts(old.content) for found in find_hidden(text)}
    found = [each for text in _texts(new.content) for each in find_hidden(text)]
    return [each for each in found if not each["usual"] and each["codepoint"] not in known]


def _texts(content: Any) -> list[str]:
    return [content] if isinstance(content, str) else [message.get("content", "") for message in content]


def _variables(old: Side, new: Side) -> Iterator[dict[str, Any]]:
    before = {variable["name"]: variable for variable in old.variables}
    after = {variable["name"]: variable for variable in new.variables}
    for name in dict.fromkeys([*after, *before]):
        was, now = before.get(name), after.get(name)
        yield {
            "name": name,
            "was": None if was is None else declared(was, now),
            "now": None if now is None else declared(now, was),
            "same": was == now,
        }


def declared(variable: Mapping[str, Any], beside: Mapping[str, Any] | None) -> str:
    """A declaration in words: `string, required`; what it is for only where that differs from the other side."""
    default = variable["default"]
    said = [variable["type"], "required" if variable["required"] else "optional"]
    if default not in (None, ""):
        said[1] = f"else “{default if isinstance(default, str) else canonical_json(default)}”"
    if variable["max_length"] is not None:
        said.append(f"at most {variable['max_length']:,} characters")
    if variable["enum"] is not None:
        said.append(f"one of {', '.join(variable['enum'])}")
    if beside is not None and variable["description"] != beside["description"]:
        said.append(f"“{variable['description']}”")
    return ", ".join(said)


def _settings(old: Side, new: Side, diff: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every setting that differs, by its path, and those on top that do not; then the included prompts."""
    changed = set()
    for change in diff["config"]:
        path = change["path"].replace("~1", "/").replace("~0", "~").strip("/")
        changed.add(change["path"].split("/")[1] if "/" in change["path"] else "")
        name = path if change["op"] != "reorder" else f"{path} order".strip()
        yield {"name": name, "op": change["op"], "was": change["before"], "now": change["after"], "same": False}
    for key, value in new.config.items():
        if key.replace("~", "~0").replace("/", "~1") not in changed:
            yield {"name": key, "op": "same", "was": value, "now": value, "same": True}
    moved = {change["prompt"]: change for change in diff["includes"]}
    for name in dict.fromkeys(include["prompt"] for include in (*new.includes, *old.includes)):
        was, now = (
            ", ".join(f"version {include['version']}" for include in side.includes if include["prompt"] == name)
            for side in (old, new)
        )
        yield {"name": name, "op": "include", "was": was, "now": now, "same": name not in moved}
