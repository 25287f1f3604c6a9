"""Check that history adds up."""

import json
import sys
from typing import Any

from accounts.management.project_command import ProjectCommand
from accounts.models import Project
from prompts.verification import verify


class Command(ProjectCommand):
    help = "Compute every chain, head and digest again; name the first broken row of each, and exit with 1 then."

    def handle(self, *args: Any, **options: Any) -> None:
        projects = [self.project(options)] if options["project"] else list(Project.objects.order_by("name"))
        findings = [(project, finding) for project in projects for finding in verify(project)]
        broken = [finding for _, finding in findings if finding.broken is not None]
        if options["json"]:
            rows = [{"project": p.name, "subject": f.subject, "broken": f.broken} for p, f in findings]
            self.stdout.write(json.dumps({"ok": not broken, "findings": rows}, ensure_ascii=False))
        else:
            for project, finding in findings:
                self.stdout.write(f"{project.name}  {finding.line}")
            self.stdout.write(
                "Everything adds up." if not broken else f"{len(broken)} of {len(findings)} do not add up."
            )
        if broken:
            sys.exit(1)
