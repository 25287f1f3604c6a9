"""What the kernel says of processes and of the machine: CPU time, memory, cores, versions (Linux)."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from promptforge.env import ROOT

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def tree(root: int) -> list[int]:
    """A process and everything below it."""
    parents: dict[int, list[int]] = {}
    for folder in PROC.glob("[0-9]*"):
        fields = _fields(int(folder.name))
        if fields:
            parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += parents.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of a tree so far, that of children which have ended included."""
    # Fields 14 to 17 of stat: own user and system time, then that of the children that were waited for.
    return sum(sum(map(int, fields[11:15])) for pid in tree(root) if (fields := _fields(pid))) / TICKS


def busy_seconds() -> float:
    """What all cores together have worked so far, whoever it was for."""
    user, nice, system, _, _, irq, softirq = map(int, (PROC / "stat").read_text().split("\n", 1)[0].split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS


def memory(root: int) -> list[dict[str, object]]:
    """Of each process of a tree: its command, and its resident (RSS) and unshared (USS) memory in MB."""
    found = []
    for pid in tree(root):
        try:
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
            words = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # ended meanwhile
        if not lines:
            continue  # ended, and not yet waited for
        kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        unshared = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
        command = " ".join(Path(word).name for word in words[:4])
        found.append({"pid": pid, "command": command, "rss_mb": kilobytes["Rss"] / 1024, "uss_mb": unshared / 1024})
    return found


def pin(root: int, cores: set[int]) -> None:
    """Let a tree, every thread of it, run on these cores alone; what it starts later inherits that."""
    for pid in tree(root):
        for task in (PROC / str(pid) / "task").glob("[0-9]*"):
            try:
                os.sched_setaffinity(int(task.name), cores)
            except ProcessLookupError:
                continue


def cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def description() -> dict[str, str]:
    """The machine, the versions and the commit, for the head of a report."""
    models = [
        line.split(":")[1].strip()
        for line in (PROC / "cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ("django", "djangorestframework", "granian", "psycopg", "uvloop")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    machine = f"{len(cores())} cores of {models[0] if models else platform.machine()}, {gigabytes:.0f} GiB"
    return {
        "machine": f"{machine}, {platform.system()} {platform.release()}",
        "versions": ", ".join([f"Python {platform.python_version()}", *versions]),
        "commit": _commit(),
    }


def _commit() -> str:
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.stdout.strip()


def _fields(pid: int) -> list[str]:
    """`/proc/PID/stat` behind the command's name (which may hold spaces): state first, then parent; empty when gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []
