"""What stands in the editor: texts, declarations, config and message exactly as typed, finished or not.

A form, a draft and a version are all read into it. A browser sends every line end of a text field as CR LF, and shows
none of the carriage returns that a text may have: so a text whose lines all end in CR LF says so beside its field, and
gets them back; one that mixes line ends keeps them as long as nobody changes it.
"""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.http import QueryDict

from promptforge.lib.errors import DomainError, Fault
from promptforge.lib.json import canonical_json, parse_json
from prompts.hidden_text import find_hidden
from prompts.models import Draft, PromptVersion
from prompts.models.prompts import PromptType
from prompts.templating import ROLES, Variable, parse

PLACEHOLDER = "placeholder"
KINDS = (*ROLES, PLACEHOLDER)
CRLF, LF, MIXED = "crlf", "lf", "mixed"
FIELDS = ("name", "type", "required", "default", "max_length", "enum", "description")


@dataclass(frozen=True)
class Text:
    """One message with its role, or a text prompt's only text (`role` is empty); a placeholder's text is its name."""

    role: str
    text: str

    @property
    def ends(self) -> str:
        """How its lines end."""
        if "\r" not in self.text:
            return LF
        return CRLF if plain(self.text).replace("\n", "\r\n") == self.text else MIXED


@dataclass(frozen=True)
class Row:
    """One declaration as its fields hold it: every value is a text."""

    name: str
    type: str = "string"
    required: str = "yes"
    default: str = ""
    max_length: str = ""
    enum: str = ""
    description: str = ""


