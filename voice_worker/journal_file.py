"""The file in which a job writes everything down before the database has it.

One line of JSON each; the first names the call and the job. The job holds a lock on the file while it lives, so a host
that gets the lock knows that nobody else will hand the entries in.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from uuid import UUID

NAME: Final = "journal.jsonl"
Entry = Mapping[str, Any]


class JournalBusyError(Exception):
    """Another process holds the journal: its job is alive, or another host is at it."""


@dataclass(frozen=True, slots=True)
class Header:
    call_id: UUID
    job_id: str


class JournalFile:
    """A journal under its lock. Raises JournalBusyError while somebody else has it."""

    def __init__(self, folder: Path, *, header: Header | None = None) -> None:
        """With a `header` the file is made if it is missing; without one it must be there (FileNotFoundError)."""
        self.path = folder / NAME
        if header:
            folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT if header else 0)
        self._fd = os.open(self.path, flags, 0o600)
        try:
            self._lock()
            if header and not os.fstat(self._fd).st_size:
                self._write([{"call_id": str(header.call_id), "job_id": header.job_id}])
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, entries: Iterable[Entry]) -> None:
        """On the disk when this returns."""
        self._write(entries)

    def read(self) -> tuple[Header | None, list[dict[str, Any]]]:
        """What stands in it; a line that was cut short by a crash, and what follows it, does not count."""
        lines: list[dict[str, Any]] = []
        with self.path.open("rb") as file:
            for line in file:
                try:
                    lines.append(json.loads(line))
                except ValueError:
                    break
        if not lines or "job_id" not in lines[0]:
            return None, []
        return Header(call_id=UUID(lines[0]["call_id"]), job_id=lines[0]["job_id"]), lines[1:]

    def clear(self) -> None:
        """Drop the entries, all of which are stored; the header stays."""
        with self.path.open("rb") as file:
            header = file.readline()
        os.ftruncate(self._fd, len(header))

    def close(self, *, remove: bool = False) -> None:
        if self._fd < 0:
            return
        if remove:
            self.path.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = -1

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalBusyError(str(self.path)) from error
        if not os.fstat(self._fd).st_nlink:
            raise JournalBusyError(f"{self.path} was removed meanwhile")

    def _write(self, entries: Iterable[Entry]) -> None:
        data = b"".join(json.dumps(entry, separators=(",", ":")).encode() + b"\n" for entry in entries)
        before = os.fstat(self._fd).st_size
        try:
            while data:
                data = data[os.write(self._fd, data) :]
            os.fsync(self._fd)
        except OSError:
            # Half a line would hide all that is written after it.
            os.ftruncate(self._fd, before)
            raise
