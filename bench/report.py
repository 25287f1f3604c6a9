"""Medians and paired ratios of the rows that were measured, as JSON and as Markdown."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench import machine
from bench.measuring import LAYOUTS, Row
from bench.scenarios.fetching import FETCH

HEADINGS = (
    "what",
    "who",
    "c",
    "per second",
    "p50 ms",
    "p99 ms",
    "max ms",
    "CPU µs",
    "PostgreSQL µs",
    "errors",
    "wrong",
)


def write_json(path: Path, rows: Sequence[Row], memory: Sequence[Row]) -> None:
    """Everything that was measured, burst by burst."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"at": datetime.now(UTC).isoformat(), **machine.description(), "rows": rows, "memory": memory}
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")


def put_between_markers(path: Path, name: str, figures: str) -> None:
    """Replace what stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->` in a document."""
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(f"<!-- {name}: begin -->")
    _, after = rest.split(f"<!-- {name}: end -->")
    path.write_text(f"{before}<!-- {name}: begin -->\n{figures}\n<!-- {name}: end -->{after}", encoding="utf-8")


def markdown(rows: Sequence[Row], memory: Sequence[Row]) -> str:
    """The report: where it ran, a table for each layout, the ratios, the memory."""
    about = machine.description()
    foreign = [row["foreign_cores"] for row in rows if "foreign_cores" in row]
    when = f"Measured on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC at commit `{about['commit']}`"
    parts = [f"{when}: {about['machine']}; {about['versions']}."]
    if foreign:
        parts.append(f"Other programs took {median(foreign):.2f} cores meanwhile (median; at most {max(foreign):.2f}).")
    for layout, title in LAYOUTS.items():
        if mine := [row for row in rows if row["layout"] == layout]:
            parts += [f"### {title[0].upper()}{title[1:]}", _table(HEADINGS, _lines(mine))]
    if ratios := list(_ratios(rows)):
        parts += [
            "### PromptForge's fetch against the others",
            _table(("against", "layout", "c", "per second", "CPU per answer"), ratios),
        ]
    parts += [_notes(rows), _soaked(rows)]
    if memory:
        parts += ["### Memory", _table(("layout", "process", "RSS MB", "USS MB"), map(_memory_line, memory))]
    return "\n\n".join(part for part in parts if part)


def _table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    return "\n".join([*rows, *("| " + " | ".join(line) + " |" for line in lines)])


def _groups(rows: Iterable[Row], *keys: str) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(key) for key in keys), []).append(row)
    return groups


def _lines(rows: Sequence[Row]) -> Iterable[list[str]]:
    scenarios = list(_groups(rows, "scenario"))
    people = list(_groups(rows, "who"))

    def place(item: tuple[tuple[Any, ...], list[Row]]) -> tuple[int, int, int]:
        scenario, who, connections = item[0]
        return scenarios.index((scenario,)), connections or 0, people.index((who,))

    for (scenario, who, connections), group in sorted(
        _groups(rows, "scenario", "who", "connections").items(), key=place
    ):
        if "expected" not in group[0]:
            if group[0].get("note") == "not there yet":
                yield [scenario, who, "", "not there yet", *[""] * 7]
            continue
        stats = [_median(group, lambda row, key=key: row["expected"][key]) for key in ("p50_ms", "p99_ms", "max_ms")]
        rate = _median(group, lambda row: row.get("rows_per_second", row.get("per_second")))
        unit = " rows" if "rows_per_second" in group[0] else ""
        cpu, postgres = (_median(group, lambda row, key=key: row.get(key)) for key in ("cpu_us", "postgres_us"))
        errors, wrong = (str(sum(row[key] for row in group)) for key in ("errors", "wrong"))
        shown = [_number(rate) + (unit if rate else ""), *map(_number, [*stats, cpu, postgres]), errors, wrong]
        yield [scenario, who, str(connections or ""), *shown]


def _median(group: Sequence[Row], value: Callable[[Row], float | None]) -> float | None:
    found = [one for row in group if (one := value(row)) is not None]
    return median(found) if found else None


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratios(rows: Sequence[Row]) -> Iterable[list[str]]:
    """Of each repeat the ratio, and of these the median: throughput gained, CPU saved."""
    fetches = [row for row in rows if row["scenario"] == FETCH]
    mine = {(row["layout"], row["connections"], row["repeat"]): row for row in fetches if row["who"] == "promptforge"}
    others = [row for row in fetches if row["who"] != "promptforge"]
    for (who, layout, connections), group in sorted(_groups(others, "who", "layout", "connections").items()):
        pairs = [(mine[layout, connections, row["repeat"]], row) for row in group]
        faster = median(own["per_second"] / max(row["per_second"], 0.01) for own, row in pairs)
        costs = [(own["cpu_us"], row["cpu_us"]) for own, row in pairs if own["cpu_us"] > 0 and row["cpu_us"] > 0]
        cheaper = f"{median(own / row for own, row in costs):.3f}" if costs else ""
        yield [who, LAYOUTS[layout], str(connections), f"{faster:.2f} ×", f"{cheaper} of it"]


def _notes(rows: Sequence[Row]) -> str:
    noted = [
        f"- {row['scenario']}: {row['note']}" for row in rows if row.get("note", "not there yet") != "not there yet"
    ]
    stale = [row for row in rows if "stale" in row]
    if stale:
        count = max(row["stale"] for row in stale)
        noted.append(f"- Reads after the answer to a move that did not show it: {count}")
    return "\n".join(noted)


def _soaked(rows: Sequence[Row]) -> str:
    parts = []
    for row in rows:
        if "memory" in row:
            minutes = [
                [number, _number(one["p50_ms"]), _number(one["p99_ms"]), _number(one["max_ms"])]
                for number, one in row["slices"].items()
            ]
            grown = [
                [one["process"], *(_number(one[key]) for key in ("first_mb", "last_mb")), f"{one['mb_an_hour']:+.1f}"]
                for one in row["memory"]
            ]
            parts += [f"### {row['scenario']}", _table(("minute", "p50 ms", "p99 ms", "max ms"), minutes)]
            parts.append(_table(("process", "first MB", "last MB", "MB an hour, second half"), grown))
    return "\n\n".join(parts)


def _memory_line(one: Row) -> list[str]:
    return [LAYOUTS[one["layout"]], f"{one['who']}: {one['command']}", _number(one["rss_mb"]), _number(one["uss_mb"])]
