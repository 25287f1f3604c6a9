"""`script/bench`: set everything up, measure, and write down what came out. README.md tells the rest."""

import argparse
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench import machine, report
from bench.contestants.local import Bare, PlainView
from bench.contestants.peers import PEERS
from bench.generator import NoCompiler, build
from bench.measuring import LAYOUTS, QUICK, Contestant, Row, Size, Stage
from bench.ours import Ours
from bench.scenarios import fetching, intake, listing, overloading, releasing, saving, soaking
from promptforge.env import ROOT

SCENARIOS: dict[str, Callable[[Stage], None]] = {
    "fetch": fetching.run,
    "list": listing.run,
    "save": saving.run,
    "intake": intake.run,
    "release": releasing.run,
}
# Measured as people run the server; with one worker on one core they would measure the core of the generator.
NOT_IN = {"release": "one"}


def main() -> int:
    """Measure what was asked for; 1 when an answer was wrong, or when something did not start or refused to answer."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # on the way out, all servers are ended
    try:
        return _run(_options())
    except (NoCompiler, RuntimeError) as reason:
        print(reason, file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    size = QUICK if options.quick else Size()
    size = replace(size, repeats=options.repeats or size.repeats, seconds=options.seconds or size.seconds)
    if options.layout:
        size = replace(size, layouts=(options.layout,))
    var = options.var.resolve()
    program = build(var)
    ours = Ours((options.database or var / "promptforge").resolve())
    if not options.database:
        ours.forget()
    others: list[Contestant] = [Bare(var, ours), PlainView(var, ours)]
    others += [PEERS[name](var, ours) for name in options.peers]
    stage, memory = Stage(ours, others, program, size), []
    if options.soak or options.overload:
        _long(stage, options)
    else:
        for layout in size.layouts:
            memory += _measure(stage, layout, options.only or list(SCENARIOS))
    part = "soak" if options.soak else "overload" if options.overload else "figures"
    report.write_json(var / f"{part}.json", stage.rows, memory)
    text = report.markdown(stage.rows, memory)
    print(text)
    if options.document:
        report.put_between_markers(options.document, part, text)
    return int(any(row.get("wrong") for row in stage.rows))


def _measure(stage: Stage, layout: str, names: list[str]) -> list[Row]:
    """All scenarios in one layout; returns the memory of every server's processes after them."""
    with stage.set_up(layout):
        for name in names:
            if NOT_IN.get(name) != layout:
                print(f"{LAYOUTS[layout]}: {name}", file=sys.stderr)
                SCENARIOS[name](stage)
        roots = {stage.ours.name: stage.ours.web} | {other.name: other.root for other in stage.others}
        return [{"layout": layout, "who": who} | one for who, root in roots.items() for one in machine.memory(root)]


def _long(stage: Stage, options: argparse.Namespace) -> None:
    """The scenarios that take minutes, with two workers and without the others."""
    stage.others = []
    with stage.set_up("two"):
        if options.soak:
            soaking.run(stage, options.seconds or 600)
        else:
            overloading.run(stage, options.seconds or 20)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/bench", description="Measure PromptForge and what it is compared with."
    )
    parser.add_argument(
        "--quick", action="store_true", help="a smoke test in less than a minute; its figures mean nothing"
    )
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, metavar="NAME", help=f"some of: {', '.join(SCENARIOS)}")
    parser.add_argument(
        "--layout", choices=LAYOUTS, help="; ".join(f"{name}: {title}" for name, title in LAYOUTS.items())
    )
    parser.add_argument(
        "--peers", nargs="+", default=[], choices=PEERS, help="other products to measure too; installs them"
    )
    parser.add_argument(
        "--soak", action="store_true", help="300 reads/s for ten minutes with a move every five seconds"
    )
    parser.add_argument("--overload", action="store_true", help="many times more slow requests than two cores can do")
    parser.add_argument("--seconds", type=float, help="the length of a burst, of the soak or of the overload")
    parser.add_argument("--repeats", type=int, help="how often everything is visited (default: 3)")
    parser.add_argument(
        "--var", type=Path, default=ROOT / "var" / "bench", help="where everything is put (default: var/bench)"
    )
    parser.add_argument(
        "--database", type=Path, help="work on the embedded database of this var directory, and keep it"
    )
    parser.add_argument("--document", type=Path, help="also put the tables between the markers of this Markdown file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
