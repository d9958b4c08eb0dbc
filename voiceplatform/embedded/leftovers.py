"""Finds and ends processes of a supervisor that was killed."""

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

from voiceplatform.embedded.process import command_line, start_time


def postgres_pids(*, title: str, data: Path) -> list[int]:
    """The server and its sessions, by what they show in the process list (its memory is readable by its owner only)."""
    own = f"-D {data} "
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (line := command_line(int(entry.name))):
            server = line.split(" ", 1)[0].endswith("/postgres") and own in line + " "
            if server or line.startswith(f"postgres: {title}: "):
                found.append(int(entry.name))
    return [pid for pid in found if start_time(pid) is not None]


def signal_and_wait(pids: Iterable[int], number: Signals, *, seconds: float) -> None:
    born = {pid: start_time(pid) for pid in pids}
    for pid in born:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(began and start_time(pid) == began for pid, began in born.items()):
        time.sleep(0.02)


def end_recorded(services: Mapping[str, Mapping[str, int]], *, seconds: float = 5) -> list[str]:
    """Ends the processes of an earlier supervisor's state file that still live; returns their services' names."""
    alive = {
        name: entry["pid"]
        for name, entry in services.items()
        if (began := start_time(entry["pid"])) is not None and began == entry["born"]
    }
    for stop in (SIGTERM, SIGKILL):
        still = [pid for name, pid in alive.items() if start_time(pid) == services[name]["born"]]
        signal_and_wait(still, stop, seconds=seconds)
    return sorted(alive)
