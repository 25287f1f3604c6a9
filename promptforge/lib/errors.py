"""What PromptForge says when it refuses: one table of codes, one exception, for page, API and command line alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Code(NamedTuple):
    """The HTTP status and the title that belong to a refusal's code."""

    status: int
    title: str


CODES: Mapping[str, Code] = {
    # 400: the request itself cannot be read
    "bad_channel_name": Code(400, "Not a channel name"),
    "bad_cursor": Code(400, "Not a cursor of this list"),
    "bad_limit": Code(400, "Limit out of range"),
    "bad_name": Code(400, "Not a prompt name"),
    "bad_request": Code(400, "The request could not be read"),
    "bad_timestamp": Code(400, "Not a usable instant"),
    "bad_value": Code(400, "Not a usable value"),
    "bad_version": Code(400, "Not a version"),
    "body_required": Code(400, "The request has no body"),
    "bom_not_allowed": Code(400, "The body starts with a byte order mark"),
    "duplicate_key": Code(400, "A key stands twice in one object"),
    "field_required": Code(400, "A field is missing"),
    "invalid_unicode": Code(400, "Not valid Unicode"),
    "invalid_utf8": Code(400, "Not valid UTF-8"),
    "json_syntax": Code(400, "Not valid JSON"),
    "json_too_deep": Code(400, "JSON is nested too deeply"),
    "key_in_url": Code(400, "An API key stands in the address"),
    "list_expected": Code(400, "A JSON list is expected"),
    "nul_not_allowed": Code(400, "The NUL character is not allowed"),
    "number_out_of_range": Code(400, "Number out of range"),
    "object_expected": Code(400, "A JSON object is expected"),
    "project_required": Code(400, "No project named"),
    "read_only_field": Code(400, "A field cannot be set"),
    "string_expected": Code(400, "A string is expected"),
    "unknown_field": Code(400, "A field is not known"),
    "unknown_parameter": Code(400, "A query parameter is not known"),
    # 401: who is asking
    "key_expired": Code(401, "The API key has expired"),
    "key_malformed": Code(401, "Not an API key"),
    "key_revoked": Code(401, "The API key was revoked"),
    "key_unknown": Code(401, "The API key is not known"),
    "not_authenticated": Code(401, "Not signed in"),
    # 403: may they
    "csrf_failed": Code(403, "The CSRF token is missing or wrong"),
    "forbidden": Code(403, "The role does not allow it"),
    "four_eyes": Code(403, "A second person must decide"),
    "reauthentication_required": Code(403, "The sign-in is too old"),
    "key_scope": Code(403, "The API key does not reach that far"),
    # 404: is it there
    "channel_empty": Code(404, "Nothing is live on the channel"),
    "channel_not_found": Code(404, "No such channel"),
    "not_found": Code(404, "Not found"),
    "not_yet_released": Code(404, "Nothing was live yet"),
    "project_not_found": Code(404, "No such project"),
    "prompt_not_found": Code(404, "No such prompt"),
    "version_not_found": Code(404, "No such version"),
    # 405, 406, 413, 415
    "body_too_slow": Code(408, "The body took too long"),
    "method_not_allowed": Code(405, "The method is not allowed here"),
    "not_acceptable": Code(406, "The answer cannot be given in that form"),
    "body_too_large": Code(413, "The body is too large"),
    "config_too_large": Code(413, "The configuration is too large"),
    "content_too_large": Code(413, "The content is too large"),
    "too_large": Code(413, "The answer would be too large"),
    "encoding_not_supported": Code(415, "The content encoding is not supported"),
    "unsupported_media_type": Code(415, "The media type is not supported"),
    # 409: the state does not allow it
    "idempotency_in_flight": Code(409, "The first request is still being answered"),
    "already_live": Code(409, "That version is live already"),
    "archived": Code(409, "The prompt is archived"),
    "kind_not_available": Code(409, "This kind of release is not available"),
    "import_closed": Code(409, "The project no longer takes imported history"),
    "name_taken": Code(409, "The name is taken"),
    "nothing_to_roll_back": Code(409, "Nothing to roll back"),
    "one_project": Code(409, "One transaction touches one project"),
    "promotion_closed": Code(409, "The promotion is closed"),
    "promotion_not_ready": Code(409, "The promotion is not ready"),
    "promotion_required": Code(409, "The channel takes promotions only"),
    "duplicate_promotion": Code(409, "That promotion is open already"),
    "frozen": Code(409, "History cannot be changed"),
    "frozen_channel": Code(409, "A freeze window is on"),
    "guard": Code(409, "The database refused it"),
    "rollback_target_never_live": Code(409, "That version was never live here"),
    "rollback_target_withdrawn": Code(409, "That version was withdrawn"),
    "stale_base": Code(409, "A newer version exists"),
    "stale_diff": Code(409, "The diff has changed"),
    "stale_head": Code(409, "The channel has moved"),
    # 409, in the errors of promotion_not_ready: what is missing
    "canary_required": Code(409, "A release in steps comes first"),
    "changes_requested": Code(409, "A reviewer asked for changes"),
    "evaluation_not_passed": Code(409, "The evaluation has not passed"),
    "expired": Code(409, "The promotion is too old"),
    "freeze": Code(409, "The channel is frozen"),
    "hidden_text": Code(409, "Hidden characters are not acknowledged"),
    "policy_changed": Code(409, "The policy has changed"),
    "review_missing": Code(409, "An approval is missing"),
    "secrets": Code(409, "The text looks as if it held a secret"),
    "variables": Code(409, "Callers would break"),
    # 422: understood, and not acceptable
    "bad_policy": Code(422, "Not a channel policy"),
    "bad_role": Code(422, "Not a message role"),
    "bad_type": Code(422, "Not a prompt type"),
    "bad_variable": Code(422, "A variable's value does not fit"),
    "bad_variable_name": Code(422, "Not a variable name"),
    "confusable_variable": Code(422, "Two variable names look alike"),
    "empty_messages": Code(422, "The chat has no message"),
    "empty_prompt": Code(422, "The prompt is empty"),
    "include_ambiguous": Code(422, "An include runs into its neighbour"),
    "include_not_found": Code(422, "An included prompt was not found"),
    "missing_variable": Code(422, "A required variable is missing"),
    "idempotency_mismatch": Code(422, "The Idempotency-Key was used for another request"),
    "reason_required": Code(422, "A reason is required"),
    "reason_too_short": Code(422, "The reason is too short"),
    "reserved_name": Code(422, "The name is reserved"),
    "too_many_variables": Code(422, "Too many variables"),
    "unclosed_tag": Code(422, "A tag is not closed"),
    "unknown_variable": Code(422, "A variable is not known"),
    # 429 and 5xx
    "rate_limited": Code(429, "Too many requests"),
    "server_error": Code(500, "Something went wrong here"),
    "unavailable": Code(503, "Not available right now"),
    "storage_full": Code(507, "The disk is full"),
}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in a request: where (a JSON pointer), its code, and a sentence."""

    pointer: str
    code: str
    detail: str
    url: str | None = None

    def as_dict(self) -> dict[str, str]:
        body = {"pointer": self.pointer, "code": self.code, "detail": self.detail}
        return body if self.url is None else body | {"url": self.url}


@dataclass
class DomainError(Exception):
    """A refusal that a person or a program can act on.

    `code` is a key of CODES; `detail` says what is wrong, where, the limit and how to mend it; `faults` lists the
    single places when there are several; `extra` is carried in the answer beside them (`head` of a stale_head).
    """

    code: str
    detail: str
    faults: Sequence[Fault] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.detail)

    def __str__(self) -> str:
        return self.detail

    @property
    def status(self) -> int:
        return CODES[self.code].status

    @property
    def title(self) -> str:
        return CODES[self.code].title


def shorten(text: object, limit: int = 80) -> str:
    """The part of an input that a message may repeat: at most `limit` characters, control characters escaped."""
    if text == "":
        return "an empty text"
    shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in str(text)[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
