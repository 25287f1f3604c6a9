"""Rendering: values put into a content, each once and verbatim. What is put in is never looked at again."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from promptforge.lib.errors import DomainError, Fault, shorten
from promptforge.lib.json import kind_of, pointer
from prompts.templating.contents import Content, check_messages, placeholder_names, refused, texts
from prompts.templating.grammar import Literal, Place, Variable, parse
from prompts.templating.variables import Declaration, DoesNotFit, complete, text_of

MAX_RENDERED = 1_048_576
_NOTHING: Mapping[str, Any] = {}


class Rendered(NamedTuple):
    """`unused` names the values and message lists that were given but are not wanted, in the order given."""

    content: Content
    unused: list[str]


class Template:
    """An expanded content, split once, to be rendered many times. Immutable after construction; safe across threads.

    `variables` are the full declarations (`declared_variables`). The content is one that was saved: parsing it again
    raises only what `parse` raises. 200 variables at most, so that one pass over the declarations is cheap.
    """

    __slots__ = ("_declared", "_free", "_messages", "_placeholders", "_text")

    def __init__(self, content: Content, variables: Iterable[Declaration]) -> None:
        self._declared = {v["name"]: v for v in map(complete, variables)}
        # Strings that nothing is demanded of: most variables are such, and they are put in as they come.
        self._free = frozenset(
            name
            for name, declared in self._declared.items()
            if declared["type"] == "string" and declared["max_length"] is None and declared["enum"] is None
        )
        self._placeholders = frozenset(placeholder_names(content))
        # Text is kept as literal and variable in turn: even positions are literals, odd ones variables' names.
        self._text: list[str] | None = None
        self._messages: list[tuple[str, list[str] | None]] = []  # (role, split text) or (placeholder's name, None)
        if isinstance(content, str):
            self._text = self._split(content, texts(content)[0][0])
            return
        for index, message in enumerate(content):
            if "placeholder" in message:
                self._messages.append((message["placeholder"], None))
            else:
                self._messages.append((message["role"], self._split(message["content"], Place(index + 1))))

    def render(
        self,
        values: Mapping[str, Any] = _NOTHING,
        messages: Mapping[str, Any] = _NOTHING,
        *,
        strict: bool = False,
        max_bytes: int = MAX_RENDERED,
    ) -> Rendered:
        """The content with `values` (name → JSON value) and `messages` (placeholder → list of messages) put in.

        null counts as not given; a default then fills. Raises DomainError, naming every place in `faults`
        (`/variables/<name>`, `/messages/<name>`): missing_variable, bad_variable, unknown_variable (strict only; else
        `unused`), in this order of precedence; the codes of `check_messages`; object_expected; content_too_large
        (more than `max_bytes` of UTF-8); invalid_unicode (a value with a lone surrogate).
        """
        filled, faults = self._fill(values)
        lists = self._lists(messages, faults)
        unused = self._unused(values, messages)
        if strict:
            faults += (
                Fault(p, "unknown_variable", f"{shorten(n, 40)} is not wanted by this prompt.") for p, n in unused
            )
        if faults:
            raise _refusal(faults)
        budget = _Budget(max_bytes)
        names = list(dict.fromkeys(name for _, name in unused))
        if self._text is not None:
            return Rendered(_join(self._text, filled, budget), names)
        chat: list[dict[str, str]] = []
        for name, text in self._messages:
            if text is None:
                for message in lists[name]:
                    budget.spend([message["content"]])
                chat += lists[name]
            else:
                chat.append({"role": name, "content": _join(text, filled, budget)})
        return Rendered(chat, names)

    def _split(self, text: str, place: Place) -> list[str]:
        pieces = [""]
        for part in parse(text, place):
            if isinstance(part, Literal):
                pieces[-1] += part.text
            elif isinstance(part, Variable):
                # A content whose declarations were lost still renders: the variable is a bare one.
                self._declared.setdefault(part.name, complete({"name": part.name}))
                pieces += (part.name, "")
            else:
                raise place.refuse("include_not_found", "an include was not expanded.", part.line, part.column)
        return pieces

    def _fill(self, values: Mapping[str, Any]) -> tuple[dict[str, str], list[Fault]]:
        if not isinstance(values, Mapping):
            raise refused("object_expected", "/variables", f"The variables are {kind_of(values)}; send an object.")
        filled: dict[str, str] = {}
        faults: list[Fault] = []
        for name, declaration in self._declared.items():
            value = values.get(name)
            if value is None:
                value = declaration["default"]
            elif type(value) is str and name in self._free:
                filled[name] = value
                continue
            if value is not None:
                try:
                    filled[name] = text_of(value, declaration)
                except DoesNotFit as error:
                    faults.append(Fault(f"/variables/{name}", "bad_variable", f"{name} does not fit: {error}"))
            elif declaration["required"]:
                faults.append(Fault(f"/variables/{name}", "missing_variable", f"{name} is required and was not given."))
            else:
                filled[name] = ""
        return filled, faults

    def _lists(self, messages: Mapping[str, Any], faults: list[Fault]) -> dict[str, list[dict[str, str]]]:
        if not isinstance(messages, Mapping):
            raise refused("object_expected", "/messages", f"The messages are {kind_of(messages)}; send an object.")
        lists = {}
        for name in sorted(self._placeholders):
            given = messages.get(name)
            if given is None:
                faults.append(Fault(f"/messages/{name}", "missing_variable", f"The message list {name} was not given."))
            else:
                lists[name] = check_messages(given, f"/messages/{name}")
        return lists

    def _unused(self, values: Mapping[str, Any], messages: Mapping[str, Any]) -> list[tuple[str, str]]:
        """(pointer, name) of what was given and is not wanted."""
        found = [(pointer("variables", n), n) for n, v in values.items() if n not in self._declared and v is not None]
        found += [
            (pointer("messages", n), n) for n, v in messages.items() if n not in self._placeholders and v is not None
        ]
        return found


def render(
    content: Content,
    variables: Iterable[Declaration],
    values: Mapping[str, Any] = _NOTHING,
    messages: Mapping[str, Any] = _NOTHING,
    *,
    strict: bool = False,
) -> Rendered:
    """Render once. Whoever renders the same content often keeps a `Template`."""
    return Template(content, variables).render(values, messages, strict=strict)


class _Budget:
    """Counts what is written, before it is joined: a short content can ask for a very long text."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.left = limit

    def spend(self, pieces: list[str]) -> str:
        if sum(map(len, pieces)) > self.left:  # characters, at most the bytes
            raise self._too_large()
        text = "".join(pieces)
        try:
            self.left -= len(text) if text.isascii() else len(text.encode())
        except UnicodeEncodeError:
            raise DomainError(
                "invalid_unicode", "A value holds half of a surrogate pair, which is no character."
            ) from None
        if self.left < 0:
            raise self._too_large()
        return text

    def _too_large(self) -> DomainError:
        return DomainError(
            "content_too_large", f"The rendered prompt would have more than {self.limit:,} bytes; send less."
        )


def _join(split: list[str], filled: Mapping[str, str], budget: _Budget) -> str:
    pieces = split.copy()
    pieces[1::2] = [filled[name] for name in split[1::2]]
    return budget.spend(pieces)


def _refusal(faults: list[Fault]) -> DomainError:
    """One refusal for all faults; the code is that of the gravest."""
    order = ("missing_variable", "bad_variable", "unknown_variable")
    code = next(code for code in order if any(fault.code == code for fault in faults))
    names = [fault.pointer.rpartition("/")[2] for fault in faults if fault.code == code]
    shown = shorten(", ".join(names), 2000)
    if code == "missing_variable":
        return DomainError(code, f"Required and not given: {shown}.", faults)
    if code == "unknown_variable":
        return DomainError(code, f"Not wanted by this prompt: {shorten(shown)}.", faults)
    return DomainError(code, " ".join(fault.detail for fault in faults if fault.code == code)[:2000], faults)
