"""Take a backup while PromptForge serves."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from events.backup import take_backup
from promptforge.lib.backup import BackupRefused


class Command(BaseCommand):
    help = "Write database, keys and checkpoints, as of one moment, to one new file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="A file that is not there yet.")
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["path"].absolute()
        try:
            manifest = take_backup(path)
        except BackupRefused as refusal:
            self.stderr.write(str(refusal))
            sys.exit(1)
        size, projects = path.stat().st_size, manifest["projects"]
        if options["json"]:
            shape = {"path": str(path), "size": size, "taken_at": manifest["taken_at"], "projects": projects}
            self.stdout.write(json.dumps(shape))
            return
        self.stdout.write(
            f"{path}: {size / 1e6:.1f} MB, {sum(row['project_id'] > 0 for row in projects)} projects "
            f"as of {manifest['taken_at']}."
        )
        self.stdout.write("It holds the keys and all texts: whoever has it can read and sign everything. Keep it safe.")
