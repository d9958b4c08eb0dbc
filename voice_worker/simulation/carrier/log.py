"""The carrier's own account of every leg: one JSON object per line, appended as it happens.

Each line has `at` (UTC), `mono` (seconds of this machine's monotonic clock), `leg` and `event`:

invite    direction (outbound, inbound), from, to, room, trunk, identity; outbound also
          `asked`: when our request came, by the same clock as `mono`; its room is joined in between
ringing   the phone rings
answer    somebody, or something, has taken the call
digit     way (heard: the agent's side sent it, sent: the phone did), digit
tone      way (heard, played), token
sound     kind (greeting, beep, prompt, speech …): what the phone plays; `seconds` of it
message   seconds: how much a voicemail recorded
transfer  to, status: what became of a request to put the leg through
end       by (phone, agent, carrier, room), reason, status, text: once per leg, always the last line of it

A line is with the kernel before anything happens because of it, so killing the carrier loses none, and on the disk soon after.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


class CarrierLog:
    """Appends; goes on behind what an earlier carrier wrote, also where that was cut off."""

    def __init__(self, path: Path, *, on_entry: Callable[[Entry], None] = lambda entry: None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._on_entry = on_entry
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")
        self._unsynced, self._closing = threading.Event(), False
        self._syncing = threading.Thread(target=self._sync, name="carrier-log", daemon=True)
        self._syncing.start()

    def write(self, event: str, /, *, leg: str, **values: Any) -> None:
        mono, at = time.monotonic(), datetime.now(UTC)
        entry = {"at": at.isoformat(timespec="microseconds"), "mono": round(mono, 6), "leg": leg, "event": event, **values}
        os.write(self._file, (json.dumps(entry, ensure_ascii=False) + "\n").encode())
        self._unsynced.set()
        self._on_entry(entry)

    def close(self) -> None:
        self._closing = True
        self._unsynced.set()
        self._syncing.join()
        os.close(self._file)

    def _sync(self) -> None:
        """One thread for all lines: a slow disk must not hold up a call, and many lines need one sync."""
        while not self._closing:
            self._unsynced.wait()
            self._unsynced.clear()
            os.fsync(self._file)


def read_log(path: Path) -> list[Entry]:
    """Every whole line, in order; one cut off by a crash is left out."""
    found = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def legs_of(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """The lines leg by leg, in the order of their invites."""
    legs: dict[str, list[Entry]] = {}
    for entry in entries:
        legs.setdefault(entry["leg"], []).append(entry)
    return legs
