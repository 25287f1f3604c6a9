"""The shipped guards (each app's `sql/*.sql`): install them, and tell where a database's guards differ from them."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

FILES = (
    "events/sql/guards.sql",
    "accounts/sql/guards.sql",
    "prompts/sql/guards.sql",
    "prompts/sql/checks.sql",
    "prompts/sql/promotions.sql",
    "evaluations/sql/guards.sql",
    "evaluations/sql/gate.sql",
    "evaluations/sql/drift.sql",
    "delivery/sql/guards.sql",
)
ROOT = Path(__file__).resolve().parents[2]

_FUNCTION = re.compile(
    r"CREATE OR REPLACE FUNCTION public\.(?P<name>\w+)\(.*?\)\s+RETURNS .*?\n"
    r"LANGUAGE (?P<language>\w+) (?P<volatility>\w+) SET search_path = (?P<path>[^\n]+?) "
    r"AS \$guard\$(?P<body>.*?)\$guard\$;",
    re.DOTALL,
)
_TRIGGER = re.compile(
    r"CREATE (?:OR REPLACE |CONSTRAINT )TRIGGER (?P<name>\w+) (?P<timing>BEFORE|AFTER) (?P<events>[A-Z ]+?) "
    r"ON public\.(?P<table>\w+)(?P<deferred> DEFERRABLE INITIALLY DEFERRED)?\s+"
    r"(?:REFERENCING NEW TABLE AS (?P<added>\w+) )?"
    r"FOR EACH (?P<level>ROW|STATEMENT) EXECUTE FUNCTION public\.(?P<function>\w+)\(\);"
)
_RULE = re.compile(r"^\s*-- \[(?P<name>\w+)\]\n(?P<body>.*?)^\s*-- \[end\]\n", re.DOTALL | re.MULTILINE)
_VOLATILITY = {"IMMUTABLE": "i", "STABLE": "s", "VOLATILE": "v"}
_EVENT_BITS = {"INSERT": 4, "DELETE": 8, "UPDATE": 16, "TRUNCATE": 32}

# What Django cannot say, as PostgreSQL tells it back; prompts/sql/guards.sql adds them.
CONSTRAINTS = {
    "version_digest_true": "CHECK ((digest = promptforge_version_digest((type)::text, content, variables, config)))",
    "release_version_of_prompt": (
        "FOREIGN KEY (prompt_id, version_id) REFERENCES prompts_promptversion(prompt_id, id)"
    ),
    "head_is_logged": (
        "FOREIGN KEY (release_id, prompt_id, channel_id, revision, version_id) "
        "REFERENCES prompts_release(id, prompt_id, channel_id, revision, version_id) DEFERRABLE INITIALLY DEFERRED"
    ),
}


class Cursor(Protocol):
    def execute(self, sql: str, params: Sequence[Any] | None = None) -> Any: ...
    def fetchall(self) -> list[tuple[Any, ...]]: ...


class Function(NamedTuple):
    name: str
    language: str
    volatility: str
    search_path: str
    body: str


class Trigger(NamedTuple):
    """`kind` is PostgreSQL's `tgtype`: bits for row or statement, before or after, and the events.

    `added` is what a trigger of a whole statement calls the rows that it inserted.
    """

    name: str
    table: str
    function: str
    kind: int
    deferred: bool
    added: str | None


def shipped_sql() -> str:
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in FILES)


def functions(sql: str) -> list[Function]:
    return [
        Function(m["name"], m["language"], _VOLATILITY[m["volatility"]], m["path"], m["body"])
        for m in _FUNCTION.finditer(sql)
    ]


def triggers(sql: str) -> list[Trigger]:
    return [_trigger(m) for m in _TRIGGER.finditer(sql)]


def rules(sql: str) -> list[str]:
    """The names of the rules that stand between `-- [name]` and `-- [end]`."""
    return [m["name"] for m in _RULE.finditer(sql)]


def without_rule(sql: str, name: str) -> str:
    """The same SQL with one rule taken out: what a test installs to see that the rule's attack then succeeds."""
    return _RULE.sub(lambda m: "" if m["name"] == name else m[0], sql)


