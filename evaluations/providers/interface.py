"""What a model call is made of, whoever the provider is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn, TypedDict

DEFAULT_MAX_TOKENS = 1024  # of an answer, where nobody says
MOST_TOKENS = 1_000_000  # that a limit may be
_MOST_COUNTED = 2**31 - 1  # what a column holds; no answer has as many tokens
# What a provider may send as JSON, and neither UTF-8 nor a column can hold.
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")


class Kind(StrEnum):
    """Which wire format an address speaks."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    LOCAL = "local"


class Failure(StrEnum):
    """Why a call brought no answer. None of these is ever a score."""

    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    BAD_KEY = "bad_key"  # the key, or the account behind it, opens nothing: every further call would fail the same
    BAD_REQUEST = "bad_request"
    BAD_ANSWER = "bad_answer"
    TOO_LARGE = "too_large"
    WRONG_MODEL = "wrong_model"
    URL_NOT_ALLOWED = "url_not_allowed"


# For these nobody is charged. What else failed stays counted at the most that it can have cost.
FREE = frozenset(
    {Failure.RATE_LIMITED, Failure.SERVER_ERROR, Failure.UNREACHABLE, Failure.BAD_KEY, Failure.BAD_REQUEST,
     Failure.URL_NOT_ALLOWED}
)  # fmt: skip

# OpenAI's newer name stands for the same: to whoever has one name only, both are instructions.
INSTRUCTS = frozenset({"system", "developer"})


class Message(TypedDict):
    """One turn: `role` is system, developer, user or assistant; of a tool only where servers may take it."""

    role: str
    content: str


class Secret:
    """A text that shows itself to nobody who does not ask: not in a repr, a log, a traceback, a pickle or JSON."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is not pickled: tasks take ids.")


def most_tokens(parameters: Mapping[str, Any]) -> int:
    """How long an answer to a call with these parameters may become, in tokens."""
    return int(parameters.get("max_tokens", parameters.get("max_completion_tokens", DEFAULT_MAX_TOKENS)))


@dataclass(frozen=True, slots=True)
class Connection:
    """Where to call, as what, and how; `timeout` in seconds covers one call from its look-up to its last byte.

    `own_port` is set for the model that PromptForge itself runs on this machine, the only private address that may be
    called without the operator's word.
    """

    kind: Kind
    base_url: str
    model: str
    api_key: Secret = field(default_factory=lambda: Secret(""))
    parameters: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 60.0
    own_port: int | None = None

    @property
    def max_tokens(self) -> int:
        """How long an answer may become, in tokens."""
        return most_tokens(self.parameters)


@dataclass(frozen=True, slots=True)
class Completion:
    """One whole answer. `model` and `fingerprint` are what the provider says that it used, empty when it does not."""

    text: str
    finish_reason: str  # "stop", "length", or a word of the provider's own
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    model: str
    fingerprint: str
    request_id: str
    latency_ms: int


class CallFailed(Exception):
    """A call that brought no answer: what kind of failure, one sentence, and whether trying again can help.

    `retry_after` is how many seconds the provider asks to be left alone for, None when it does not ask.
    """

    def __init__(
        self, kind: Failure, sentence: str, *, retryable: bool = False, retry_after: float | None = None
    ) -> None:
        sentence = writable(sentence)  # it may quote the provider
        super().__init__(sentence)
        self.kind, self.sentence = kind, sentence
        self.retryable, self.retry_after = retryable, retry_after


@dataclass(frozen=True, slots=True)
class Asked:
    """One request in a provider's format."""

    url: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What an adapter reads out of an answer; `text` is None when there is none, `withheld` names a filter."""

    text: str | None
    finish_reason: str
    model: str
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    fingerprint: str = ""
    id: str = ""
    withheld: str = ""


def whole(value: Any) -> int | None:
    """A count of tokens, or None when what stands there is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_COUNTED else None


def writable(text: str) -> str:
    """The text as it can be stored: NUL and halves of surrogate pairs become U+FFFD."""
    return _UNWRITABLE.sub("\ufffd", text)


def word(value: Any) -> str:
    """A short text of a provider's, empty when it is none."""
    return value[:200] if isinstance(value, str) else ""


def inside(value: Any, *path: str | int) -> Any:
    """What stands at this path of a parsed answer, None when any step of it is missing or of another type."""
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and len(value) > step else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value
