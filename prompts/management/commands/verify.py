"""Check that history adds up."""

import dataclasses
import json
import sys
from typing import Any

from accounts.management.project_command import ProjectCommand
from accounts.models import Project
from prompts.verification import Finding, verify, verify_accounts


class Command(ProjectCommand):
    help = "Compute every chain, head and digest again; name the first broken row of each, and exit with 1 then."

    def handle(self, *args: Any, **options: Any) -> None:
        projects = [self.project(options)] if options["project"] else list(Project.objects.order_by("name"))
        findings: list[tuple[str | None, Finding]] = [
            (project.name, finding) for project in projects for finding in verify(project)
        ]
        if not options["project"]:
            findings += [(None, finding) for finding in verify_accounts()]
        broken = [finding for _, finding in findings if finding.broken is not None]
        if options["json"]:
            rows = [{"project": name, **dataclasses.asdict(finding)} for name, finding in findings]
            self.stdout.write(json.dumps({"ok": not broken, "findings": rows}, ensure_ascii=False))
        else:
            for name, finding in findings:
                self.stdout.write(f"{name or 'accounts'}  {finding.line}")
            self.stdout.write(
                "Everything adds up." if not broken else f"{len(broken)} of {len(findings)} do not add up."
            )
        if broken:
            sys.exit(1)
