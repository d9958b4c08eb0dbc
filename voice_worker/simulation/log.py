"""The persona's own account of a call: one JSON object per line, appended as it happens.

{"type": "header", "persona", "goals": {key: title}, "name", "phone", "voice"}
{"type": "spoken", "text", "start", "end", "cut", "why"}   call seconds of the audible speech; cut: not all of it was said
{"type": "heard", "start", "end", "text"}                  a stretch of the agent's audio and what the persona understood
{"type": "event", "at", "kind", ...}                       noise, agent_hung_up, caller_hung_up, speech_failed
{"type": "end", "at", "reason", "reached": [goal keys]}
"""

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Entry = dict[str, Any]

logger = logging.getLogger(__name__)


class PersonaLog:
    """Written on a thread of its own, so that a slow disk never delays the call. Without a path it is told, not written."""

    def __init__(self, path: Path | None, *, on_entry: Callable[[Entry], None] | None = None) -> None:
        self._on_entry = on_entry
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="persona-log")
        self._file = None
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")

    def write(self, entry_type: str, /, **values: Any) -> None:
        entry = {"type": entry_type, **values}
        self._thread.submit(self._append, json.dumps(entry, ensure_ascii=False) + "\n")
        if self._on_entry:
            self._on_entry(entry)

    def close(self) -> None:
        self._thread.shutdown()
        if self._file:
            self._file.close()

    def _append(self, line: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(line)
            self._file.flush()
        except OSError:
            logger.exception("a line of the persona's log is lost")


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """A log read back; a last line cut off by a crash is left out."""

    header: Entry
    spoken: tuple[Entry, ...]
    heard: tuple[Entry, ...]
    events: tuple[Entry, ...]
    end: Entry

    @property
    def reached(self) -> tuple[str, ...]:
        return tuple(self.end.get("reached", ()))

    @property
    def missed(self) -> tuple[str, ...]:
        return tuple(key for key in self.header.get("goals", {}) if key not in self.reached)


def read_log(path: Path) -> LoggedCall:
    entries: list[Entry] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            break
    by_type = {kind: tuple(entry for entry in entries if entry["type"] == kind) for kind in ("spoken", "heard", "event")}
    single = {entry["type"]: entry for entry in entries if entry["type"] in ("header", "end")}
    return LoggedCall(
        header=single.get("header", {}),
        spoken=by_type["spoken"],
        heard=by_type["heard"],
        events=by_type["event"],
        end=single.get("end", {}),
    )
