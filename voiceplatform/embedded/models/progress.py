"""How a long download shows itself: a bar on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from types import TracebackType
from typing import Protocol, Self

from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as RichBar

_PLAIN_EVERY_S = 5.0


class Progress(Protocol):
    """Told about a download; may be called from several threads."""

    def note(self, text: str) -> None: ...
    def begin(self, *, name: str, total: int) -> None: ...
    def update(self, *, name: str, done: int) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None: ...


def size_text(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


class PlainProgress:
    """A line now and then, for logs."""

    def __init__(self) -> None:
        self._totals: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._told_at = time.monotonic()
        self._lock = threading.Lock()

    def note(self, text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def begin(self, *, name: str, total: int) -> None:
        self._totals[name], self._done[name] = total, 0

    def update(self, *, name: str, done: int) -> None:
        with self._lock:
            self._done[name] = done
            if time.monotonic() - self._told_at < _PLAIN_EVERY_S:
                return
            self._told_at = time.monotonic()
        total, got = sum(self._totals.values()), sum(self._done.values())
        self.note(f"  {size_text(got)} of {size_text(total)} ({100 * got // max(total, 1)} %)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        return None


class BarProgress:
    """One bar per model."""

    def __init__(self) -> None:
        self._bar = RichBar(
            TextColumn("  {task.description:14}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        self._tasks: dict[str, TaskID] = {}

    def note(self, text: str) -> None:
        self._bar.console.print(text, highlight=False, markup=False)

    def begin(self, *, name: str, total: int) -> None:
        self._tasks[name] = self._bar.add_task(name, total=total)

    def update(self, *, name: str, done: int) -> None:
        self._bar.update(self._tasks[name], completed=done)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()


def console_progress() -> Progress:
    return BarProgress() if sys.stderr.isatty() and sys.stdout.isatty() else PlainProgress()
