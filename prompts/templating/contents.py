"""What a version's content may be, and how includes are put into it.

A text prompt's content is one string. A chat's is a list of `{"role", "content"}` and `{"placeholder"}`.
Saving goes `expand` (source → served content) → `declared_variables` → store; neither asks a database.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from promptforge.lib.errors import DomainError, Fault, shorten
from promptforge.lib.json import canonical_json, kind_of
from prompts.templating.grammar import TEXT, Include, Literal, Part, Place, Variable, check_name, meaning, parse

TYPES = ("text", "chat")
ROLES = ("system", "developer", "user", "assistant", "tool")
MAX_CONTENT = 256 * 1024
MAX_CONFIG = 64 * 1024

type Content = str | list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Included:
    """A version that can be included: what `lookup` answers."""

    number: int
    content: Any
    variables: Sequence[Mapping[str, Any]] = ()
    type: str = "text"


type Lookup = Callable[[str, int | None], Included | None]


@dataclass(frozen=True, slots=True)
class Expanded:
    """`content` as it is served; `includes` as `{"prompt", "version"}` in order of first occurrence, each once;
    `inherited` holds the declarations that each of them brings along, in the same order.
    """

    content: Content
    includes: list[dict[str, Any]] = field(default_factory=list)
    inherited: list[Mapping[str, Any]] = field(default_factory=list)


def refused(code: str, pointer: str, detail: str) -> DomainError:
    return DomainError(code, detail, [Fault(pointer, code, detail)])


def check_content(kind: str, content: object) -> Content:
    """Content of the right shape, as given.

    Raises DomainError: bad_type (neither text nor chat), string_expected, list_expected, object_expected,
    field_required, unknown_field, nul_not_allowed, invalid_unicode (400), bad_role, empty_messages, empty_prompt
    (blank), the codes of `check_name` for placeholders (422), content_too_large (413: above 256 KiB of UTF-8, a chat
    measured as canonical JSON).
    """
    if kind not in TYPES:
        raise refused("bad_type", "/type", f"{shorten(kind, 40)} is not a prompt type; types are text and chat.")
    if kind == "text":
        text = _string(content, "/content", "The content of a text prompt")
        _check_size(text)
        if not text.strip():
            raise refused("empty_prompt", "/content", "The prompt is blank; write at least one visible character.")
        return text
    messages = check_messages(content, "/content", placeholders=True)
    if not messages:
        raise refused("empty_messages", "/content", "The chat has no message; write at least one.")
    _check_size(canonical_json(messages))
    if all("role" in message and not message["content"].strip() for message in messages):
        raise refused(
            "empty_prompt", "/content", "Every message of the chat is blank; write at least one visible character."
        )
    check_look_alikes(placeholder_names(messages), "placeholder")
    return messages


def check_messages(value: object, pointer: str, *, placeholders: bool = False) -> list[dict[str, str]]:
    """A list of `{"role", "content"}`, and of `{"placeholder"}` where allowed; faults stand below `pointer`."""
    if not isinstance(value, list):
        raise refused("list_expected", pointer, f"This is {kind_of(value)}; a list of messages is expected.")
    return [_message(item, f"{pointer}/{index}", index + 1, placeholders) for index, item in enumerate(value)]


def check_config(config: object) -> str:
    """A version's config as the canonical JSON that is stored. Raises object_expected, config_too_large (64 KiB)."""
    if not isinstance(config, dict):
        raise refused("object_expected", "/config", f"The config is {kind_of(config)}; send a JSON object.")
    text = canonical_json(config)
    if (size := len(text.encode())) > MAX_CONFIG:
        raise refused("config_too_large", "/config", f"The config has {size:,} bytes; at most {MAX_CONFIG:,} are kept.")
    return text


def texts(content: Content) -> list[tuple[Place, str]]:
    """Every text of a content that can hold tags, with its place."""
    if isinstance(content, str):
        return [(TEXT, content)]
    return [(Place(index + 1), message["content"]) for index, message in enumerate(content) if "role" in message]


def placeholder_names(content: Content) -> list[str]:
    """The message lists that a chat asks its caller for, in order of first occurrence."""
    if isinstance(content, str):
        return []
    return list(dict.fromkeys(message["placeholder"] for message in content if "placeholder" in message))


