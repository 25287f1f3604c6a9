"""One act for each code of the table, by which the product itself comes to answer with it.

An act is made from the standing shop and its keys; what it needs beside them it arranges first, and takes back after.
What it answers is the answer of a door, or the DomainError that reached the caller.
"""

from contextlib import nullcontext
from functools import partial
from typing import Any

from evaluations.scoring import read_criteria
from tests.api.people import person
from tests.errors import longer_acts as longer
from tests.errors.evaluation_acts import (
    GREETS,
    budget_used_up,
    ended_run,
    evaluated_long_ago,
    going_run,
    labelled,
    starting,
    stuck_run,
    trial_under_way,
)
from tests.errors.scene import FETCH, GREETING, NEW, PROMOTE, ROLLBACK, WEBHOOK, Arranged


def send(method: str, path: str, body: Any = None, key: str = "all", **headers: str) -> Arranged:
    """A body of bytes is sent as it is, anything else as JSON."""
    return lambda scene: nullcontext(lambda: scene.caller(key).send(method, path, body, **headers))


get, post = partial(send, "GET"), partial(send, "POST")


def by(name: str, path: str, body: Any, *, ago: float = 0) -> Arranged:
    """As a person who signed in `ago` seconds ago."""
    return lambda scene: nullcontext(lambda: person(scene.team, name, ago=ago).post(path, body))


def content(text: Any, **fields: Any) -> Arranged:
    return post("prompts", NEW | {"content": text} | fields)


# --- The table -------------------------------------------------------------------------------------------------------


