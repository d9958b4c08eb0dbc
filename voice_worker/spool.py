"""What jobs could not hand in themselves: their host replays journals and uploads recordings until all is done.

Everything is found in the folder of the spool, so it survives the host. Two hosts of one machine may do this side by side.
"""

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, connections

from calls.errors import DamagedRecordingError, ForeignJobError
from calls.models import Call, Recording
from calls.resolving import scope_of_call
from calls.services.ending import end_call
from calls.services.finalizing import finalize_call
from calls.services.journal import apply_entries
from calls.services.recordings import store_recording
from calls.sound import duration_ms
from calls.storage_problems import problem_of
from voice_worker.answered import RECORDING
from voice_worker.journal_file import Header, JournalBusyError, JournalFile

logger = structlog.get_logger(__name__)

SET_ASIDE: Final = "set-aside"
_BATCH: Final = 500
_YOUNG_S: Final = 60.0
_FIRST_PAUSE_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 120.0
_STORAGE_IS_AWAY: Final = ("unreachable", "no_bucket", "key_refused", "forbidden", "full")
_LOST: Final = "The job was gone before the call had ended."


@dataclass(slots=True)
class _Waiting:
    tries: int = 0
    not_before: float = 0.0


@dataclass(slots=True)
class _Away:
    """A database or a storage, and the calls it has failed since it last worked.

    One call that always fails must not look like a long outage, so the pause grows only when another one fails after it.
    """

    calls: set[UUID] = field(default_factory=set)
    last: UUID | None = None
    tries: int = 0
    not_before: float = 0.0


