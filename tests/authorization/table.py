"""Who may call what: the one literal table that the generated tests hold every route of the API to.

`may` names the principals whose call succeeds. All others are refused: whoever is nobody here with 401 or the 404 of a
project that is not there, a person with `forbidden`, a key with `key_scope`; `instead` says where it is another code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# People: one with each single role; `owner` views, and may edit one prompt by a grant of its own.
PEOPLE = "viewer editor reviewer release-manager admin owner"
# Keys: one with each single scope; `beta` and `billing` have every scope but manage, narrowed to a channel or to names.
KEYS = (
    "prompts:read versions:write promotions:write releases:write evaluations:run observations:write "
    "observations:read feedback:write audit:read manage beta billing"
)
# People who are not members: of another project, a superuser, one with a grant on a prompt and no membership.
STRANGERS = "stranger superuser guest"
NOBODY = "anonymous expired revoked"

READERS = f"{PEOPLE} prompts:read"
EDITORS = "editor release-manager admin"
CONFIGURERS = "release-manager admin manage"
ADMINISTRATORS = "admin manage"
EVERYBODY = f"{PEOPLE} {KEYS} {STRANGERS} {NOBODY}"


@dataclass(frozen=True)
class Call:
    """`{…}` in path and body stand for things of the project: see `World.own`."""

    may: str
    path: str = ""
    body: Any = None
    instead: Mapping[str, str] = field(default_factory=dict)
    success: tuple[int, ...] = (200, 201, 202, 204)


_ELSEWHERE = {"billing": "prompt_not_found"}
_FETCH = {"billing": "prompt_not_found", "beta": "key_scope"}
_NO_KEY = {"manage": "forbidden"}
_PUBLIC = {method: Call(EVERYBODY) for method in ("GET", "HEAD", "OPTIONS")}
_NOTHING = dict.fromkeys(EVERYBODY.split(), "not_found")

_OPEN = {"prompt": "{prompt}", "channel": "{channel}", "version": 1}
_APPROVE = {"decision": "approve", "diff_digest": "{digest}"}
_REASON = {"reason": "Not in the sale"}
_NO_READER = dict.fromkeys(KEYS.split(), "forbidden")
_HIDDEN = {"billing": "not_found"}

_VERSION = {"prompt": "{prompt}", "content": "Another text"}
_PROMOTE = {"kind": "promote", "prompt": "{prompt}", "channel": "stable", "version": 2}
_FREEZE = {"from": "2030-01-01T00:00:00Z", "to": "2030-01-02T00:00:00Z", "reason": "Holidays"}
_WEBHOOK = {"url": "https://93.184.215.14/hook", "events": ["release.made"]}
_GRANT = {"permission": "break_glass", "minutes": 5}

EVALUATORS = f"{PEOPLE} evaluations:run beta billing"
SET_EDITORS = f"{EDITORS} evaluations:run beta"
_REACHING_SETS = f"{PEOPLE} evaluations:run beta"
_EDITING_SETS = f"{SET_EDITORS} owner"

_RUN = {"candidate": "{prompt}@2", "baseline": "1", "set": "{set_name}", "connection": "gpt"}

TABLE: Mapping[str, Mapping[str, Call]] = {
    "api/v1/schema": _PUBLIC,
    "api/docs/": {method: Call(EVERYBODY) for method in ("GET", "HEAD")},
    "api/v1/prompts": {
        "GET": Call(f"{READERS} beta billing"),
        "POST": Call(
            f"{EDITORS} versions:write beta",
            body={"name": "support/new", "content": "x"},
            instead={"billing": "key_scope", "owner": "forbidden"},
        ),
    },
    "api/v1/prompts/<path:name>": {
        "GET": Call(READERS, "api/v1/prompts/{prompt}", instead=_FETCH),
        "POST": Call(READERS, "api/v1/prompts/{prompt}", {"variables": {"customer_name": "Noor"}}, instead=_FETCH),
        "PATCH": Call(
            f"{EDITORS} owner versions:write beta", "api/v1/prompts/{prompt}", {"tags": ["a"]}, instead=_ELSEWHERE
        ),
    },
    "api/v1/versions": {
        "GET": Call(f"{READERS} beta", "api/v1/versions?prompt={prompt}", instead=_ELSEWHERE),
        "POST": Call(f"{EDITORS} owner versions:write beta", body=_VERSION, instead=_ELSEWHERE),
    },
    "api/v1/versions/<path:reference>": {
        "GET": Call(f"{READERS} beta", "api/v1/versions/{prompt}@1", instead=_ELSEWHERE),
    },
    "api/v1/versions/<path:reference> by id": {
        "GET": Call(f"{READERS} beta", "api/v1/versions/{version}", instead={"billing": "version_not_found"}),
    },
    "api/v1/diff": {
        "GET": Call(f"{READERS} beta", "api/v1/diff?from={prompt}@1&to={version}", instead=_ELSEWHERE),
    },
    "api/v1/releases": {
        "GET": Call(f"{READERS} beta billing"),
        "POST": Call("release-manager releases:write", body=_PROMOTE, instead=_FETCH),
    },
    "api/v1/releases of a prompt": {
        "GET": Call(f"{READERS} beta", "api/v1/releases?prompt={prompt}&channel={channel}", instead=_ELSEWHERE),
    },
    "api/v1/releases/<str:release_id>/ratify": {
        "POST": Call(
            "release-manager",
            "api/v1/releases/{release}/ratify",
            instead={"prompts:read": "forbidden", "beta": "forbidden", "billing": "not_found"},
        ),
    },
    "api/v1/promotions": {
        "GET": Call(f"{READERS} beta billing", "api/v1/promotions?status=ready&state=open"),
        "POST": Call(f"{EDITORS} owner promotions:write beta", body=_OPEN, instead=_ELSEWHERE),
    },
    "api/v1/promotions of a prompt": {
        "GET": Call(f"{READERS} beta", "api/v1/promotions?prompt={prompt}&channel={channel}", instead=_ELSEWHERE),
    },
    "api/v1/promotions/<str:promotion_id>": {
        "GET": Call(f"{READERS} beta", "api/v1/promotions/{promotion}", instead=_HIDDEN),
    },
    "api/v1/promotions/<str:promotion_id>/reviews": {
        "POST": Call("reviewer release-manager", "api/v1/promotions/{promotion}/reviews", _APPROVE, instead=_NO_READER),
    },
    "api/v1/promotions/<str:promotion_id>/reviews by a comment": {
        "POST": Call(PEOPLE, "api/v1/promotions/{promotion}/reviews", {"decision": "comment"}, instead=_NO_READER),
    },
    "api/v1/promotions/<str:promotion_id>/reviews/<str:review_id>/dismiss": {
        "POST": Call(
            "release-manager",
            "api/v1/promotions/{promotion}/reviews/{review}/dismiss",
            _REASON,
            instead=_NO_READER,
        ),
    },
    "api/v1/promotions/<str:promotion_id>/apply": {
        "POST": Call("release-manager releases:write beta", "api/v1/promotions/{promotion}/apply", {}, instead=_HIDDEN),
    },
    "api/v1/promotions/<str:promotion_id>/apply at a time": {
        "POST": Call(
            "release-manager",
            "api/v1/promotions/{promotion}/apply",
            {"at": "{tomorrow}"},
            instead=_HIDDEN | {"releases:write": "forbidden", "beta": "forbidden"},
        ),
    },
    "api/v1/promotions/<str:promotion_id>/unschedule": {
        "POST": Call(
            "release-manager releases:write beta", "api/v1/promotions/{promotion}/unschedule", instead=_HIDDEN
        ),
    },
    "api/v1/promotions/<str:promotion_id>/withdraw": {
        "POST": Call(
            f"{EDITORS} owner promotions:write beta", "api/v1/promotions/{promotion}/withdraw", instead=_HIDDEN
        ),
    },
    "api/v1/promotions/<str:promotion_id>/reject": {
        "POST": Call("reviewer release-manager", "api/v1/promotions/{promotion}/reject", _REASON, instead=_NO_READER),
    },
    "api/v1/promotions/<str:promotion_id>/renew": {
        "POST": Call(f"{EDITORS} owner promotions:write beta", "api/v1/promotions/{stale}/renew", instead=_HIDDEN),
    },
    "api/v1/channels": {
        "GET": Call(f"{READERS} beta billing"),
        "POST": Call(CONFIGURERS, body={"name": "new"}),
    },
    "api/v1/channels/<str:name>": {
        "GET": Call(f"{READERS} beta billing", "api/v1/channels/{channel}"),
        "PATCH": Call(CONFIGURERS, "api/v1/channels/{channel}", {"policy": {"approval_ttl_days": 3}}),
    },
    "api/v1/channels/<str:name>/freezes": {
        "POST": Call(CONFIGURERS, "api/v1/channels/{channel}/freezes", _FREEZE),
    },
    "api/v1/channels/<str:name>/freezes/<str:freeze_id>": {
        "DELETE": Call(CONFIGURERS, "api/v1/channels/{channel}/freezes/{freeze}"),
    },
    "api/v1/policy-changes/<str:change_id>/approve": {
        "POST": Call("release-manager admin", "api/v1/policy-changes/{change}/approve", instead=_NO_KEY),
    },
    "api/v1/events": {"GET": Call(f"{PEOPLE} audit:read beta billing")},
    "api/v1/projects": {
        "GET": Call(f"{PEOPLE} {STRANGERS} {KEYS}"),
        "POST": Call(
            f"{PEOPLE} {STRANGERS}", body={"name": "garden"}, instead=dict.fromkeys(KEYS.split(), "forbidden")
        ),
        "OPTIONS": Call(f"{PEOPLE} {STRANGERS} {KEYS}"),
    },
    "api/v1/projects/<str:name>": {
        "PATCH": Call(CONFIGURERS, "api/v1/projects/shop", {"serves_stale": True}),
    },
    "api/v1/api-keys": {
        "GET": Call(ADMINISTRATORS),
        "POST": Call(ADMINISTRATORS, body={"name": "x", "scopes": ["manage"]}),
    },
    "api/v1/api-keys/<str:key_id>": {"DELETE": Call(ADMINISTRATORS, "api/v1/api-keys/{key}")},
    "api/v1/api-keys/<str:key_id>/rotate": {
        # A key does not rotate one that reaches further: it would get that one's secret.
        "POST": Call("admin", "api/v1/api-keys/{key}/rotate", {"overlap_hours": 1}, instead={"manage": "key_scope"}),
    },
    "api/v1/members": {
        "GET": Call(ADMINISTRATORS),
        "POST": Call(ADMINISTRATORS, body={"email": "gus@shop.example", "roles": ["viewer"]}),
    },
    "api/v1/members/<str:member_id>": {
        "PATCH": Call(ADMINISTRATORS, "api/v1/members/{member}", {"roles": ["editor"]}),
        "DELETE": Call(ADMINISTRATORS, "api/v1/members/{member}"),
    },
    "api/v1/members/<str:member_id>/grants": {
        "POST": Call("admin", "api/v1/members/{member}/grants", _GRANT, instead=_NO_KEY),
    },
    "api/v1/observations": {
        "GET": Call(f"{PEOPLE} observations:read beta billing"),
        "POST": Call("observations:write beta billing", body={"observations": [{"prompt": "x", "version": 1}]}),
    },
    "api/v1/observations of a prompt": {
        "GET": Call(
            f"{PEOPLE} observations:read beta",
            "api/v1/observations?prompt={prompt}&channel={channel}",
            instead=_ELSEWHERE,
        ),
    },
    "api/v1/observations/<str:observation_id>": {
        "GET": Call(
            f"{PEOPLE} observations:read beta",
            "api/v1/observations/{observation}",
            instead={"billing": "not_found"},
        ),
    },
    "api/v1/feedback": {
        "GET": Call(f"{PEOPLE} observations:read beta billing"),
        "POST": Call(
            "feedback:write beta",
            body={"observation": "{observation}", "name": "thumb", "value": True},
            instead={"billing": "not_found"},
        ),
    },
    "api/v1/feedback of a prompt": {
        "GET": Call(f"{PEOPLE} observations:read beta", "api/v1/feedback?prompt={prompt}", instead=_ELSEWHERE),
    },
    # Keys alone come in by this door; whoever signed in is nobody there.
    "api/public/v2/prompts": {
        "GET": Call("prompts:read beta billing"),
        "OPTIONS": Call(KEYS),
    },
    "api/public/v2/prompts/<path:name>": {
        "GET": Call("prompts:read", "api/public/v2/prompts/{prompt}", instead=_FETCH),
        "OPTIONS": Call(KEYS, "api/public/v2/prompts/any"),
    },
    "api/v1/webhook-endpoints": {
        "GET": Call(CONFIGURERS),
        "POST": Call(CONFIGURERS, body=_WEBHOOK),
    },
    "api/v1/webhook-endpoints/<str:endpoint_id>": {
        "GET": Call(CONFIGURERS, "api/v1/webhook-endpoints/{webhook}"),
        "PATCH": Call(CONFIGURERS, "api/v1/webhook-endpoints/{webhook}", {"events": ["version.saved"]}),
        "DELETE": Call(CONFIGURERS, "api/v1/webhook-endpoints/{webhook}"),
    },
    "api/v1/webhook-endpoints/<str:endpoint_id>/rotate": {
        "POST": Call(CONFIGURERS, "api/v1/webhook-endpoints/{webhook}/rotate", {"overlap_hours": 1}),
    },
    "api/v1/webhook-endpoints/<str:endpoint_id>/test": {
        "POST": Call(CONFIGURERS, "api/v1/webhook-endpoints/{webhook}/test"),
    },
    "api/v1/webhook-endpoints/<str:endpoint_id>/deliveries": {
        "GET": Call(CONFIGURERS, "api/v1/webhook-endpoints/{webhook}/deliveries"),
    },
    "api/v1/webhook-deliveries/<str:delivery_id>/resend": {
        "POST": Call(CONFIGURERS, "api/v1/webhook-deliveries/{delivery}/resend"),
    },
    "api/v1/model-connections": {
        "GET": Call(CONFIGURERS),
        "POST": Call(CONFIGURERS, body={"name": "theirs", "kind": "openai", "model": "gpt-4o", "api_key": "sk-x"}),
    },
    "api/v1/model-connections/<str:connection_id>": {
        "GET": Call(CONFIGURERS, "api/v1/model-connections/{connection}"),
        "PATCH": Call(CONFIGURERS, "api/v1/model-connections/{connection}", {"max_concurrency": 4}),
        "DELETE": Call(CONFIGURERS, "api/v1/model-connections/{connection}"),
    },
    "api/v1/model-connections/<str:connection_id>/test": {
        # No budget is left: nothing is called, and whoever may ask is told so.
        "POST": Call(CONFIGURERS, "api/v1/model-connections/{connection}/test", success=(409,)),
    },
    "api/v1/evaluation-budget": {
        "GET": Call(CONFIGURERS),
        "PATCH": Call(CONFIGURERS, body={"calls_per_day": 0, "usd_per_day": 2.5}),
    },
    "api/v1/evaluation-rules": {
        "GET": Call(f"{PEOPLE} manage evaluations:run beta billing"),
        "POST": Call(
            CONFIGURERS,
            body={"channel": "{channel}", "prompt": "{prompt}", "set": "core", "connection": "gpt", "margin": 0.1},
        ),
    },
    "api/v1/evaluation-rules/<str:rule_id>": {
        "GET": Call(f"{PEOPLE} manage evaluations:run beta billing", "api/v1/evaluation-rules/{rule}"),
        "DELETE": Call(CONFIGURERS, "api/v1/evaluation-rules/{rule}"),
    },
    "api/v1/evaluation-rules/<str:rule_id>/agree": {
        "POST": Call("release-manager admin", "api/v1/evaluation-rules/{rule}/agree", instead={"manage": "forbidden"}),
    },
    "api/v1/drift-watches": {"GET": Call(EVALUATORS)},
    "api/v1/drift-watches/<str:watch_id>": {
        "GET": Call(_REACHING_SETS, "api/v1/drift-watches/{watch}", instead=_HIDDEN),
        "PATCH": Call(CONFIGURERS, "api/v1/drift-watches/{watch}", {"every_hours": 48}),
    },
    "api/v1/drift-watches/<str:watch_id>/reference": {
        "POST": Call(
            "release-manager admin",
            "api/v1/drift-watches/{watch}/reference",
            {"reason": "It is right"},
            instead=_NO_KEY,
        ),
    },
    "api/v1/evaluation-sets": {
        "GET": Call(EVALUATORS),
        "POST": Call(
            f"{SET_EDITORS} owner",
            body={"name": "new", "prompt": "{prompt}", "criteria": []},
            instead={"billing": "prompt_not_found"},
        ),
    },
    "api/v1/evaluation-sets/<str:set_id>": {
        "GET": Call(_REACHING_SETS, "api/v1/evaluation-sets/{set}", instead=_HIDDEN),
        "PATCH": Call(_EDITING_SETS, "api/v1/evaluation-sets/{set}", {"description": "x"}, instead=_HIDDEN),
    },
    "api/v1/evaluation-sets/<str:set_id>/cases": {
        "GET": Call(_REACHING_SETS, "api/v1/evaluation-sets/{set}/cases", instead=_HIDDEN),
        "POST": Call(_EDITING_SETS, "api/v1/evaluation-sets/{set}/cases", {"expected": "x"}, instead=_HIDDEN),
    },
    "api/v1/evaluation-sets/<str:set_id>/cases/<path:key>": {
        "GET": Call(EVALUATORS, "api/v1/evaluation-sets/{shared_set}/cases/one"),
        # A shared set is changed by editors of the project alone; to a key narrowed to names it is within reach.
        "PATCH": Call(f"{SET_EDITORS} billing", "api/v1/evaluation-sets/{shared_set}/cases/one", {"expected": "x"}),
        "DELETE": Call(_EDITING_SETS, "api/v1/evaluation-sets/{set}/cases/one", instead=_HIDDEN),
    },
    "api/v1/evaluation-sets/<str:set_id>/revisions": {
        "GET": Call(_REACHING_SETS, "api/v1/evaluation-sets/{set}/revisions", instead=_HIDDEN),
    },
    "api/v1/evaluation-sets/<str:set_id>/export": {
        "GET": Call(_REACHING_SETS, "api/v1/evaluation-sets/{set}/export", instead=_HIDDEN),
    },
    "api/v1/evaluation-runs": {
        "GET": Call(EVALUATORS),
        "POST": Call(_EDITING_SETS, body=_RUN, instead={"billing": "prompt_not_found"}),
    },
    "api/v1/evaluation-runs/estimate": {
        "POST": Call(
            _EDITING_SETS, "api/v1/evaluation-runs/estimate", body=_RUN, instead={"billing": "prompt_not_found"}
        ),
    },
    "api/v1/evaluation-runs/<str:run_id>": {
        "GET": Call(_REACHING_SETS, "api/v1/evaluation-runs/{run}", instead=_HIDDEN),
    },
    "api/v1/evaluation-runs/<str:run_id>/results": {
        "GET": Call(_REACHING_SETS, "api/v1/evaluation-runs/{run}/results", instead=_HIDDEN),
    },
    "api/v1/evaluation-runs/<str:run_id>/cancel": {
        "POST": Call(_EDITING_SETS, "api/v1/evaluation-runs/{run}/cancel", instead=_HIDDEN),
    },
    "api/v1/evaluation-runs/<str:run_id>/resume": {
        "POST": Call(_EDITING_SETS, "api/v1/evaluation-runs/{paused_run}/resume", instead=_HIDDEN),
    },
    "api/v1/evaluation-runs/<str:run_id>/labels": {
        # A key labels nothing; whoever may is told that no judge answered yet.
        "POST": Call(
            f"{EDITORS} owner",
            "api/v1/evaluation-runs/{run}/labels",
            {"result": "{result}", "criterion": "x", "passed": True},
            instead=_HIDDEN | {"evaluations:run": "forbidden", "beta": "forbidden"},
            success=(400,),
        ),
    },
    "api/v1/evaluation-runs/<str:run_id>/export": {
        "GET": Call(_REACHING_SETS, "api/v1/evaluation-runs/{run}/export?format=junit", instead=_HIDDEN),
    },
    # Whatever else begins with /api/ is nowhere, for everybody alike.
    "api/": {
        method: Call("", "api/v1/nowhere", instead=_NOTHING)
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    },
}
