"""Finds and ends processes of a supervisor that was killed."""

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from signal import SIGKILL, Signals

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


def end_recorded(services: Mapping[str, Mapping[str, int]], *, seconds: float = 10) -> list[str]:
    """Ends the processes of an earlier supervisor's state file that still live; returns their services' names."""
    alive = {name: entry for name, entry in services.items() if _lives(entry)}
    for name, entry in reversed(alive.items()):
        signal_and_wait([entry["pid"]], Signals(entry["stop"]), seconds=seconds)
        if _lives(entry) and name != "postgres":  # which has its own, gentler way
            signal_and_wait([entry["pid"]], SIGKILL, seconds=seconds)
    return list(alive)


def _lives(entry: Mapping[str, int]) -> bool:
    return start_time(entry["pid"]) == entry["born"]
