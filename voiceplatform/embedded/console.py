"""What the supervisor tells the person at the keyboard: lines on stderr, so that a command's output stays clean."""

import sys
import threading
from typing import TextIO


class Console:
    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._lock = threading.Lock()
        self._pending = ""

    def say(self, text: str) -> None:
        with self._lock:
            self._write(f"  {text}\n")

    def pending(self, text: str) -> None:
        """A line that the next one replaces; shown on a terminal only."""
        with self._lock:
            if self._live and text != self._pending:
                self._write(f"  {text}")
                self._pending = text

    def clear(self) -> None:
        with self._lock:
            if self._pending:
                self._write("")

    def _write(self, text: str) -> None:
        erase = "\r\x1b[2K" if self._pending else ""
        self._pending = ""
        self._stream.write(erase + text)
        self._stream.flush()
