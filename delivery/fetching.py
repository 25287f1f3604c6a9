"""What a fetch asks and what it is answered, byte for byte: shared by the serving lane and Django's views."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import unquote

from delivery.receipts import Receipt, write_receipt
from promptforge.lib.answers import Answer, Header
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.json import canonical_json
from prompts import templating
from prompts.resolving import Resolved
from prompts.selectors import Selector, parse_selector
from prompts.shapes import digest_text

PARAMETERS = ("_version", "_user", "_at", "_render", "_strict")
_PARAMETERS = frozenset(PARAMETERS)
LONGEST_USER = 256
STABLE = Selector(channel="stable")

_JSON: Header = (b"content-type", b"application/json")
_VARY: Header = (b"vary", b"Authorization, Cookie, PromptForge-Project")
_FOR_NOW: Header = (b"cache-control", b"private, no-cache")
_FOR_EVER: Header = (b"cache-control", b"private, max-age=31536000, immutable")


class Asked(NamedTuple):
    """The query of a fetch. `render` is None when it was not said; `values` are the variables, as texts."""

    selector: Selector = STABLE
    at: str | None = None
    render: bool | None = None
    strict: bool = False
    values: Mapping[str, str] = {}

    @property
    def renders(self) -> bool:
        return bool(self.values) if self.render is None else self.render


def query_pairs(query: str) -> list[tuple[str, str]]:
    """The names and texts of a query string, as Django reads them: blank ones kept, empty parts left out.

    The same as `urllib.parse.parse_qsl`, for which every part costs as if it were encoded.
    """
    if "+" in query:
        query = query.replace("+", " ")
    coded = "%" in query
    pairs = []
    for part in query.split("&"):
        if part:
            name, _, text = part.partition("=")
            pairs.append((unquote(name), unquote(text)) if coded else (name, text))
    return pairs


def read_query(pairs: Iterable[tuple[str, str]]) -> Asked:
    """The parameters of a fetch, each given once; those that begin with `_` must be ours."""
    pairs = list(pairs)
    values = dict(pairs)
    special = [name for name in values if name[:1] == "_"]
    if len(values) < len(pairs) or not _PARAMETERS.issuperset(special):
        raise _misread([name for name, _ in pairs])
    if not special:
        return Asked(values=values)
    own = {name: values.pop(name) for name in special}
    selector = parse_selector(own["_version"]) if "_version" in own else STABLE
    _check_user(own.get("_user"))
    return Asked(selector, own.get("_at"), _flag(own, "_render"), bool(_flag(own, "_strict")), values)


def _misread(names: list[str]) -> DomainError:
    for name in names:
        if name.startswith("_") and name not in PARAMETERS:
            return DomainError(
                "unknown_parameter", f"{shorten(name)} is not a parameter here. Ours: {', '.join(PARAMETERS)}."
            )
        if names.count(name) > 1:
            break
    return DomainError("unknown_parameter", f"{shorten(name)} stands twice in the address. Give it once.")


def _flag(given: Mapping[str, str], name: str) -> bool | None:
    value = given.get(name)
    if value not in (None, "0", "1"):
        raise DomainError("bad_value", f"{name} is 1 or 0, not {shorten(value)}.")
    return None if value is None else value == "1"


def _check_user(user: str | None) -> None:
    if user is not None and len(user) > LONGEST_USER:
        raise DomainError("bad_value", f"_user has {len(user)} characters; {LONGEST_USER} are the most.")


def receipt_of(resolved: Resolved) -> str:
    """What names this state in an observation: version, channel and revision, signed."""
    channel = None if resolved.channel is None else resolved.channel.pk
    prompt = resolved.prompt
    return write_receipt(Receipt(prompt.project_id, prompt.pk, resolved.version.pk, channel, resolved.revision, None))


def served_body(resolved: Resolved) -> dict[str, Any]:
    """What a fetch answers, unrendered: the same for the same state."""
    version, channel = resolved.version, resolved.channel
    return {
        "name": resolved.prompt.name,
        "version": version.number,
        "channel": None if channel is None else channel.name,
        "revision": resolved.revision,
        "type": version.type,
        "content": version.served_content,
        "rendered": False,
        "variables": version.variable_list,
        "config": version.config_object,
        "digest": digest_text(version.digest),
        "arm": None,
        "receipt": receipt_of(resolved),
    }


class Written:
    """One state of one prompt as it is sent, written once: whole, or as 304 to whoever has it already."""

    def __init__(self, resolved: Resolved, body: bytes, *, pinned: bool) -> None:
        self.state: tuple[Header, ...] = (
            _FOR_EVER if pinned else _FOR_NOW,
            _VARY,
            (b"promptforge-version", str(resolved.version.number).encode()),
        )
        if resolved.channel is not None:
            self.state += (
                (b"promptforge-channel", resolved.channel.name.encode()),
                (b"promptforge-revision", str(resolved.revision).encode()),
            )
        self.whole = conditional(body, None, *self.state)
        self.etag = etag_of(body)
        self._unchanged = conditional(body, self.etag, *self.state)

    def unless(self, known: bytes | None) -> Answer:
        """The answer; `known` is the request's If-None-Match."""
        return self._unchanged if known is not None and is_known(self.etag, known) else self.whole


