"""Compare a version with what is live, wait for the verdict, and say it by the exit status: for people and for CI."""

import json
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from accounts.management.project_command import ProjectCommand
from accounts.policies import Principal
from evaluations.actions.runs import start_run
from evaluations.estimating import estimate_run
from evaluations.formats.results import write_comment, write_junit
from evaluations.models import EvaluationRun, ModelConnection
from evaluations.reporting import report_of
from evaluations.run_reading import find_connection_named, find_run, find_set_named, parts_of, progress_of
from evaluations.run_shapes import run_shape
from evaluations.running.engine import work
from promptforge.lib.errors import DomainError
from promptforge.lib.ids import encode

EXIT = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INCOMPLETE": 4, "NOT_COMPARABLE": 4}
PAUSE = 0.5  # seconds between two looks while another worker is at it


class Command(ProjectCommand):
    help = (
        "Evaluate a version against the one that is live. Exit status: 0 PASS, 1 FAIL (or a refusal), 3 INCONCLUSIVE, "
        "4 INCOMPLETE or NOT_COMPARABLE."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("reference", help="Such as support/greeting@9.")
        parser.add_argument("--against", default="stable", help="A channel, a number, or `none` (default: stable).")
        parser.add_argument("--set", required=True, dest="owner", help="The evaluation set's name.")
        parser.add_argument("--connection", help="The model connection; may be left out when there is only one.")
        parser.add_argument("--judge", help="The connection of the judge (default: the same).")
        parser.add_argument("--repeats", type=int, help="The most repeats of each case.")
        parser.add_argument("--margin", type=float, help="How much worse is too much: 0.1 is ten points.")
        parser.add_argument("--junit", type=Path, metavar="FILE", help="Write JUnit XML there.")
        parser.add_argument("--markdown", type=Path, metavar="FILE", help="Write a comment in Markdown there.")
        parser.add_argument("--as", dest="email", required=True, metavar="EMAIL", help="Who starts it.")

    def handle(self, *args: Any, **options: Any) -> None:
        project = self.project(options)
        person = self.person(options["email"], project)
        against = None if options["against"] == "none" else options["against"]
        candidate, baseline, channel = parts_of(person, options["reference"], against)
        asked: dict[str, Any] = {
            "candidate": candidate,
            "baseline": baseline,
            "owner": find_set_named(person, options["owner"]),
            "connection": self._connection(person, options["connection"]),
            "judge": find_connection_named(person, options["judge"]) if options["judge"] else None,
            "margin": options["margin"],
            "repeats": options["repeats"],
        }
        self._say(options, _told(estimate_run(by=person, **asked)))
        run = self._follow(start_run(by=person, channel=channel, **asked), options)
        run = find_run(person, encode("run", run.pk))
        report = report_of(run)
        if options["junit"]:
            options["junit"].write_text(write_junit(report), encoding="utf-8")
        if options["markdown"]:
            options["markdown"].write_text(write_comment(report), encoding="utf-8")
        sentence = " ".join(filter(None, [f"{report.outcome}: {report.sentence}", report.advice, *report.notes]))
        self.stdout.write(json.dumps(run_shape(run), ensure_ascii=False) if options["json"] else sentence)
        sys.exit(EXIT[report.outcome])

    def _connection(self, person: Principal, name: str | None) -> ModelConnection:
        if name is not None:
            return find_connection_named(person, name)
        standing = list(ModelConnection.objects.standing().filter(project=person.project)[:2])
        if len(standing) != 1:
            raise DomainError("not_found", "Name the model connection with --connection.")
        return standing[0]

    def _follow(self, run: EvaluationRun, options: dict[str, Any]) -> EvaluationRun:
        """Work where no other worker does, on all that is due as they do, until the run ends or pauses."""
        said = 0
        while run.status in (EvaluationRun.Status.QUEUED, EvaluationRun.Status.RUNNING):
            if not work(longest=5.0):
                time.sleep(PAUSE)  # another worker is at it, or the next call is not due yet
            run.refresh_from_db()
            progress = progress_of([run])[run.pk]
            if (done := progress.done + progress.unscored) != said:
                said = done
                self._say(options, f"{done} of {progress.total} calls")
        return run

    def _say(self, options: dict[str, Any], sentence: str) -> None:
        """Beside the result, so that --json stays JSON."""
        if options["verbosity"]:
            self.stderr.write(sentence)


def _told(estimate: dict[str, Any]) -> str:
    calls = f"{estimate['least_calls']:,} to {estimate['most_calls']:,} calls over {estimate['cases']:,} cases"
    if estimate["most_cost_usd"] is None:
        return f"{calls}, at a price that is not known."
    return f"{calls}, ${estimate['least_cost_usd']:.4f} to ${estimate['most_cost_usd']:.4f}."
