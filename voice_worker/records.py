"""A call's facts on their way to the database: in order, never lost, never in the way of the conversation.

Entries are on the disk within milliseconds (one thread) and in the database within half a second (another thread); the
file is cut once everything in it is committed. While the database is away they wait in the file, and if the job dies
its host hands them in (`spool.py`).
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import connections

from calls.errors import ForeignJobError
from calls.models import Call
from calls.policies import without_content
from calls.services.journal import apply_entries
from voice_worker.hiding import Hiding
from voice_worker.journal_file import Entry, Header, JournalBusyError, JournalFile

logger = structlog.get_logger(__name__)

FLUSH_S: Final = 0.25
BATCH: Final = 500
IDLE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 2.0

_Numbered = tuple[int, Entry]


class Records:
    """The journal of one call. `append` may be called on the event loop; nothing here blocks it.

    Unless it `keeps_content`, nothing of what is said reaches the disk or the database.
    """

    def __init__(
        self,
        *,
        call_id: UUID,
        job_id: str,
        folder: Path,
        loop: asyncio.AbstractEventLoop,
        observe: Callable[[Entry], None] | None = None,
    ) -> None:
        """`disowned` is set on the loop when the call belongs to another job; then nothing more is stored."""
        self.disowned = asyncio.Event()
        self.keeps_content = True
        self._observe = observe
        self._hiding = Hiding()
        self._count = 0
        self._store = _Store(call_id=call_id, job_id=job_id, on_disowned=lambda: loop.call_soon_threadsafe(self.disowned.set))
        self._disk = _Disk(folder, header=Header(call_id=call_id, job_id=job_id), store=self._store)

    def append(self, entry: Entry) -> None:
        self._put(entry, None)

    def hide(self, keys: str) -> None:
        """Write these digits down nowhere from now on."""
        self._hiding.add(keys)

    async def append_durably(self, entry: Entry) -> None:
        """Returns once the entry is on the disk. Raises OSError when the disk does not take it."""
        written: Future[None] = Future()
        self._put(entry, written)
        await asyncio.wrap_future(written)

    async def aclose(self, *, timeout_s: float) -> bool:
        """Hand in what is left; False when the database did not take everything in time, which is then in the file."""
        return await asyncio.to_thread(self.close, timeout_s=timeout_s)

    def close(self, *, timeout_s: float) -> bool:
        until = time.monotonic() + timeout_s
        self._disk.finish()
        self._disk.join(timeout_s)
        self._store.finish()
        self._store.join(max(0.0, until - time.monotonic()))
        stopped = not self._disk.is_alive() and not self._store.is_alive()
        complete = stopped and self._store.complete
        if stopped:
            self._disk.release(complete=complete)
        return complete

    def _put(self, entry: Entry, written: "Future[None] | None") -> None:
        entry = self._hiding.masked(entry)
        if not self.keeps_content:
            entry = without_content(entry)
        self._count += 1
        self._disk.put(self._count, entry, written)
        if self._observe:
            self._observe(entry)


class _Disk(threading.Thread):
    """Writes entries to the journal and passes them on to the store."""

    def __init__(self, folder: Path, *, header: Header, store: "_Store") -> None:
        super().__init__(name="records-disk", daemon=True)
        self._queue: queue.Queue[tuple[int, Entry, Future[None] | None] | None] = queue.Queue()
        self._store = store
        self._last = 0
        self._lock = threading.Lock()
        self._journal: JournalFile | None = None
        self._open = partial(JournalFile, folder, header=header)
        try:
            self._journal = self._open()
        except OSError:
            logger.exception("the journal cannot be made; entries go to the database alone until it can")
        store.on_commit = self._committed
        self.start()
        store.start()

    def put(self, number: int, entry: Entry, written: "Future[None] | None") -> None:
        self._queue.put((number, entry, written))

    def finish(self) -> None:
        self._queue.put(None)

    def release(self, *, complete: bool) -> None:
        with self._lock:
            if self._journal:
                self._journal.close(remove=complete)

    def run(self) -> None:
        while (item := self._queue.get()) is not None:
            batch = [item]
            with contextlib.suppress(queue.Empty):
                while (more := self._queue.get_nowait()) is not None:
                    batch.append(more)
                self._queue.put(None)
            self._write(batch)

    def _write(self, batch: list[tuple[int, Entry, "Future[None] | None"]]) -> None:
        error: Exception | None = None
        with self._lock:
            try:
                self._journal = self._journal or self._open()
                self._journal.append(entry for _, entry, _ in batch)
            except (OSError, JournalBusyError) as problem:
                error = problem
                logger.exception("the journal cannot be written; entries go to the database alone")
            self._last = batch[-1][0]
        self._store.put([(number, entry) for number, entry, _ in batch])
        for _, _, written in batch:
            if written is not None and not written.cancelled():
                written.set_exception(error) if error else written.set_result(None)

    def _committed(self, number: int) -> None:
        with self._lock, contextlib.suppress(OSError):
            if number == self._last and self._journal:
                self._journal.clear()


class _Store(threading.Thread):
    """Applies entries in the database, as often as it takes."""

    def __init__(self, *, call_id: UUID, job_id: str, on_disowned: Callable[[], object]) -> None:
        super().__init__(name="records-store", daemon=True)
        self.on_commit: Callable[[int], None] = lambda _: None
        self._call_id = call_id
        self._job_id = job_id
        self._on_disowned = on_disowned
        self._disowned = False
        self._queue: queue.Queue[list[_Numbered] | None] = queue.Queue()
        self._pending: list[_Numbered] = []
        self._finishing = False
        self._pause_s = 0.0

    @property
    def complete(self) -> bool:
        return not self._pending and self._queue.empty() and not self._disowned

    def put(self, entries: list[_Numbered]) -> None:
        self._queue.put(entries)

    def finish(self) -> None:
        self._queue.put(None)

    def run(self) -> None:
        try:
            while not (self._finishing and not self._pending) and not self._disowned:
                self._collect()
                if self._pending:
                    self._apply()
        finally:
            connections.close_all()

    def _collect(self) -> None:
        """Wait for entries, then for others that come right after them."""
        if not self._pending:
            self._take(IDLE_S)
            if not self._pending:
                connections.close_all()
                return
        until = time.monotonic() + max(self._pause_s, FLUSH_S)
        while (left := until - time.monotonic()) > 0 and not (self._finishing and not self._pause_s):
            self._take(left)

    def _take(self, timeout_s: float) -> None:
        with contextlib.suppress(queue.Empty):
            entries = self._queue.get(timeout=timeout_s)
            if entries is None:
                self._finishing = True
            else:
                self._pending += entries

    def _apply(self) -> None:
        batch = self._pending[:BATCH]
        entries: list[Any] = [entry for _, entry in batch]
        try:
            apply_entries(call_id=self._call_id, job_id=self._job_id, entries=entries)
        except (ForeignJobError, Call.DoesNotExist):
            logger.exception("this job no longer holds the call", call_id=str(self._call_id))
            self._disowned = True
            self._on_disowned()
        except Exception as error:  # noqa: BLE001 whatever it is, the entries must not be lost
            connections.close_all()
            self._pause_s = min(LONGEST_PAUSE_S, max(FLUSH_S, self._pause_s * 2))
            logger.warning(
                "the records wait for the database", waiting=len(self._pending), error=f"{type(error).__name__}: {error}"
            )
        else:
            del self._pending[: len(batch)]
            self._pause_s = 0.0
            self.on_commit(batch[-1][0])