def install(cursor: Cursor, sql: str | None = None) -> None:
    """Create or replace every guard. Safe while serving: run it inside one transaction, as the owner of the tables."""
    sql = shipped_sql() if sql is None else sql
    cursor.execute("SELECT pg_advisory_xact_lock(20549)")
    cursor.execute(sql)
    for trigger in triggers(sql):
        cursor.execute(f"ALTER TABLE public.{trigger.table} ENABLE ALWAYS TRIGGER {trigger.name}")


def differences(cursor: Cursor) -> Iterator[str]:
    """One sentence for every guard that is missing, altered or switched off in this database."""
    sql = shipped_sql()
    yield from _function_differences(cursor, functions(sql))
    yield from _trigger_differences(cursor, triggers(sql))
    yield from _constraint_differences(cursor)


def frozen_tables(sql: str) -> set[str]:
    """The tables whose rows are never updated or deleted."""
    update_and_delete = _EVENT_BITS["UPDATE"] | _EVENT_BITS["DELETE"]
    return {
        t.table
        for t in triggers(sql)
        if t.function in ("promptforge_frozen", "promptforge_version_frozen")
        and t.kind & update_and_delete == update_and_delete
    }


def _trigger(match: re.Match[str]) -> Trigger:
    kind = (match["level"] == "ROW") * 1 + (match["timing"] == "BEFORE") * 2
    for event in match["events"].split(" OR "):
        kind |= _EVENT_BITS[event]
    return Trigger(
        match["name"], match["table"], match["function"], kind, match["deferred"] is not None, match["added"]
    )


def _function_differences(cursor: Cursor, shipped: list[Function]) -> Iterator[str]:
    cursor.execute(
        "SELECT p.proname, l.lanname, p.provolatile, array_to_string(p.proconfig, ';'), p.prosrc, p.prosecdef "
        "FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang "
        "WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'promptforge\\_%%'"
    )
    found = {row[0]: row[1:] for row in cursor.fetchall()}
    for function in shipped:
        expected = (function.language, function.volatility, f"search_path={function.search_path}", function.body, False)
        if function.name not in found:
            yield f"The guard function {function.name} is missing."
        elif found[function.name] != expected:
            yield f"The guard function {function.name} was altered."


def _constraint_differences(cursor: Cursor) -> Iterator[str]:
    cursor.execute(
        "SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE conname = ANY (%s)",
        [list(CONSTRAINTS)],
    )
    found = {name: (definition, valid) for name, definition, valid in cursor.fetchall()}
    for name, definition in CONSTRAINTS.items():
        if name not in found:
            yield f"The constraint {name} is missing."
        elif found[name] != (definition, True):
            yield f"The constraint {name} was altered."


def _trigger_differences(cursor: Cursor, shipped: list[Trigger]) -> Iterator[str]:
    cursor.execute(
        "SELECT t.tgname, c.relname, p.proname, t.tgtype, t.tginitdeferred, t.tgenabled, "
        "t.tgnewtable, t.tgqual IS NULL AND t.tgattr = '' FROM pg_trigger t "
        "JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
        "WHERE c.relnamespace = 'public'::regnamespace"
    )
    rows = cursor.fetchall()
    found = {(row[0], row[1]): row for row in rows}
    for trigger in shipped:
        row = found.get((trigger.name, trigger.table))
        if row is None:
            yield f"The guard {trigger.name} on {trigger.table} is missing."
        elif row[5] != "A":
            yield f"The guard {trigger.name} on {trigger.table} is switched off."
        elif (*row[2:5], row[6]) != (trigger.function, trigger.kind, trigger.deferred, trigger.added) or not row[7]:
            yield f"The guard {trigger.name} on {trigger.table} was altered."
    guarded = {t.table for t in shipped}
    ours = {(t.name, t.table) for t in shipped}
    for row in rows:
        if row[1] in guarded and row[0].startswith("RI_") and row[5] == "D":
            yield f"A foreign key of {row[1]} is switched off."
        elif row[1] in guarded and not row[0].startswith("RI_") and (row[0], row[1]) not in ours:
            yield f"The trigger {row[0]} on {row[1]} is none of ours."
    cursor.execute(
        "SELECT tablename, rulename FROM pg_rules WHERE schemaname = 'public' AND tablename = ANY (%s)", [list(guarded)]
    )
    for table, rule in cursor.fetchall():
        yield f"The rule {rule} on {table} is none of ours."
