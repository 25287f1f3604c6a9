"""What is to be said of a text while it is written: how it would be served, what callers meet, what looks wrong."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from accounts.policies import Principal
from promptforge.lib.errors import DomainError
from promptforge.lib.json import canonical_json
from prompts import templating
from prompts.actions.versions import Pins
from prompts.builtin_checks import caller_breaks
from prompts.hidden_text import find_hidden
from prompts.models import PromptVersion
from prompts.pages.typed import Typed
from prompts.secret_scan import find_secrets
from prompts.templating.variables import DoesNotFit, text_of

BYTES_PER_TOKEN = 4  # an estimate, and shown as one
SHOWN = 5


class Note(NamedTuple):
    """One line of what is told before saving: a state, a sentence, why, and a button that mends it."""

    conclusion: str
    title: str
    summary: str
    act: str = ""
    button: str = ""


class Part(NamedTuple):
    """A piece of the preview: `kind` is text, value, missing or messages."""

    kind: str
    text: str


@dataclass
class Seen:
    """A text looked at as it stands. What cannot be read is told in `refusal`; the rest is then what was typed."""

    typed: Typed
    content: Any
    variables: list[dict[str, Any]] = field(default_factory=list)
    config: Any = field(default_factory=dict)
    includes: list[dict[str, Any]] = field(default_factory=list)
    inherited: set[str] = field(default_factory=set)  # what included prompts declare
    refusals: list[DomainError] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [variable["name"] for variable in self.variables]

    @cached_property
    def undeclared(self) -> list[str]:
        """Variables that occur and that no row declares, nor an included prompt."""
        declared = {row.name for row in self.typed.rows} | self.inherited
        return [name for name in self.names if name not in declared]

    @cached_property
    def unused(self) -> list[str]:
        return [row.name for row in self.typed.rows if row.name not in self.names]

    @property
    def tokens(self) -> int:
        return tokens(self.content)


def look_at(typed: Typed, by: Principal) -> Seen:
    """The text as saving would take it: includes pinned and expanded, variables found, each refusal gathered."""
    seen = Seen(typed, typed.content)
    try:
        source = templating.check_content(typed.kind, typed.content)
        expanded = templating.expand(source, Pins(by).look_up)
        seen.content, seen.includes = expanded.content, expanded.includes
        seen.inherited = {declared["name"] for declared in expanded.inherited}
        seen.variables = templating.declared_variables(expanded.content, None, expanded.inherited)
        declared = typed.declarations(seen.names)
        seen.variables = templating.declared_variables(expanded.content, declared, expanded.inherited)
    except DomainError as refusal:
        seen.refusals.append(_at_its_row(refusal, typed, seen.names))
    try:
        seen.config = typed.config_object()
        templating.check_config(seen.config)
    except DomainError as refusal:
        seen.refusals.append(refusal)
        seen.config = {}
    return seen


def _at_its_row(refusal: DomainError, typed: Typed, names: Sequence[str]) -> DomainError:
    """What is wrong with a declaration, by its row in the form: only those in use were looked at."""
    used = [place for place, row in enumerate(typed.rows) if row.name in names]
    faults = []
    for fault in refusal.faults:
        _, _, rest = fault.pointer.partition("/variables/")
        index = rest.partition("/")[0]
        pointer = f"/v-{used[int(index)]}" if index.isdecimal() and int(index) < len(used) else fault.pointer
        faults.append(replace(fault, pointer=pointer))
    return DomainError(refusal.code, refusal.detail, faults, refusal.extra)


def names_in(text: str) -> set[str]:
    """The variables that a text names; none where it cannot be read."""
    try:
        return {part.name for part in templating.parse(text) if isinstance(part, templating.Variable)}
    except DomainError:
        return set()


def notes(seen: Seen, live: PromptVersion | None) -> list[Note]:
    """What to know before saving; what is wrong stands first."""
    found = [Note("failed", "It cannot be saved yet", refusal.detail) for refusal in seen.refusals]
    found += _undeclared(seen)
    if live is not None and not seen.refusals:
        found += _callers(seen, live)
    found += _line_ends(seen.typed)
    found += [*_hidden(seen), *_secrets(seen)]
    if seen.unused:
        names, it = ", ".join(seen.unused), "it" if len(seen.unused) == 1 else "them"
        found.append(
            Note(
                "advice",
                _many(len(seen.unused), "variable is", "variables are") + " not used",
                f"{names}: declared, and nowhere in the text. Saving lets {it} go.",
            )
        )
    elif seen.typed.rows:
        count = len(seen.typed.rows)
        title = "The declared variable is used" if count == 1 else f"All {count} declared variables are used"
        found.append(Note("passed", title, ", ".join(row.name for row in seen.typed.rows) + "."))
    return sorted(found, key=lambda note: ("failed", "advice", "passed").index(note.conclusion))


def preview(seen: Seen, values: Mapping[str, str]) -> list[tuple[str, list[Part]]]:
    """Each text with the sample values in it: (role, parts)."""
    declared = {variable["name"]: variable for variable in seen.variables}
    texts = [{"role": "", "content": seen.content}] if isinstance(seen.content, str) else seen.content
    shown = []
    for message in texts:
        if "placeholder" in message:
            shown.append(("", [Part("messages", message["placeholder"])]))
        else:
            shown.append((message["role"], list(_filled(message["content"], declared, values))))
    return shown


def _filled(text: str, declared: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Part]:
    try:
        parts = templating.parse(text)
    except DomainError:
        yield Part("text", text)
        return
    for part in parts:
        if isinstance(part, templating.Literal):
            yield Part("text", part.text)
        elif isinstance(part, templating.Variable):
            yield _value(part.name, declared.get(part.name), values.get(part.name, ""))
        else:
            yield Part("text", text[part.start : part.end])


def _value(name: str, declared: Mapping[str, Any] | None, sample: str) -> Part:
    if declared is None:
        return Part("value", sample) if sample else Part("missing", name)
    try:
        value = templating.parse_query_value(sample, declared) if sample else declared["default"]
        if value is None:
            return Part("missing", name) if declared["required"] else Part("value", "")
        return Part("value", text_of(value, declared))
    except (DomainError, DoesNotFit):
        return Part("missing", name)


def tokens(content: Any) -> int:
    text = content if isinstance(content, str) else canonical_json(content)
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def longer(seen: Seen, live: PromptVersion | None) -> str:
    """The size against what is live, in words."""
    if live is None:
        return "nothing is live"
    before = tokens(live.served_content)
    percent = round(100 * (seen.tokens - before) / before)
    return "the same" if percent == 0 else f"{abs(percent):,} % {'longer' if percent > 0 else 'shorter'}"


def _undeclared(seen: Seen) -> Iterator[Note]:
    for name in seen.undeclared[:SHOWN]:
        meant = seen.typed.likely(name)
        why = f"Did you mean {meant}?" if meant else "Declare it, so that callers know what to send."
        yield Note("advice", f"{name} is not declared", why, f"declare:{name}", "Declare it")


def _callers(seen: Seen, live: PromptVersion) -> Iterator[Note]:
    old = {variable["name"]: variable for variable in live.variable_list}
    new = {variable["name"]: variable for variable in seen.variables}
    broken = [sentence for name in new for sentence in caller_breaks(name, old.get(name), new[name])]
    if broken:
        yield Note("advice", "Callers have to change something", f"{'; '.join(broken)}.")
    if gone := [name for name in old if name not in new]:
        names, verb = ", ".join(gone), "is" if len(gone) == 1 else "are"
        yield Note(
            "advice",
            f"{names} {verb} no longer used",
            f"Callers of version {live.number} send it still; with strict they are refused.",
        )


def _line_ends(typed: Typed) -> Iterator[Note]:
    for number, each in enumerate(typed.texts, 1):
        if each.ends == "mixed":
            where = f"Message {number}" if len(typed.texts) > 1 else "The text"
            yield Note(
                "advice",
                f"{where} mixes line ends",
                "They stay as long as nobody changes it; then its lines end in LF alone.",
            )


def _hidden(seen: Seen) -> Iterator[Note]:
    found = [each for _, text in _texts(seen) for each in find_hidden(text) if not each["usual"]]
    if found:
        first = found[0]
        yield Note(
            "advice",
            _many(len(found), "hidden character", "hidden characters"),
            f"The first is {first['name'].lower()} {first['codepoint']} in line {first['line']}. "
            "A model reads them; reviewers are asked about them.",
            "clean",
            "Take them out",
        )


def _secrets(seen: Seen) -> Iterator[Note]:
    found = [(where, secret) for where, text in _texts(seen) for secret in find_secrets(text)]
    for where, secret in found[:SHOWN]:
        yield Note(
            "failed",
            "This looks like a secret",
            f"{secret.kind[0].upper()}{secret.kind[1:]} in {where}, line {secret.line}. Take it out: versions stay.",
        )
    if not found and not any(not each["usual"] for _, text in _texts(seen) for each in find_hidden(text)):
        yield Note("passed", "Nothing hidden, no secrets", "No invisible characters, nothing that looks like a key.")


def _texts(seen: Seen) -> Sequence[tuple[str, str]]:
    """What a person typed, each text with its name."""
    texts = [(f"message {number}", each.text) for number, each in enumerate(seen.typed.texts, 1)]
    texts = texts if seen.typed.kind == "chat" else [("the text", seen.typed.texts[0].text)]
    return [*texts, ("the config", seen.typed.config)]


def _many(count: int, one: str, more: str) -> str:
    return f"1 {one}" if count == 1 else f"{count} {more}"