class Spool:
    """The spool of this machine. All methods block; run them off the event loop."""

    def __init__(self, root: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._waiting: dict[UUID, _Waiting] = {}
        self._database, self._storage = _Away(), _Away()

    def waiting(self) -> list[UUID]:
        """The calls whose records are not all handed in, those still running included."""
        return [call_id for call_id, folder in self._folders() if _holds_files(folder)]

    def sweep(self) -> int:
        """Hand in what can be handed in now, journals before recordings; returns for how many calls that is everything."""
        calls = {call_id for call_id, _ in self._folders()}
        done = self._go_through(calls, upload=False)
        return len(done | self._go_through(calls - done, upload=True))

    def hand_in(self, call_id: UUID) -> bool:
        """Whether nothing is left of this call. One whose job still runs is left alone."""
        return self._attempt(call_id, upload=True)

    def _go_through(self, calls: Collection[UUID], *, upload: bool) -> set[UUID]:
        """Those of which nothing is left. Ends as soon as what they need is away; who failed comes last, and so stops nobody."""
        done = set()
        for call_id in sorted(calls, key=lambda call_id: (self._waits(call_id).tries, call_id)):
            if self._clock() < max(self._database.not_before, self._storage.not_before if upload else 0.0):
                break
            if self._clock() >= self._waits(call_id).not_before and self._attempt(call_id, upload=upload):
                done.add(call_id)
        return done

    def _attempt(self, call_id: UUID, *, upload: bool) -> bool:
        folder = self._root / str(call_id)
        if not folder.is_dir():
            return True
        try:
            with _locked(folder) as locked:
                if locked and self._hand_in(call_id, folder, upload=upload):
                    self._waiting.pop(call_id, None)
                    return True
        except Exception as error:  # noqa: BLE001 a database or a storage that is away comes back
            self._postpone(call_id, error)
        finally:
            connections.close_all()
        return False

    def _hand_in(self, call_id: UUID, folder: Path, *, upload: bool) -> bool:
        try:
            with contextlib.suppress(FileNotFoundError), JournalFile(folder) as journal:
                self._replay(call_id, folder, journal)
                journal.close(remove=True)
            if upload:
                self._upload(call_id, folder / RECORDING)
        except JournalBusyError:
            return False
        except (ForeignJobError, Call.DoesNotExist, DamagedRecordingError) as error:
            self._set_aside(folder, error)
            return True
        return _remove(folder)

    def _replay(self, call_id: UUID, folder: Path, journal: JournalFile) -> None:
        """A journal that is still there belongs to a job that did not come to its end."""
        header, entries = journal.read()
        if header is None:
            return
        for begin in range(0, len(entries), _BATCH):
            apply_entries(call_id=call_id, job_id=header.job_id, entries=entries[begin : begin + _BATCH])
        logger.info("a journal was handed in", call_id=str(call_id), entries=len(entries))
        self._announce_recording(header, folder / RECORDING)
        end_call(call_id=call_id, disposition="failed", ended_reason="worker_lost", detail=_LOST, job_id=header.job_id)
        finalize_call(call_id=call_id, job_id=header.job_id)
        self._is_back(self._database)

    def _announce_recording(self, header: Header, path: Path) -> None:
        with scope_of_call(header.call_id):
            known = Recording.objects.filter(call_id=header.call_id).exclude(state=Recording.State.LOST).exists()
        if known or not path.is_file():
            return
        apply_entries(call_id=header.call_id, job_id=header.job_id, entries=[_describe(path)])

    def _upload(self, call_id: UUID, path: Path) -> None:
        if not path.is_file():
            return
        try:
            store_recording(call_id, path)
        except Exception as error:
            if problem_of(error) in _STORAGE_IS_AWAY:
                self._is_away(self._storage, call_id)
            raise
        self._is_back(self._database)
        self._is_back(self._storage)

    def _set_aside(self, folder: Path, error: Exception) -> None:
        """Kept for somebody to look at; nothing can be done with it here."""
        target = self._root / SET_ASIDE / folder.name
        target.parent.mkdir(exist_ok=True)
        folder.rename(target)
        logger.error("records were set aside", folder=str(target), error=f"{type(error).__name__}: {error}")

    def _folders(self) -> Iterator[tuple[UUID, Path]]:
        if not self._root.is_dir():
            return
        for folder in sorted(self._root.iterdir()):
            with contextlib.suppress(ValueError):
                yield UUID(folder.name), folder

    def _waits(self, call_id: UUID) -> _Waiting:
        return self._waiting.get(call_id, _Waiting())

    def _postpone(self, call_id: UUID, error: Exception) -> None:
        if isinstance(error, OperationalError | InterfaceError):
            self._is_away(self._database, call_id)
        waiting = self._waiting.setdefault(call_id, _Waiting())
        waiting.not_before = self._clock() + _pause(waiting.tries)
        waiting.tries += 1
        logger.warning("records could not be handed in yet", call_id=str(call_id), error=f"{type(error).__name__}: {error}")

    def _is_away(self, away: _Away, call_id: UUID) -> None:
        away.calls.add(call_id)
        if self._clock() >= away.not_before:
            away.tries += call_id != away.last
            away.last, away.not_before = call_id, self._clock() + _pause(away.tries - 1)

    def _is_back(self, away: _Away) -> None:
        """Whoever it failed need not wait any longer."""
        # A copy, as other threads hand in calls of their own meanwhile.
        for call_id in tuple(away.calls):
            self._waits(call_id).not_before = 0.0
        away.calls, away.last, away.tries, away.not_before = set(), None, 0, 0.0


def _pause(tries: int) -> float:
    return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0**tries)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """One host at a time; False when another is at it or the folder is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _holds_files(folder: Path) -> bool:
    """A folder that somebody has just removed does not."""
    try:
        return any(folder.iterdir())
    except FileNotFoundError:
        return False


def _remove(folder: Path) -> bool:
    """An empty folder goes; a new one may belong to a job that is about to write its journal."""
    if _holds_files(folder):
        return False
    with contextlib.suppress(OSError):
        if time.time() - folder.stat().st_mtime > _YOUNG_S:
            folder.rmdir()
    return True


def _describe(path: Path) -> dict[str, Any]:
    """What a recorder would have said about its file, had it come to that."""
    data = path.read_bytes()
    return {
        "op": "recording",
        "state": "spooled",
        "path": str(path),
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "duration_ms": duration_ms(str(path)),
    }
