"""Restore a backup behind a fence, and lift the fence when a person says so."""

import io
import json
import sys
import time
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connections

from events import fence, restore
from promptforge.lib import backup_keys
from promptforge.lib.backup import CHECKPOINTS, KEYS, Archive, BackupRefused


class Command(BaseCommand):
    help = "Restore a backup into an empty database, fenced; --confirm lifts the fence."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, nargs="?", help="A file that `backup` wrote.")
        parser.add_argument(
            "--replace", type=int, metavar="PROJECTS", help="Drop what is there, which holds this many projects."
        )
        parser.add_argument("--confirm", action="store_true", help="Let a restored PromptForge send and run again.")
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        if (options["path"] is None) != options["confirm"]:
            self.stderr.write("Name the backup to restore, or --confirm alone after a restore.")
            sys.exit(1)
        if options["confirm"]:
            self._confirm(options)
            return
        try:
            with restore.nobody_serves():
                is_whole = self._restore(options)
        except BackupRefused as refusal:
            self.stderr.write(str(refusal))
            sys.exit(1)
        except psycopg.OperationalError:
            self.stderr.write("The database went away: start it, and run the restore again.")
            sys.exit(1)
        except OSError as error:
            self.stderr.write(f"{error.filename or 'A file'}: {error.strerror or error}. Mend that and restore again.")
            sys.exit(1)
        if not is_whole:
            sys.exit(1)

    def _confirm(self, options: dict[str, Any]) -> None:
        count = fence.confirm()
        sentence = (
            "The restore is confirmed: checkpoints, outbox, schedules and runs go on."
            if count
            else "There is nothing to confirm: no restore is waiting."
        )
        self.stdout.write(json.dumps({"confirmed": count}) if options["json"] else sentence)

    def _restore(self, options: dict[str, Any]) -> bool:
        """Check everything first, then keys, rows, checkpoints; returns whether all adds up."""
        archive = Archive(options["path"])
        keys, moment = archive.text(KEYS) or "", time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        restore.check_release(archive)
        backup_keys.check_environment(keys)
        major = restore.check_target(archive, options["replace"])
        said = []
        # Before the rows, which without their keys would be worth nothing.
        aside = backup_keys.merge(keys, moment)
        if aside is not None:
            said.append(f"The key file was joined with the backup's keys, which sign now; the former one is {aside}.")
            self._say(options, said[-1])
        try:
            restore.load(archive, major)
        except BaseException:
            if aside is not None and not restore.is_loaded(archive):
                backup_keys.put_back(aside)
                self._say(options, "The restore did not happen: the former key file is in its place again.")
            raise
        if sentence := restore.put_checkpoints(settings.CHECKPOINT_FILE, archive.text(CHECKPOINTS), moment):
            said.append(sentence)
            self._say(options, sentence)
        wrong = restore.differences(archive)
        call_command("migrate", interactive=False, verbosity=0, stdout=io.StringIO())
        findings = self._verify()
        wrong += [f"{row['project']}  {row['subject']}: {row['broken']}" for row in findings if row["broken"]]
        self._tell(options, archive, said, wrong, len(findings))
        return not wrong

    def _say(self, options: dict[str, Any], sentence: str) -> None:
        """At once, so that it is read also when the rest is never reached."""
        out = self.stderr if options["json"] else self.stdout
        out.write(sentence)
        out.flush()

    def _verify(self) -> list[dict[str, Any]]:
        connections.close_all()
        printed = io.StringIO()
        with suppress(SystemExit):  # what is broken stands in the findings
            call_command("verify", json=True, stdout=printed)
        found: list[dict[str, Any]] = json.loads(printed.getvalue())["findings"]
        return found

    def _tell(self, options: dict[str, Any], archive: Archive, said: list[str], wrong: list[str], checked: int) -> None:
        projects = sum(row["project_id"] > 0 for row in archive.manifest["projects"])
        if options["json"]:
            shape = {"projects": projects, "taken_at": archive.manifest["taken_at"], "archive": archive.digest}
            self.stdout.write(json.dumps(shape | {"said": said, "checked": checked, "wrong": wrong, "fenced": True}))
            return
        self.stdout.write(f"Restored {projects} projects as of {archive.manifest['taken_at']}, each with a new epoch.")
        for sentence in wrong:
            self.stdout.write(sentence)
        self.stdout.write(
            f"verify: {len(wrong)} do not add up." if wrong else f"verify: all {checked} findings add up."
        )
        self.stdout.write("Fenced: checkpoints, outbox, schedules and runs are held until `restore --confirm`.")