@dataclass(frozen=True)
class Typed:
    kind: str
    texts: tuple[Text, ...]
    rows: tuple[Row, ...] = ()
    config: str = ""
    message: str = ""
    # What the rows and texts began as, so that what nobody touched stays as it was saved.
    known: Mapping[Row, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def blank(cls, kind: str) -> "Typed":
        roles = ("system", "user") if kind == PromptType.CHAT else ("",)
        return cls(kind, tuple(Text(role, "") for role in roles))

    @classmethod
    def of_version(cls, version: PromptVersion) -> "Typed":
        known = _known(version)
        config = version.config_object
        return cls(
            kind=version.type,
            texts=_texts(version.typed_source),
            rows=tuple(known),
            config=json.dumps(config, ensure_ascii=False, indent=2) if config else "",
            known=known,
        )

    @classmethod
    def of_draft(cls, draft: Draft) -> "Typed":
        source = json.loads(draft.source) if draft.prompt.type == PromptType.CHAT else draft.source
        return cls(
            kind=draft.prompt.type,
            texts=_texts(source),
            rows=tuple(Row(**row) for row in json.loads(draft.variables)),
            config=draft.config,
            message=draft.message,
            known=_known(draft.base_version),
        )

    @classmethod
    def of_form(cls, form: QueryDict, kind: str, before: "Typed | None" = None) -> "Typed":
        """What was sent; `before` is what stood in the form when it was drawn."""
        whole = {plain(each.text): each.text for each in (before.texts if before else ()) if each.ends == MIXED}
        roles, written, ends = form.getlist("role"), form.getlist("text"), form.getlist("ends")
        if kind == PromptType.TEXT:
            roles, written = [""], [*written, ""][:1]
        texts = tuple(
            Text(role, _restored(text, end, whole))
            for role, text, end in zip(roles, written, [*ends, *[LF] * len(written)], strict=False)
        )
        columns = (map(plain, form.getlist(f"v-{name}")) for name in FIELDS)
        rows = (dict(zip(FIELDS, values, strict=True)) for values in zip(*columns, strict=False))
        return cls(
            kind=kind,
            texts=texts,
            rows=tuple(Row(**row) for row in rows),
            config=plain(form.get("config", "")),
            message=plain(form.get("message", "")),
            known=before.known if before else {},
        )

    def stored(self) -> dict[str, str]:
        """The same as the columns of a draft."""
        return {
            "source": self.texts[0].text if self.kind == PromptType.TEXT else canonical_json(self.content),
            "variables": canonical_json([vars(row) for row in self.rows]),
            "config": self.config,
            "message": self.message,
        }

    @property
    def content(self) -> Any:
        """The content as the domain takes it, valid or not."""
        if self.kind == PromptType.TEXT:
            return self.texts[0].text
        return [
            {PLACEHOLDER: each.text} if each.role == PLACEHOLDER else {"role": each.role, "content": each.text}
            for each in self.texts
        ]

    def declarations(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Those declarations whose variables occur; refused with the place of the row in the form."""
        declared = []
        for index, row in enumerate(self.rows):
            if row.name in names:
                known = self.known.get(row)
                declared.append(dict(known) if known is not None else _declaration(row, f"/v-{index}"))
        return declared

    def config_object(self) -> Any:
        if not self.config.strip():
            return {}
        try:
            return parse_json(self.config.encode())
        except DomainError as refusal:
            raise DomainError(refusal.code, refusal.detail, [Fault("/config", refusal.code, refusal.detail)]) from None

    # --- What the buttons do ------------------------------------------------------------------------------------------
    def acted(self, act: str) -> tuple["Typed", int | None]:
        """What a button of the form makes of it, and which message is then the one in hand."""
        verb, _, rest = act.partition(":")
        place = int(rest) if rest.isdecimal() and len(rest) < 6 else 0
        if verb in ("add", "up", "down", "remove") and self.kind == PromptType.CHAT:
            return self._moved(verb, place)
        if verb == "declare":
            return self.declared(rest), None
        if verb == "undeclare":
            return replace(self, rows=tuple(row for row in self.rows if row.name != rest)), None
        if verb == "use":
            return self.renamed(*rest.partition(":")[::2]), None
        if verb == "clean":
            return replace(self, texts=tuple(replace(each, text=_cleaned(each.text)) for each in self.texts)), None
        return self, None

    def _moved(self, verb: str, place: int) -> tuple["Typed", int]:
        texts = list(self.texts)
        to = min(max(place + {"up": -1, "down": 1}.get(verb, 0), 0), max(len(texts) - 1, 0))
        if verb == "add":
            texts.append(Text(_next_role(self.texts), ""))
            to = len(texts) - 1
        elif place < len(texts):
            taken = texts.pop(place)
            if verb != "remove":
                texts.insert(to, taken)
        return replace(self, texts=tuple(texts)), min(to, max(len(texts) - 1, 0))

    def declared(self, name: str) -> "Typed":
        if not name or any(row.name == name for row in self.rows):
            return self
        return replace(self, rows=(*self.rows, Row(name)))

    def renamed(self, name: str, other: str) -> "Typed":
        """With one variable's name in the place of another's, wherever it stands."""
        return replace(self, texts=tuple(replace(each, text=_renamed(each.text, name, other)) for each in self.texts))

    def likely(self, name: str) -> str:
        """The declared variable that was probably meant."""
        close = difflib.get_close_matches(name, [row.name for row in self.rows], n=1, cutoff=0.5)
        return close[0] if close else ""


def plain(text: str) -> str:
    """A text as a browser's field holds it."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _restored(text: str, ends: str, whole: Mapping[str, str]) -> str:
    typed = plain(text)
    if ends == CRLF:
        return typed.replace("\n", "\r\n")
    return whole.get(typed, typed)


def _texts(source: Any) -> tuple[Text, ...]:
    if isinstance(source, str):
        return (Text("", source),)
    return tuple(
        Text(PLACEHOLDER, each[PLACEHOLDER]) if PLACEHOLDER in each else Text(each["role"], each["content"])
        for each in source
    )


def _known(version: PromptVersion | None) -> dict[Row, Mapping[str, Any]]:
    return {_row(declared): declared for declared in (version.variable_list if version else [])}


def _row(declared: Mapping[str, Any]) -> Row:
    default, enum = declared["default"], declared["enum"]
    return Row(
        name=declared["name"],
        type=declared["type"],
        required="yes" if declared["required"] else "no",
        default="" if default is None else default if isinstance(default, str) else canonical_json(default),
        max_length="" if declared["max_length"] is None else str(declared["max_length"]),
        enum="" if enum is None else "\n".join(enum),
        description=declared["description"],
    )


def _declaration(row: Row, pointer: str) -> dict[str, Any]:
    """What the fields of a row declare; the domain checks it further."""
    given: dict[str, Any] = {"name": row.name, "type": row.type, "required": row.required == "yes"}
    if row.description:
        given["description"] = row.description
    if row.enum.strip():
        given["enum"] = [choice for choice in row.enum.split("\n") if choice]
    if row.max_length.strip():
        if not row.max_length.strip().isdecimal() or len(row.max_length) > 12:
            raise _wrong(pointer, f"The longest length of {row.name} is a whole number, such as 200.")
        given["max_length"] = int(row.max_length)
    if row.default:
        given["required"] = False
        given["default"] = row.default
        if row.type not in ("string", "enum"):
            try:
                given["default"] = parse_json(row.default.encode())
            except DomainError:
                raise _wrong(pointer, f"The default of {row.name} is no {row.type}.") from None
    return given


def _wrong(pointer: str, sentence: str) -> DomainError:
    return DomainError("bad_variable", sentence, [Fault(pointer, "bad_variable", sentence)])


def _next_role(texts: Sequence[Text]) -> str:
    return "assistant" if texts and texts[-1].role == "user" else "user" if texts else "system"


def _renamed(text: str, name: str, other: str) -> str:
    pieces, done = [], 0
    for part in _variables(text):
        if part.name == name:
            pieces += [text[done : part.start], "{{ ", other, " }}"]
            done = part.end
    return "".join([*pieces, text[done:]])


def _cleaned(text: str) -> str:
    """Without what does not show; a letter that only looks like another stays, since it is read."""
    hidden = {each["offset"] for each in find_hidden(text) if not each["usual"] and each["kind"] != "confusable"}
    return "".join(character for place, character in enumerate(text) if place not in hidden) if hidden else text


def _variables(text: str) -> Iterator[Variable]:
    try:
        yield from (part for part in parse(text) if isinstance(part, Variable))
    except DomainError:
        return