def check_look_alikes(
    names: Sequence[str], what: str, places: Mapping[str, tuple[Place, int, int]] | None = None
) -> None:
    """Refuse names that differ by case alone: people would mistake one for the other. Names are ASCII by grammar."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(name.lower(), name)
        if other != name:
            sentence = f"the {what} {name} differs from {other} by case alone; use one spelling."
            if places and name in places:
                place, line, column = places[name]
                raise place.refuse("confusable_variable", sentence, line, column)
            raise refused("confusable_variable", "/content", sentence[0].upper() + sentence[1:])


def expand(content: Content, lookup: Lookup) -> Expanded:
    """The content with every `{{> name@3 }}` replaced by that version's own content, as it stands.

    Stored versions are expanded already, so what is put in is never looked through again and no cycle is possible.
    `lookup(name, number)` answers None for what does not exist or may not be read. The content has passed
    `check_content`; the result is measured again. Raises DomainError: the codes of `parse`, include_not_found (also
    for a chat), include_ambiguous (text on both sides of a seam would become a new tag), content_too_large.
    """
    book = _Book(lookup)
    if isinstance(content, str):
        result: Content = _expanded(content, TEXT, book)
    else:
        result = [
            {**message, "content": _expanded(message["content"], Place(index + 1), book)}
            if "role" in message
            else message
            for index, message in enumerate(content)
        ]
    _check_size(result if isinstance(result, str) else canonical_json(result))
    includes = [{"prompt": name, "version": number} for name, number in book.pinned]
    inherited = [declaration for included in book.pinned.values() for declaration in included.variables]
    return Expanded(result, includes, inherited)


class _Book:
    """Looks every reference up once, so that `{{> a}}` means one version throughout a prompt."""

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup
        self.answers: dict[tuple[str, int | None], Included | None] = {}
        self.pinned: dict[tuple[str, int], Included] = {}
        self.size = 0

    def find(self, part: Include, place: Place) -> Included:
        key = (part.name, part.number)
        if key not in self.answers:
            self.answers[key] = self.lookup(*key)
        found = self.answers[key]
        shown = shorten(part.name) if part.number is None else f"{shorten(part.name)}@{part.number}"
        if found is None:
            raise place.refuse(
                "include_not_found", f"{shown} was not found; check its name and number.", part.line, part.column
            )
        if found.type != "text":
            raise place.refuse(
                "include_not_found", f"{shown} is a chat; only text prompts can be included.", part.line, part.column
            )
        self.pinned.setdefault((part.name, found.number), found)
        self.size += len(found.content)
        if self.size > MAX_CONTENT:  # before joining, since a short source can ask for a very long text
            raise _too_large("more than that")
        return found


def _expanded(text: str, place: Place, book: _Book) -> str:
    parts = parse(text, place)
    if not any(isinstance(part, Include) for part in parts):
        return text
    pieces: list[str] = []
    intended: list[Part] = []
    for part in parts:
        if isinstance(part, Include):
            content = book.find(part, place).content
            pieces.append(content)
            intended += parse(content, place)
        else:
            pieces.append(text[part.start : part.end])
            intended.append(part)
    joined = "".join(pieces)
    # A brace or backslash at the end of one piece could join what follows into another tag than was written.
    try:
        same = meaning(parse(joined, place)) == meaning(intended)
    except DomainError:
        same = False
    if not same:
        first = next(part for part in parts if isinstance(part, Include))
        raise place.refuse(
            "include_ambiguous",
            "an included text and its neighbour would form another tag; put a space or a line break between them.",
            first.line,
            first.column,
        )
    return joined


def _message(item: object, pointer: str, number: int, placeholders: bool) -> dict[str, str]:  # noqa: FBT001
    if not isinstance(item, dict):
        raise refused("object_expected", pointer, f"Message {number} is {kind_of(item)}; an object is expected.")
    fields = ("placeholder",) if placeholders and "placeholder" in item else ("role", "content")
    for name in item:
        if name not in fields:
            raise refused(
                "unknown_field",
                f"{pointer}/{shorten(name)}",
                f"Message {number} has the field {shorten(name, 40)}; it may have {' and '.join(fields)} only.",
            )
    for name in fields:
        if name not in item:
            raise refused("field_required", f"{pointer}/{name}", f"Message {number} has no {name}.")
        _string(item[name], f"{pointer}/{name}", f"The {name} of message {number}")
    if "role" in item and item["role"] not in ROLES:
        raise refused(
            "bad_role",
            f"{pointer}/role",
            f"Message {number}: {shorten(item['role'], 40)} is not a role; roles are {', '.join(ROLES)}.",
        )
    if "placeholder" in item:
        try:
            check_name(item["placeholder"])
        except DomainError as error:
            raise refused(error.code, f"{pointer}/placeholder", f"Message {number}: {error.detail}") from None
    return {name: item[name] for name in fields}


def _string(value: object, pointer: str, what: str) -> str:
    if not isinstance(value, str):
        raise refused("string_expected", pointer, f"{what} is {kind_of(value)}; a string is expected.")
    if "\0" in value:
        raise refused("nul_not_allowed", pointer, f"{what} holds the NUL character (U+0000); remove it.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refused(
            "invalid_unicode", pointer, f"{what} holds half of a surrogate pair, which is no character."
        ) from None
    return value


def _check_size(text: str) -> None:
    if (size := len(text.encode())) > MAX_CONTENT:
        raise _too_large(f"{size:,} bytes")


def _too_large(size: str) -> DomainError:
    return refused(
        "content_too_large",
        "/content",
        f"The content, includes expanded, may have {MAX_CONTENT:,} bytes; it has {size}.",
    )


def variable_places(content: Content) -> dict[str, tuple[Place, int, int]]:
    """The variables of an expanded content in order of first occurrence, each with its place, line and column."""
    places: dict[str, tuple[Place, int, int]] = {}
    for place, text in texts(content):
        for part in parse(text, place):
            if isinstance(part, Variable):
                places.setdefault(part.name, (place, part.line, part.column))
            elif not isinstance(part, Literal):
                raise place.refuse("include_not_found", "an include was not expanded.", part.line, part.column)
    return places