ACTS: dict[str, Arranged] = {
    "bad_channel_name": post("channels", {"name": "Stable"}),
    "bad_cursor": get("prompts?cursor=x"),
    "bad_limit": get("prompts?limit=0"),
    "bad_name": post("prompts", NEW | {"name": "a b"}),
    "bad_receipt": get("observations?receipt=x"),
    "bad_request": get("prompts", Host="evil.example"),
    "bad_timestamp": get(f"{FETCH}?_at=yesterday"),
    "bad_value": post("releases", PROMOTE | {"version": "2"}),
    "bad_version": get(f"{FETCH}?_version=0"),
    "body_required": post("prompts", None),
    "bom_not_allowed": post("prompts", b"\xef\xbb\xbf{}"),
    "duplicate_key": post("prompts", b'{"content": "safe", "content": "evil"}'),
    "field_required": post("prompts", {"name": "new"}),
    "invalid_unicode": post("prompts", b'{"content": "\\ud800"}'),
    "invalid_utf8": post("prompts", b'{"content": "\xff"}'),
    "json_syntax": post("prompts", b'{"content": "x",}'),
    "json_too_deep": post("prompts", b"[" * 100),
    "key_in_url": get("prompts?key=pf_live_abc_def"),
    "list_expected": content("Hi", variables={}),
    "nul_not_allowed": content("a\0b"),
    "number_out_of_range": post("prompts", b'{"config": {"t": 1e400}}'),
    "object_expected": post("prompts", b"[1, 2]"),
    "project_required": longer.project_required,
    "read_only_field": content("Hi", number=7),
    "string_expected": content("Hi", name=5),
    "unknown_field": content("Hi", is_admin=True),
    "unknown_parameter": get("prompts?page=2"),
    "key_expired": get("prompts", key="expired"),
    "key_malformed": get("prompts", key="mistyped"),
    "key_revoked": get("prompts", key="revoked"),
    "key_unknown": get("prompts", key="unknown"),
    "not_authenticated": get("prompts", key="none"),
    "csrf_failed": longer.csrf_failed,
    "forbidden": by("noor", "prompts", NEW),
    "four_eyes": longer.four_eyes,
    "reauthentication_required": by("farah", "api-keys", {"name": "x", "scopes": ["prompts:read"]}, ago=3600),
    "key_scope": post("prompts", NEW, key="reader"),
    "channel_empty": get(f"{FETCH}?_version=guarded"),
    "channel_not_found": get(f"{FETCH}?_version=beta"),
    "not_found": get("nowhere"),
    "not_yet_released": get(f"{FETCH}?_at=2001-01-01T00:00:00Z"),
    "project_not_found": get("prompts", PromptForge_Project="rival"),
    "prompt_not_found": get("prompts/secret/plan"),
    "version_not_found": get(f"{FETCH}?_version=99"),
    "body_too_slow": longer.body_too_slow,
    "method_not_allowed": send("PUT", "prompts", NEW),
    "not_acceptable": get("prompts", Accept="text/html"),
    "body_too_large": post("prompts", b'{"content": "' + b"x" * 1_048_576 + b'"}'),
    "config_too_large": content("Hi", config={"a": "x" * 65_536}),
    "content_too_large": content("x" * 262_145),
    "too_large": longer.too_large,
    "encoding_not_supported": post("prompts", NEW, Content_Encoding="gzip"),
    "unsupported_media_type": post("prompts", NEW, content_type="text/plain"),
    "idempotency_in_flight": longer.idempotency_in_flight,
    "already_labelled": labelled,
    "already_live": post("releases", PROMOTE | {"version": 1}),
    "archived": longer.archived,
    "kind_not_available": longer.kind_not_available,
    "import_closed": longer.import_closed,
    "name_taken": post("prompts", NEW | {"name": GREETING}),
    "nothing_to_roll_back": post("releases", ROLLBACK),
    "one_project": longer.one_project,
    "promotion_closed": longer.promotion_closed,
    "promotion_not_ready": longer.promotion_not_ready,
    "promotion_required": post("releases", PROMOTE | {"channel": "guarded"}),
    "budget_used_up": budget_used_up,
    "duplicate_promotion": longer.duplicate_promotion,
    "frozen": longer.frozen,
    "last_admin": longer.last_admin,
    "frozen_channel": longer.frozen_channel,
    "guard": longer.guard,
    "rollback_target_never_live": post("releases", ROLLBACK | {"version": 2}),
    "rollback_target_withdrawn": longer.rollback_target_withdrawn,
    "run_ended": ended_run,
    "run_not_paused": going_run,
    "run_not_resumable": stuck_run,
    "stale_base": post("versions", {"prompt": GREETING, "content": "x", "base_version": 1}),
    "stale_draft": longer.stale_draft,
    "trial_under_way": trial_under_way,
    "webhook_disabled": longer.webhook_disabled,
    "stale_diff": longer.stale_diff,
    "stale_head": post("releases", PROMOTE | {"expected_revision": 7}),
    "canary_required": longer.lacking({"required_checks": ["canary"]}),
    "changes_requested": longer.lacking({"required_approvals": 1}, longer.ask_for_changes),
    "evaluation_not_passed": longer.lacking({"required_checks": ["evaluation"]}),
    "evidence_expired": longer.lacking({"evidence_ttl_days": 1}, evaluated_long_ago),
    "expired": longer.expired,
    "freeze": longer.lacking({}, longer.freeze),
    "hidden_text": longer.lacking({"required_checks": ["hidden-text"]}, content="Hello\u202e"),
    "policy_changed": longer.lacking({}, longer.protect),
    "review_missing": longer.lacking({"required_approvals": 1}),
    "secrets": longer.lacking({"required_checks": ["secrets"]}, content="AKIAIOSFODNN7EXAMPLQ and here"),
    "variables": longer.variables,
    "bad_policy": post("channels", {"name": "beta", "policy": {"required_approvals": -1}}),
    "bad_criterion": lambda _: nullcontext(lambda: read_criteria([{"type": "regex", "value": "("}], "/criteria")),
    "bad_role": content([{"role": "root", "content": "Hi"}]),
    "bad_type": content("Hi", type="image"),
    "bad_url": post("webhook-endpoints", WEBHOOK | {"url": "nowhere"}),
    "bad_variable": post("prompts/values/both", {"variables": {"i": "seven", "m": "x"}}),
    "bad_variable_name": content("{{a.b}}"),
    "confusable_variable": content("{{n\u0430me}}"),
    "case_not_rendered": lambda scene: nullcontext(starting(scene, "unfilled", variables="{}")),
    "empty_messages": content([]),
    "empty_prompt": content(" \n "),
    "include_ambiguous": content("{{> brace }}{x}}"),
    "include_not_found": content("{{> nowhere }}"),
    "missing_variable": post("prompts/values/text", {"variables": {"a": "x"}}),
    "idempotency_mismatch": longer.idempotency_mismatch,
    "nothing_counts": lambda scene: nullcontext(starting(scene, "advice", criteria=[GREETS])),
    "reason_required": post("releases", ROLLBACK | {"reason": " "}),
    "reason_too_short": by("cleo", "releases", PROMOTE | {"kind": "break_glass", "reason": "Hurry"}),
    "reserved_name": content("{{_name}}"),
    "set_empty": lambda scene: nullcontext(starting(scene, "empty", cases=0)),
    "too_many_variables": content(" ".join(f"{{{{v{number}}}}}" for number in range(201))),
    "unclosed_tag": content("Hi {{name"),
    "unknown_variable": post("prompts/values/text", {"variables": {"a": "x", "b": "y", "c": "z"}, "strict": True}),
    "url_not_allowed": post("webhook-endpoints", WEBHOOK | {"url": "http://10.0.0.5/"}),
    "rate_limited": longer.rate_limited,
    "server_error": longer.server_error,
    "unavailable": longer.unavailable,
    "storage_full": longer.storage_full,
}
# What stands in the errors of `promotion_not_ready` and is no answer of its own.
LACKS = tuple(list(ACTS)[list(ACTS).index("canary_required") : list(ACTS).index("bad_policy")])