class Payload(Written):
    """What a fetch gets; what rendering takes is made at the first rendering."""

    def __init__(self, resolved: Resolved, *, pinned: bool) -> None:
        super().__init__(resolved, canonical_json(served_body(resolved)).encode(), pinned=pinned)

    def answer(self, asked: Asked, known: bytes | None) -> Answer:
        """What this fetch gets; `known` is its If-None-Match."""
        if asked.renders:
            return self.rendered(self._form.read(asked.values), {}, strict=asked.strict, known=known)
        return self.unless(known)

    def rendered(
        self, values: Mapping[str, Any], messages: Mapping[str, Any], *, strict: bool, known: bytes | None = None
    ) -> Answer:
        """The content with the values put in, each with its JSON type, and what was given without being wanted."""
        return conditional(self._form.fill(values, messages, strict=strict), known, *self.state)

    @cached_property
    def _form(self) -> "_Form":
        return _Form(json.loads(self.whole.body))


class _Form:
    """A served body, taken apart once so that rendering writes only the content and the list of what was not wanted."""

    def __init__(self, served: dict[str, Any]) -> None:
        self.declared = {declaration["name"]: declaration for declaration in served["variables"]}
        self.template = templating.Template(served["content"], served["variables"])
        fields = list((served | {"rendered": True}).items())
        content = list(served).index("content")
        self.before = canonical_json(dict(fields[:content]))[:-1] + ',"content":'
        self.behind = "," + canonical_json(dict(fields[content + 1 :]))[1:-1] + ',"unused":'

    def read(self, texts: Mapping[str, str]) -> dict[str, Any]:
        return {name: templating.parse_query_value(text, self.declared.get(name)) for name, text in texts.items()}

    def fill(self, values: Mapping[str, Any], messages: Mapping[str, Any], *, strict: bool) -> bytes:
        content, unused = self.template.render(values, messages, strict=strict)
        names = canonical_json(unused) if unused else "[]"
        return f"{self.before}{canonical_json(content)}{self.behind}{names}}}".encode()


def conditional(body: bytes, known: bytes | None, *headers: Header) -> Answer:
    """The body with its strong ETag, or 304 when the caller has these bytes already."""
    tag: Header = (b"etag", etag_of(body))
    if known is not None and is_known(tag[1], known):
        return Answer(304, (tag, *headers))
    return Answer(200, (_JSON, tag, *headers), body)


def document_answer(document: bytes, known: bytes | None) -> Answer:
    """Many prompts as one document."""
    return conditional(document, known, _FOR_NOW, _VARY)


def etag_of(body: bytes) -> bytes:
    return b'"%s"' % hashlib.sha256(body).hexdigest()[:32].encode()


def is_known(etag: bytes, known: bytes) -> bool:
    """Whether an If-None-Match names this ETag; compared weakly, as RFC 9110 has it."""
    return known == etag or any(
        tag.strip().removeprefix(b"W/") == etag or tag.strip() == b"*" for tag in known.split(b",")
    )
