"""The table of everything that PromptForge refuses by: one code, one meaning, one way to mend it."""

from collections.abc import Mapping
from typing import NamedTuple


class Code(NamedTuple):
    """The HTTP status and the title that belong to a refusal's code, and in one sentence how to mend it."""

    status: int
    title: str
    mend: str


CODES: Mapping[str, Code] = {
    # 400: the request itself cannot be read
    "bad_channel_name": Code(
        400, "Not a channel name", "Use 1 to 63 lower-case letters, digits and hyphens, a letter first; not `latest`."
    ),
    "bad_cursor": Code(
        400, "Not a cursor of this list", "Take `next` of the page before unchanged, and keep that page's filters."
    ),
    "bad_limit": Code(400, "Limit out of range", "Give a whole number from 1 to 200, or leave `limit` out."),
    "bad_name": Code(
        400,
        "Not a prompt name",
        "Use letters, digits and `.` `_` `-`, in parts that are joined by `/`; `detail` has the whole rule.",
    ),
    "bad_receipt": Code(
        400,
        "Not a receipt of this project",
        "Quote the receipt as the fetch answered it, to the project and with a key that reaches its prompt.",
    ),
    "bad_request": Code(
        400,
        "The request could not be read",
        "Send the whole request as HTTP has it, to a host that PROMPTFORGE_ALLOWED_HOSTS names.",
    ),
    "bad_timestamp": Code(
        400,
        "Not a usable instant",
        "Write an instant with its zone, as in `2026-11-17T10:00:00Z`; `detail` says which are allowed.",
    ),
    "bad_value": Code(400, "Not a usable value", "`detail` says which values the field takes; send one of those."),
    "bad_version": Code(400, "Not a version", "Name a number, a channel or `latest`, as in `support/greeting@8`."),
    "body_required": Code(400, "The request has no body", "Send a JSON object as the body."),
    "bom_not_allowed": Code(
        400, "The body starts with a byte order mark", "Save the body as UTF-8 without the byte order mark."
    ),
    "duplicate_key": Code(400, "A key stands twice in one object", "Give each key of an object once."),
    "field_required": Code(400, "A field is missing", "Add the field that `errors` points at."),
    "invalid_unicode": Code(400, "Not valid Unicode", "Remove the half of a surrogate pair, or send both halves."),
    "invalid_utf8": Code(400, "Not valid UTF-8", "Encode the body and the address as UTF-8."),
    "json_syntax": Code(400, "Not valid JSON", "Mend the JSON at the line and column that `detail` names."),
    "json_too_deep": Code(400, "JSON is nested too deeply", "Nest objects and lists at most 64 deep."),
    "key_in_url": Code(
        400,
        "An API key stands in the address",
        "Send the key in the Authorization header, and revoke this one: addresses end up in logs.",
    ),
    "list_expected": Code(400, "A JSON list is expected", "Send a JSON list where `errors` points."),
    "nul_not_allowed": Code(
        400, "The NUL character is not allowed", "Remove the NUL character from the body or the address."
    ),
    "number_out_of_range": Code(400, "Number out of range", "Send a finite number of at most 64 bits, or a string."),
    "object_expected": Code(400, "A JSON object is expected", "Send a JSON object where `errors` points."),
    "project_required": Code(
        400, "No project named", "Name one of your projects in the PromptForge-Project header, or with `--project`."
    ),
    "read_only_field": Code(400, "A field cannot be set", "Leave the field out: PromptForge sets it."),
    "string_expected": Code(
        400, "A string is expected", "Send a JSON string where `errors` points; numbers are not turned into text."
    ),
    "unknown_field": Code(
        400, "A field is not known", "Leave the field out, or mend its name; `detail` lists those that are known."
    ),
    "unknown_parameter": Code(
        400, "A query parameter is not known", "Give each parameter once, by a name that `detail` lists."
    ),
    # 401: who is asking
    "key_expired": Code(401, "The API key has expired", "Ask an admin to rotate the key or to make another."),
    "key_malformed": Code(401, "Not an API key", "Copy the key again, whole: `pf_`, environment, id and secret."),
    "key_revoked": Code(401, "The API key was revoked", "Use the key that replaced it, or ask an admin for another."),
    "key_unknown": Code(
        401, "The API key is not known", "Check that the key belongs to this installation and project."
    ),
    "not_authenticated": Code(401, "Not signed in", "Send an API key as `Authorization: Bearer …`, or sign in."),
    # 403: may they
    "csrf_failed": Code(
        403, "The CSRF token is missing or wrong", "Load the page again and repeat, or send its token as X-CSRFToken."
    ),
    "forbidden": Code(
        403, "The role does not allow it", "Ask somebody whose role allows it, or an admin for the role."
    ),
    "four_eyes": Code(
        403, "A second person must decide", "Ask another person who has the right: nobody decides on their own work."
    ),
    "reauthentication_required": Code(
        403, "The sign-in is too old", "Sign in again at the address in `url`, and repeat."
    ),
    "key_scope": Code(
        403,
        "The API key does not reach that far",
        "Use a key that has the scope, channel and prompt, or ask an admin for one.",
    ),
    # 404: is it there
    "channel_empty": Code(
        404, "Nothing is live on the channel", "Release a version to the channel, or name another channel or a number."
    ),
    "channel_not_found": Code(404, "No such channel", "Name a channel that `GET /channels` lists, or add one."),
    "not_found": Code(404, "Not found", "Check the address and the id; `/api/docs/` lists the calls."),
    "not_yet_released": Code(
        404, "Nothing was live yet", "Ask for an instant after the first release; `GET /releases` lists them."
    ),
    "project_not_found": Code(404, "No such project", "Check the name; `GET /projects` lists those within reach."),
    "prompt_not_found": Code(
        404, "No such prompt", "Check the name, letter by letter; `GET /prompts` lists those within reach."
    ),
    "version_not_found": Code(404, "No such version", "Name a version that `GET /versions` lists."),
    # 405, 406, 408, 413, 415: how it was asked
    "body_too_slow": Code(
        408, "The body took too long", "Send the request again, over a faster connection or with a smaller body."
    ),
    "method_not_allowed": Code(
        405, "The method is not allowed here", "Use one of the methods that the Allow header lists."
    ),
    "not_acceptable": Code(
        406, "The answer cannot be given in that form", "Ask for `application/json` or for `*/*` in the Accept header."
    ),
    "body_too_large": Code(413, "The body is too large", "Send less at once; `detail` says how much the call takes."),
    "config_too_large": Code(413, "The configuration is too large", "Keep the configuration at 64 KiB or less."),
    "content_too_large": Code(
        413, "The content is too large", "Keep the content, includes expanded, at 256 KiB or less."
    ),
    "too_large": Code(
        413,
        "The answer would be too large",
        "Ask for less at once: narrow it by folder or by time, or go page by page.",
    ),
    "encoding_not_supported": Code(
        415, "The content encoding is not supported", "Send the body without Content-Encoding."
    ),
    "unsupported_media_type": Code(
        415, "The media type is not supported", "Send the body with Content-Type `application/json`."
    ),
    # 409: the state does not allow it
    "idempotency_in_flight": Code(
        409, "The first request is still being answered", "Wait a moment and repeat the request with the same key."
    ),
    "already_labelled": Code(409, "You labelled that answer before", "Leave it, or ask another person for a label."),
    "already_live": Code(409, "That version is live already", "Nothing needs doing: the channel serves that version."),
    "archived": Code(
        409,
        "The prompt is archived",
        "Restore the prompt with `PATCH /prompts/{name}` and `archived: false`, then repeat.",
    ),
    "kind_not_available": Code(
        409,
        "This kind of release is not available",
        "Choose another kind of release; `detail` says what is possible here.",
    ),
    "import_closed": Code(
        409,
        "The project no longer takes imported history",
        "Import into a new project; this one has releases of its own.",
    ),
    "name_taken": Code(409, "The name is taken", "Choose another name; capital and small letters count as the same."),
    "nothing_to_roll_back": Code(
        409, "Nothing to roll back", "Promote a version instead: none that was live before can come back."
    ),
    "one_project": Code(409, "One transaction touches one project", "Change each project in a transaction of its own."),
    "promotion_closed": Code(409, "The promotion is closed", "Open a new promotion."),
    "promotion_not_ready": Code(
        409, "The promotion is not ready", "Bring about each thing that `errors` lists, then apply it again."
    ),
    "promotion_required": Code(
        409, "The channel takes promotions only", "Open a promotion of the version to this channel."
    ),
    "budget_used_up": Code(
        409, "The budget is used up", "Wait for the next day (UTC), or have the ceiling raised that `detail` names."
    ),
    "duplicate_promotion": Code(
        409, "That promotion is open already", "Go on with the open promotion of that version, or withdraw it."
    ),
    "frozen": Code(
        409, "History cannot be changed", "Save a new version, or make a new release; what was written stays."
    ),
    "last_admin": Code(
        409, "A project keeps an admin", "Make somebody else an admin first; then change or remove this one."
    ),
    "frozen_channel": Code(
        409, "A freeze window is on", "Wait for the end of the window, or ask who may change the channel to lift it."
    ),
    "guard": Code(
        409,
        "The database refused it",
        "Use the pages or the API, which keep the rule of the database that `detail` tells.",
    ),
    "rollback_target_never_live": Code(
        409, "That version was never live here", "Name a version that `GET /releases` shows as live before."
    ),
    "rollback_target_withdrawn": Code(
        409,
        "That version was withdrawn",
        "Promote the version again: a rollback does not bring back what one took away.",
    ),
    "run_ended": Code(
        409, "The run has ended", "Start another run with the same fields: one that ended is not opened again."
    ),
    "run_not_paused": Code(
        409, "The run is not paused", "Nothing needs doing: a run that is not paused goes on by itself."
    ),
    "run_not_resumable": Code(409, "The run cannot go on", "Mend what `detail` names, then resume it."),
    "stale_base": Code(
        409,
        "A newer version exists",
        "Load the newest version, bring your change to it, and send it with the new base.",
    ),
    "stale_draft": Code(
        409, "The draft was changed in another window", "Look at both, and keep the one that should stay."
    ),
    "trial_under_way": Code(
        409, "The last try is still under way", "Wait until its answers are there, then try again."
    ),
    "webhook_disabled": Code(409, "The webhook endpoint is disabled", "Set `enabled` to true, then repeat."),
    "stale_diff": Code(409, "The diff has changed", "Look at the new diff, and send its `diff_digest`."),
    "stale_head": Code(
        409, "The channel has moved", "Look at the `head` that the answer carries, and repeat with its revision."
    ),
    # 409, in the errors of promotion_not_ready: what is missing
    "canary_required": Code(409, "A release in steps comes first", "Release the version in steps first."),
    "changes_requested": Code(
        409, "A reviewer asked for changes", "Answer the reviewer, or save a version that does what was asked."
    ),
    "evaluation_not_passed": Code(
        409, "The evaluation has not passed", "Run the evaluation on this version until it passes."
    ),
    "evidence_expired": Code(
        409, "The evaluation is too old", "Run the evaluation again: the model may answer otherwise by now."
    ),
    "expired": Code(409, "The promotion is too old", "Open a new promotion of the version."),
    "freeze": Code(409, "The channel is frozen", "Wait until the window ends, or have it lifted."),
    "hidden_text": Code(
        409,
        "Hidden characters are not acknowledged",
        "Remove the characters, or have each approver acknowledge them.",
    ),
    "policy_changed": Code(
        409, "The policy has changed", "Renew the promotion: its successor stands under the policy of now."
    ),
    "review_missing": Code(409, "An approval is missing", "Ask another person with the right to review it."),
    "secrets": Code(
        409, "The text looks as if it held a secret", "Remove the secret from the text and save a new version."
    ),
    "variables": Code(409, "Callers would break", "Keep the variables that callers send, or give new ones a default."),
    # 422: understood, and not acceptable
    "bad_policy": Code(422, "Not a channel policy", "Mend each field that `errors` points at; docs/api.md lists them."),
    "bad_criterion": Code(
        422,
        "Not a usable criterion",
        "Mend each criterion that `errors` points at; docs/evaluation-sets.md lists them.",
    ),
    "bad_role": Code(422, "Not a message role", "Use a role that `detail` lists."),
    "bad_type": Code(422, "Not a prompt type", "Use `text` or `chat`."),
    "bad_url": Code(
        422, "Not a usable address", "Write `https://host/path`, with a host that DNS knows, and no user in it."
    ),
    "bad_variable": Code(
        422, "A variable's value does not fit", "Send a value of the declared type, length and choice."
    ),
    "bad_variable_name": Code(
        422, "Not a variable name", "Begin with a letter, then letters, digits and `_`; nothing is evaluated in a tag."
    ),
    "confusable_variable": Code(422, "Two variable names look alike", "Rename one of the two, in plain Latin letters."),
    "case_not_rendered": Code(
        422,
        "A case does not fill the prompt",
        "Give each case that `errors` names its variables, or give them defaults.",
    ),
    "empty_messages": Code(422, "The chat has no message", "Write at least one message."),
    "empty_prompt": Code(422, "The prompt is empty", "Write something other than blanks."),
    "include_ambiguous": Code(
        422, "An include runs into its neighbour", "Put a blank or a line break between the include and its neighbour."
    ),
    "include_not_found": Code(
        422,
        "An included prompt was not found",
        "Name a text prompt of this project and one of its versions, as in `{{> house-style@3}}`.",
    ),
    "missing_variable": Code(
        422,
        "A required variable is missing",
        "Send a value for each variable that `errors` lists, or declare a default.",
    ),
    "idempotency_mismatch": Code(
        422,
        "The Idempotency-Key was used for another request",
        "Use a new Idempotency-Key for a new request, and the same bytes for a repetition.",
    ),
    "nothing_counts": Code(
        422, "No criterion counts", "Give every case a criterion that counts, on the set or of its own."
    ),
    "reason_required": Code(422, "A reason is required", "Send a `reason` that tells a reader of the history why."),
    "reason_too_short": Code(
        422, "The reason is too short", "Write the reason in at least as many characters as `detail` asks for."
    ),
    "reserved_name": Code(422, "The name is reserved", "Choose a name that does not begin with `_`."),
    "set_empty": Code(422, "The set has no cases", "Add cases to the set, then start the run."),
    "too_many_variables": Code(
        422, "Too many variables", "Use at most 200 variables, or one of type json for several values."
    ),
    "unclosed_tag": Code(
        422, "A tag is not closed", "Close the tag with `}}`, or write `\\{{` for two literal braces."
    ),
    "unknown_variable": Code(
        422, "A variable is not known", "Leave the variable out, or mend its name; without strict it is ignored."
    ),
    "url_not_allowed": Code(
        422,
        "The address may not be called",
        "Name a public host, or have the operator list it in `PROMPTFORGE_ALLOWED_PRIVATE_HOSTS`.",
    ),
    # 429 and 5xx
    "rate_limited": Code(429, "Too many requests", "Wait as long as Retry-After says, then send more slowly."),
    "server_error": Code(
        500, "Something went wrong here", "Try once more; if it stays, tell your operator the `request_id`."
    ),
    "unavailable": Code(503, "Not available right now", "Repeat the request after the seconds that Retry-After names."),
    "storage_full": Code(507, "The disk is full", "Ask your operator to make room; reading and serving go on."),
}
