"""Fetching the local model beside a server that runs already: nobody waits for it, and nobody misses it in silence."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from promptforge.env import ROOT, has_local_model
from promptforge.lib.supervisor import end_group, spawn


class ModelSetup:
    """`script/setup --model` in the background, once, where the model is wanted and not there."""

    def __init__(self, environment: Mapping[str, str], log: Path, say: Callable[[str], None]) -> None:
        self.environment, self.log, self.say = environment, log, say
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start fetching it, if it is wanted, missing, and this is a checkout that can."""
        if not has_local_model() or not (ROOT / ".venv" / "made-in").exists() or _is_installed():
            return
        self.say("Fetching the local model for evaluations, 130 MB (--no-model declines it).")
        with self.log.open("ab") as log:
            self.process = spawn([str(ROOT / "script" / "setup"), "--model"], self.environment, output=log.fileno())

    def tend(self) -> None:
        """Tell what became of it."""
        if self.process is None or self.process.poll() is None:
            return
        if self.process.returncode == 0:
            self.say("The local model is installed.")
        else:
            self.say(
                f"The local model could not be fetched (see {self.log}); everything else works, and evaluations with "
                "other connections do. To try again: script/setup --model."
            )
        self.process = None

    def stop(self) -> None:
        """Leave it at that; what is half there is installed anew the next time."""
        if self.process is not None:
            end_group(self.process.pid)
            self.process.wait()


def _is_installed() -> bool:
    installed = ROOT / ".venv" / "installed-requirements-model.txt"
    return installed.exists() and installed.read_bytes() == (ROOT / "requirements-model.txt").read_bytes()
